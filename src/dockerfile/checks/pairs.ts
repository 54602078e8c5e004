// SecretsUsedInArgOrEnv, LegacyKeyValueFormat.
import { type CheckContext, type Finding, keywordOf } from '../check-scope.ts';
import type { Instruction } from '../instruction.ts';

const secretWords = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const harmlessWords = /(?:_|^)(?:public|file|version)(?:_|$)/i;

/** Names that look like secrets, and pairs in the form without "="; an ARG above FROM reaches no image by itself. */
export function* checkPairs({ dockerfile }: CheckContext): Generator<Finding> {
  for (const instruction of dockerfile.stages.flatMap((stage) => stage.instructions)) {
    for (const key of keysOf(instruction)) {
      if (!secretWords.test(key) || harmlessWords.test(key)) continue;
      const message = `Do not use ARG or ENV instructions for sensitive data (${instruction.kind.toUpperCase()} ${JSON.stringify(key)})`;
      yield { rule: 'SecretsUsedInArgOrEnv', message, instruction };
    }
    if ((instruction.kind === 'env' || instruction.kind === 'label') && instruction.isLegacy === true) {
      const keyword = keywordOf(instruction);
      const message = `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`;
      yield { rule: 'LegacyKeyValueFormat', message, instruction };
    }
  }
}

function keysOf(instruction: Instruction): readonly string[] {
  if (instruction.kind === 'arg') return instruction.args.map((arg) => arg.name);
  return instruction.kind === 'env' ? instruction.pairs.map((pair) => pair.key) : [];
}
