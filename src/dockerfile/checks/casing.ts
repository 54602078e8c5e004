// ConsistentInstructionCasing, FromAsCasing, StageNameCasing.
import { type CheckContext, type Finding, keywordOf } from '../check-scope.ts';

/** Upper or lower case, but one of them. */
export function* checkCasing({ dockerfile }: CheckContext): Generator<Finding> {
  const instructions = dockerfile.stages.flatMap((stage) => [stage.from, ...stage.instructions]);
  const keywords = instructions.map(keywordOf);
  const isMostlyLower = keywords.filter(isLower).length > keywords.filter((keyword) => isUpper(keyword)).length;
  for (const instruction of instructions) {
    const keyword = keywordOf(instruction);
    if (isMostlyLower ? isLower(keyword) : isUpper(keyword)) continue;
    const message = `Command '${keyword}' should match the case of the command majority (${isMostlyLower ? 'lowercase' : 'uppercase'})`;
    yield { rule: 'ConsistentInstructionCasing', message, instruction };
  }
  for (const { from } of dockerfile.stages) {
    const keyword = keywordOf(from);
    const as = from.asKeyword;
    // A keyword of mixed case has a finding already.
    if (as !== undefined && (isLower(keyword) ? !isLower(as) : isUpper(keyword) && !isUpper(as))) {
      yield { rule: 'FromAsCasing', message: `'${as}' and '${keyword}' keywords' casing do not match`, instruction: from };
    }
    if (from.name !== undefined && !isLower(from.name)) {
      yield { rule: 'StageNameCasing', message: `Stage name '${from.name}' should be lowercase`, instruction: from };
    }
  }
}

function isLower(text: string): boolean {
  return text === text.toLowerCase();
}

function isUpper(text: string): boolean {
  return text === text.toUpperCase();
}
