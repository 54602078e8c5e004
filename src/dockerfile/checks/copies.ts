// CopyIgnoredFile.
import { posix } from 'node:path';
import { type CheckContext, type Finding, tryExpand } from '../check-scope.ts';
import type { CopyInstruction } from '../instruction.ts';

/** Sources from the build context that .dockerignore keeps out of it. */
export function* checkCopies({ dockerfile, options, stages }: CheckContext): Generator<Finding> {
  const { isIgnored } = options;
  if (isIgnored === undefined) return;
  for (const { instruction, scope } of stages.flatMap((stage) => stage.steps)) {
    if ((instruction.kind !== 'copy' && instruction.kind !== 'add') || instruction.from !== undefined) continue;
    for (const word of wordsOf(instruction)) {
      const expanded = tryExpand(word, (name) => scope.environment.get(name), dockerfile.escape).value;
      if (instruction.kind === 'add' && isRemote(expanded)) continue;
      const path = posix.join('/', expanded).slice(1).replace(/\/$/, '');
      if (path === '' || !isIgnored(path)) continue;
      const verb = instruction.kind === 'copy' ? 'Copy' : 'Add';
      yield {
        rule: 'CopyIgnoredFile',
        message: `Attempting to ${verb} file ${JSON.stringify(path)} that is excluded by .dockerignore`,
        instruction,
      };
    }
  }
}

function wordsOf(instruction: CopyInstruction): readonly string[] {
  return instruction.sources.flatMap((source) => (source.kind === 'word' ? [source.word] : []));
}

function isRemote(source: string): boolean {
  return /^(?:https?|ssh|git):\/\/|^git@/.test(source);
}
