// Which stages a build needs, in which order, and what each begins with.
import { BuilderError, DockerfileError, type SourceRange } from '../errors.ts';
import { type GlobalArgs, type GlobalScope, readGlobalArgs } from './global-args.ts';
import type { Dockerfile, Instruction, Stage } from './instruction.ts';
import { findNamed, findNeeds, resolveFrom, type StageBase, type StageNeed } from './stage-needs.ts';
import { didYouMean } from '../suggest.ts';
import { expandWord } from './words.ts';

export interface PlanOptions extends Omit<GlobalScope, 'targetStage'> {
  /** Stage names or numbers; none means the last stage. */
  readonly targets?: readonly string[];
  /** Names of --build-context, lower case: each replaces a stage or an image of that name. */
  readonly contexts?: ReadonlySet<string>;
  /** Triggers that came with a stage's base image, by stage index: unknown before it is pulled, so plan again with them. */
  readonly triggers?: ReadonlyMap<number, readonly Instruction[]>;
  /** Build every stage above the last target, needed or not. */
  readonly includesUnused?: boolean;
}

export interface PlannedStage {
  readonly stage: Stage;
  readonly base: StageBase;
  /** `--platform` after expansion; undefined where the target platform holds. */
  readonly platform?: string;
  /** The stages that must be complete before this one runs. */
  readonly needs: readonly StageNeed[];
  /** Variables of FROM that nobody declared. */
  readonly unset: readonly string[];
}

export interface StagePlan {
  /** In an order in which every stage stands behind all it needs. */
  readonly stages: readonly PlannedStage[];
  /** Stage indexes of the targets, in the order asked for. */
  readonly targets: readonly number[];
  readonly globalArgs: GlobalArgs;
}

/**
 * Plans a build: finds the targets, expands every FROM they lead to, and orders the stages.
 * @throws ERR_USAGE for an unknown target; ERR_DOCKERFILE for a FROM that expands to nothing, or a stage that needs itself or one below it
 */
export function planStages(dockerfile: Dockerfile, options: PlanOptions): StagePlan {
  const targets = findTargets(dockerfile, options.targets ?? []);
  const targetStage = dockerfile.stages[targets[0] ?? -1]?.name ?? 'default';
  const globalArgs = readGlobalArgs(dockerfile, { ...options, targetStage });
  const planned = new Map<number, PlannedStage>();
  const lastTarget = Math.max(...targets);
  const roots =
    options.includesUnused === true ? dockerfile.stages.map((stage) => stage.index).filter((index) => index <= lastTarget) : targets;
  const planOne = (index: number): PlannedStage => planStage(dockerfile, index, globalArgs, options);
  for (const root of roots) visit(root, planOne, planned);
  return { stages: [...planned.values()], targets, globalArgs };
}

function findTargets(dockerfile: Dockerfile, targets: readonly string[]): readonly number[] {
  if (targets.length === 0) return [dockerfile.stages.length - 1];
  return targets.map((target) => {
    const index = findNamed(dockerfile, target.toLowerCase()) ?? (/^\d+$/.test(target) ? Number(target) : undefined);
    if (index !== undefined && index < dockerfile.stages.length) return index;
    const names = dockerfile.stages.map((stage) => stage.name ?? String(stage.index));
    const hint = didYouMean(target, names);
    throw new BuilderError('ERR_USAGE', `Cannot build target ${JSON.stringify(target)}: ${dockerfile.name} has no such stage`, {
      hint: `${hint === undefined ? '' : `${hint} `}stages are ${names.join(', ')}`,
    });
  });
}

function planStage(dockerfile: Dockerfile, index: number, globalArgs: GlobalArgs, options: PlanOptions): PlannedStage {
  const stage = dockerfile.stages[index];
  if (stage === undefined) throw new RangeError(`no stage ${index}`);
  const contexts = options.contexts ?? new Set();
  if (stage.name !== undefined && contexts.has(stage.name)) {
    return { stage, base: { kind: 'context', name: stage.name, replacesStage: true }, needs: [], unset: [] };
  }
  const { from } = stage;
  const range = from.imageRange ?? from.range;
  const lookup = (name: string): string | undefined => globalArgs.get(name);
  const image = expandWord(from.image, lookup, { escape: dockerfile.escape, range });
  if (image.value === '') throw blankBase(from.image, image.unset, range);
  const platform =
    from.platform === undefined ? undefined : expandWord(from.platform, lookup, { escape: dockerfile.escape, range: from.range });
  const base = resolveFrom(dockerfile, index, image.value, contexts);
  return {
    stage,
    base,
    ...(platform === undefined || platform.value === '' ? {} : { platform: platform.value }),
    needs: findNeeds(dockerfile, stage, base, contexts, options.triggers?.get(index) ?? []),
    unset: [...image.unset, ...(platform?.unset ?? [])],
  };
}

function blankBase(image: string, unset: readonly string[], range: SourceRange): DockerfileError {
  const [name] = unset;
  const hint =
    name === undefined
      ? 'give the ARG a value'
      : `${name} has no value: write ARG ${name}=... above the first FROM, or pass --build-arg ${name}=...`;
  return new DockerfileError(`Cannot use base image ${image}: it expands to nothing`, range, { hint });
}

// Depth first: a stage is added behind everything it needs, which stands above it or is the stage itself. Without recursion: programs
// write Dockerfiles in which thousands of stages begin with each other.
function visit(root: number, planOne: (index: number) => PlannedStage, planned: Map<number, PlannedStage>): void {
  const open: { readonly planned: PlannedStage; next: number }[] = [];
  const enter = (index: number): void => void (planned.has(index) || open.push({ planned: planOne(index), next: 0 }));
  enter(root);
  for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
    const { index } = last.planned.stage;
    const need = last.planned.needs[last.next++];
    if (need?.index === index) throw needsItself(last.planned, need);
    if (need !== undefined) enter(need.index);
    else {
      planned.set(index, last.planned);
      open.pop();
    }
  }
}

function needsItself({ stage }: PlannedStage, need: StageNeed): DockerfileError {
  return new DockerfileError(`Cannot build stage ${stage.name ?? stage.index}: it needs itself`, need.range, {
    hint: 'copy from another stage, or name this one differently to mean an image',
  });
}
