// Names that may mean a stage: in FROM, COPY --from and RUN --mount from=.
import { DockerfileError, type SourceRange } from '../errors.ts';
import { mountFrom } from './csv.ts';
import type { Dockerfile, Instruction, Stage } from './instruction.ts';
import { parseOnbuild } from './parse.ts';

/** What a stage begins with. */
export type StageBase =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'stage'; readonly index: number }
  /** A --build-context; `replacesStage` when it stands for the whole stage, whose instructions are not run. */
  | { readonly kind: 'context'; readonly name: string; readonly replacesStage: boolean }
  | { readonly kind: 'image'; readonly image: string };

/** What `--from` and `from=` mean; scratch is an empty image there, too. */
export type FromSource =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'stage'; readonly index: number }
  | { readonly kind: 'context'; readonly name: string }
  | { readonly kind: 'image'; readonly image: string };

/** One stage that another can't do without, and where that is written. */
export interface StageNeed {
  readonly index: number;
  readonly why: 'base' | 'copy' | 'mount';
  readonly range: SourceRange;
}

/** The stage of that name (lower case); of several, the last. */
export function findNamed(dockerfile: Pick<Dockerfile, 'stages'>, name: string, before = Number.POSITIVE_INFINITY): number | undefined {
  for (let index = Math.min(before, dockerfile.stages.length) - 1; index >= 0; index--)
    if (dockerfile.stages[index]?.name === name) return index;
  return undefined;
}

/** A --build-context's name, or an image's that it may replace, without what Docker Hub's names may leave out. */
export function contextName(name: string): string {
  return name
    .toLowerCase()
    .replace(/^(?:(?:index\.)?docker\.io\/)?(?:library\/(?=[^/]+$))?/, '')
    .replace(/:latest$/, '');
}

/** What the expanded name in a FROM means: only stages above it count, and never by number. */
export function resolveFrom(dockerfile: Dockerfile, index: number, image: string, contexts: ReadonlySet<string>): StageBase {
  const name = image.toLowerCase();
  const stage = findNamed(dockerfile, name, index);
  if (stage !== undefined) return { kind: 'stage', index: stage };
  if (image === 'scratch') return { kind: 'scratch' };
  const context = contextName(image);
  if (contexts.has(context)) return { kind: 'context', name: context, replacesStage: false };
  return { kind: 'image', image };
}

/**
 * What a `--from` or a mount's `from=` in the stage `at.stage` means; numbers are stages for COPY only.
 * @throws ERR_DOCKERFILE for the number of a stage that doesn't exist, and for a stage that stands below
 */
export function resolveSource(
  dockerfile: Pick<Dockerfile, 'stages'>,
  name: string,
  contexts: ReadonlySet<string>,
  at: { readonly stage: number; readonly allowsNumbers: boolean; readonly range: SourceRange },
): FromSource {
  const source = findSource(dockerfile, name, contexts, at);
  if (source.kind !== 'stage' || source.index <= at.stage) return source;
  const label = (index: number): string => dockerfile.stages[index]?.name ?? String(index);
  throw new DockerfileError(`Cannot read from stage ${name} in stage ${label(at.stage)}: it stands below`, at.range, {
    hint: `move stage ${label(source.index)} above the one that reads from it`,
  });
}

function findSource(
  dockerfile: Pick<Dockerfile, 'stages'>,
  name: string,
  contexts: ReadonlySet<string>,
  at: Parameters<typeof resolveSource>[3],
): FromSource {
  if (at.allowsNumbers && /^\d+$/.test(name)) {
    const index = Number(name);
    const replaced = dockerfile.stages[index]?.name ?? '';
    if (contexts.has(replaced)) return { kind: 'context', name: replaced };
    if (index < dockerfile.stages.length) return { kind: 'stage', index };
    const last = dockerfile.stages.length - 1;
    const state = last === 0 ? 'the only stage is 0' : `the stages are 0 to ${last}`;
    throw new DockerfileError(`Cannot copy from stage ${name}: ${state}`, at.range, {
      hint: 'name the stage (FROM image AS name) and use the name',
    });
  }
  const context = contextName(name);
  // A context stands for a whole stage of its name.
  if (contexts.has(context)) return { kind: 'context', name: context };
  const index = findNamed(dockerfile, name.toLowerCase());
  if (index !== undefined) return { kind: 'stage', index };
  return name === 'scratch' ? { kind: 'scratch' } : { kind: 'image', image: name };
}

/** Every stage that `stage` needs: its base, and what its instructions and its base's triggers copy or mount. */
export function findNeeds(
  dockerfile: Dockerfile,
  stage: Stage,
  base: StageBase,
  contexts: ReadonlySet<string>,
  triggers: readonly Instruction[],
): readonly StageNeed[] {
  const needs: StageNeed[] = [];
  const own = base.kind === 'stage' ? triggersOfStage(dockerfile, base.index, stage) : [];
  if (base.kind === 'stage') needs.push({ index: base.index, why: 'base', range: stage.from.imageRange ?? stage.from.range });
  for (const instruction of [...triggers, ...own, ...stage.instructions]) {
    for (const reference of referencesOf(instruction)) {
      const { name, why, range } = reference;
      const source = resolveSource(dockerfile, name, contexts, { stage: stage.index, allowsNumbers: why === 'copy', range });
      if (source.kind === 'stage') needs.push({ index: source.index, why, range });
    }
  }
  return needs;
}

/** The ONBUILD triggers that FROM this stage runs, parsed; errors and ranges point at that FROM. */
export function triggersOfStage(dockerfile: Dockerfile, index: number, user: Stage): readonly Instruction[] {
  const stage = dockerfile.stages[index];
  const triggers = stage?.instructions.filter((instruction) => instruction.kind === 'onbuild') ?? [];
  return triggers.map((trigger) => parseOnbuild(trigger.expression, user.from.range));
}

/** What an instruction reads from by name. */
export function referencesOf(
  instruction: Instruction,
): readonly { readonly name: string; readonly why: 'copy' | 'mount'; readonly range: SourceRange }[] {
  if (instruction.kind === 'copy' || instruction.kind === 'add') {
    const name = instruction.from?.value;
    return name === undefined || instruction.from === undefined ? [] : [{ name, why: 'copy', range: instruction.from.range }];
  }
  if (instruction.kind !== 'run') return [];
  return instruction.mounts.flatMap((mount) => {
    const name = mountFrom(mount.value ?? '');
    return name === undefined || name === '' ? [] : [{ name, why: 'mount' as const, range: mount.range }];
  });
}
