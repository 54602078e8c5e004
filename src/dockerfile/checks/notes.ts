// NoEmptyContinuation, MaintainerDeprecated, InvalidDefinitionDescription: how instructions are written and described.
import type { CheckContext, Finding } from '../check-scope.ts';
import type { FromInstruction, Instruction } from '../instruction.ts';

/** Continuations, comments, and an instruction that has had its day. */
export function* checkNotes({ dockerfile }: CheckContext): Generator<Finding> {
  const instructions = [...dockerfile.globalArgs, ...dockerfile.stages.flatMap((stage) => [stage.from, ...stage.instructions])];
  for (const instruction of instructions) {
    if (instruction.notes?.hasEmptyContinuation === true) {
      yield { rule: 'NoEmptyContinuation', message: 'Empty continuation line', instruction };
    }
    if (instruction.kind === 'maintainer') {
      yield { rule: 'MaintainerDeprecated', message: 'Maintainer instruction is deprecated in favor of using label', instruction };
    }
    yield* checkDescription(instruction);
  }
}

function* checkDescription(instruction: Instruction | FromInstruction): Generator<Finding> {
  const names = definitionsOf(instruction);
  const comment = instruction.notes?.comments.at(-1);
  const [first] = names;
  if (comment === undefined || first === undefined || /^check[\t\f\r ]*=/.test(comment)) return;
  if (names.includes(comment.split(' ')[0] ?? '')) return;
  const name = names.length === 1 ? first : '<arg_key>';
  const message = `Comment for ${instruction.kind.toUpperCase()} should follow the format: \`# ${name} <description>\``;
  yield { rule: 'InvalidDefinitionDescription', message, instruction };
}

function definitionsOf(instruction: Instruction | FromInstruction): readonly string[] {
  if (instruction.kind === 'arg') return instruction.args.map((arg) => arg.name);
  return instruction.kind === 'from' && instruction.name !== undefined ? [instruction.name.toLowerCase()] : [];
}
