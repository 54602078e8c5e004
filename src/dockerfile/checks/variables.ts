// UndefinedVar.
import { BuilderError } from '../../errors.ts';
import { type CheckContext, type CheckScope, type Finding, tryExpand } from '../check-scope.ts';
import { splitCsv } from '../csv.ts';
import type { ArgInstruction, CopyInstruction, Instruction } from '../instruction.ts';
import { suggest } from '../../suggest.ts';
import { expandHeredoc } from '../words.ts';

// Build arguments with a meaning to the builder alone: they are declared nowhere and never in the environment.
const builderNames: ReadonlySet<string> = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/**
 * Variables that nothing defines above their use. Below a base image whose environment is unknown a name may well be
 * defined there, so only one that is almost the name of another variable is reported.
 */
export function* checkVariables({ dockerfile, stages }: CheckContext): Generator<Finding> {
  for (const { instruction, scope } of stages.flatMap((stage) => stage.steps)) {
    for (const name of unsetIn(instruction, scope, dockerfile.escape)) {
      if (scope.declared.has(name) || builderNames.has(name)) continue;
      const near = suggest(name, scope.environment.keys());
      if (near === undefined && !scope.isComplete) continue;
      const message = `Usage of undefined variable '$${name}'${near === undefined ? '' : ` (did you mean $${near}?)`}`;
      yield { rule: 'UndefinedVar', message, instruction };
    }
  }
}

function unsetIn(instruction: Instruction, scope: CheckScope, escape: '\\' | '`'): ReadonlySet<string> {
  const lookup = (name: string): string | undefined => scope.environment.get(name);
  if (instruction.kind === 'arg') return unsetInDefaults(instruction, lookup, escape);
  const unset = expandedWords(instruction).flatMap((word) => tryExpand(word, lookup, escape).unset);
  return new Set([...unset, ...unsetInBodies(instruction, lookup)]);
}

// A default may use the arguments before it on its line.
function unsetInDefaults({ args }: ArgInstruction, lookup: (name: string) => string | undefined, escape: '\\' | '`'): ReadonlySet<string> {
  const unset = args.flatMap((arg, index) => {
    const names = arg.value === undefined ? [] : tryExpand(arg.value, lookup, escape).unset;
    return names.filter((name) => !args.slice(0, index).some((before) => before.name === name));
  });
  return new Set(unset);
}

// Everything the builder itself expands, other than EXPOSE, whose words BuildKit's rule does not see; RUN, CMD and their like are
// left to the shell.
function expandedWords(instruction: Instruction): readonly string[] {
  switch (instruction.kind) {
    case 'env':
    case 'label':
      return instruction.pairs.flatMap((pair) => [pair.key, pair.value]);
    case 'user':
    case 'workdir':
    case 'stopsignal':
      return [instruction.word];
    case 'volume':
      return instruction.words;
    case 'copy':
    case 'add':
      return copyWords(instruction);
    case 'run':
      return instruction.mounts.flatMap((mount) => splitCsv(mount.value ?? '')?.filter((field) => !/^from=/i.test(field)) ?? []);
    case 'arg':
    case 'expose':
    case 'cmd':
    case 'entrypoint':
    case 'healthcheck':
    case 'shell':
    case 'maintainer':
    case 'onbuild':
      return [];
    default:
      return instruction satisfies never;
  }
}

function copyWords(instruction: CopyInstruction): readonly string[] {
  const sources = instruction.sources.flatMap((source) => (source.kind === 'word' ? [source.word] : []));
  const flags = [instruction.chown, instruction.chmod, instruction.checksum].flatMap((flag) => flag?.value ?? []);
  return [...sources, instruction.destination, ...flags];
}

function unsetInBodies(instruction: Instruction, lookup: (name: string) => string | undefined): readonly string[] {
  if (instruction.kind !== 'copy' && instruction.kind !== 'add') return [];
  return instruction.sources.flatMap((source) => {
    if (source.kind !== 'heredoc' || !source.heredoc.expand) return [];
    try {
      return expandHeredoc(source.heredoc.body, lookup).unset;
    } catch (error) {
      if (error instanceof BuilderError) return [];
      throw error;
    }
  });
}
