// JSONArgsRecommended, MultipleInstructionsDisallowed, WorkdirRelativePath: what depends on what stood above in the stage.
import { type CheckContext, type CheckedStage, type Finding, keywordOf, tryExpand } from '../check-scope.ts';
import type { Instruction } from '../instruction.ts';

/** Commands that are overridden or wrapped in a shell, and directories that depend on the base image. */
export function* checkCommands(context: CheckContext): Generator<Finding> {
  // The stages that have one, their own or inherited; a base stands above whoever begins with it.
  const withShell = new Set<CheckedStage | undefined>();
  const withWorkdir = new Set<CheckedStage | undefined>();
  for (const checked of context.stages) {
    let hasShell = withShell.has(checked.base);
    let hasWorkdir = withWorkdir.has(checked.base);
    const previous = new Map<string, Instruction>();
    for (const { instruction, scope } of checked.steps) {
      const { kind } = instruction;
      if (kind === 'shell') hasShell = true;
      if ((kind === 'cmd' || kind === 'entrypoint') && instruction.command.form === 'shell' && !hasShell) {
        const message = `JSON arguments recommended for ${keywordOf(instruction)} to prevent unintended behavior related to OS signals`;
        yield { rule: 'JSONArgsRecommended', message, instruction };
      }
      if (kind === 'cmd' || kind === 'entrypoint' || kind === 'healthcheck') {
        const ignored = previous.get(kind);
        if (ignored !== undefined) yield multiple(ignored);
        previous.set(kind, instruction);
      }
      if (kind === 'workdir') {
        const path = tryExpand(instruction.word, (name) => scope.environment.get(name), context.dockerfile.escape).value;
        if (!hasWorkdir && !path.startsWith('/')) {
          const message = `Relative workdir ${JSON.stringify(path)} can have unexpected results if the base image changes`;
          yield { rule: 'WorkdirRelativePath', message, instruction };
        }
        hasWorkdir = true; // the first one decides for all below
      }
    }
    if (hasShell) withShell.add(checked);
    if (hasWorkdir) withWorkdir.add(checked);
  }
}

// The finding stands at the instruction that is without effect, not at the one that wins.
function multiple(instruction: Instruction): Finding {
  const message = `Multiple ${keywordOf(instruction)} instructions should not be used in the same stage because only the last one will be used`;
  return { rule: 'MultipleInstructionsDisallowed', message, instruction };
}
