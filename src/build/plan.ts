// Which stages are built and in what order: the language's plan, made again once the bases' ONBUILD triggers are known.
import { DockerfileError, messageOf } from '../errors.ts';
import type { Dockerfile, Instruction } from '../dockerfile/instruction.ts';
import { parseOnbuild } from '../dockerfile/parse.ts';
import { type StageNeed, contextName, triggersOfStage } from '../dockerfile/stage-needs.ts';
import { type PlanOptions, type PlannedStage, type StagePlan, planStages } from '../dockerfile/stages.ts';
import type { Image } from '../oci/image.ts';
import { type Platform, parsePlatform } from '../oci/platform.ts';
import type { BuildRequest } from './request.ts';

/** A planned stage with the platform it is built for. */
export interface BuildPlan extends StagePlan {
  readonly platforms: ReadonlyMap<number, Platform>;
  /** How many ONBUILD triggers each stage's base brings. */
  readonly triggerCounts: ReadonlyMap<number, number>;
}

/**
 * Plans the build. Base images are described (not downloaded) because their triggers may need further stages.
 * @throws ERR_USAGE, ERR_DOCKERFILE, and whatever describing an image throws.
 */
export async function planBuild(
  dockerfile: Dockerfile,
  request: BuildRequest,
  describe: (name: string, platform: Platform, stage: PlannedStage) => Promise<Image>,
): Promise<BuildPlan> {
  const images = new Set(request.namedContexts.flatMap(({ name, place }) => (isImagePlace(place) ? [contextName(name)] : [])));
  const triggers = new Map<number, readonly Instruction[]>();
  const options = { ...planOptions(request), triggers };
  for (;;) {
    const plan = planStages(dockerfile, options);
    const platforms = new Map(plan.stages.map((planned) => [planned.stage.index, platformOf(planned, request)]));
    const unknown = plan.stages.filter((planned) => !triggers.has(planned.stage.index));
    if (unknown.length === 0)
      return {
        ...plan,
        platforms,
        triggerCounts: new Map(plan.stages.map((planned) => [planned.stage.index, countTriggers(dockerfile, planned, triggers)])),
      };
    for (const planned of unknown) {
      const expressions = await onbuildOf(planned, platforms.get(planned.stage.index) ?? request.platform, images, describe);
      const { range } = planned.stage.from;
      triggers.set(
        planned.stage.index,
        expressions.map((expression) => parseOnbuild(expression, range)),
      );
    }
  }
}

/** Whether a --build-context is an image; else it is a folder. */
export function isImagePlace(place: string): boolean {
  return /^(?:docker-image|oci-layout):\/\//.test(place);
}

/** True where a later stage than `position` in the plan's order, or one of its targets, still reads from this stage. */
export function isNeededAfter(plan: StagePlan, index: number, position: number, why: readonly ('base' | 'copy' | 'mount')[]): boolean {
  return plan.stages.slice(position).some((later) => later.needs.some((need) => need.index === index && why.includes(need.why)));
}

/**
 * True where only this stage reads another one, and all at once: once, or with no RUN from the first time to the last. Whoever RUNs
 * after that may have its files.
 */
export function isReadAtOnce(plan: StagePlan, { stage, needs }: PlannedStage, index: number): boolean {
  const isOf = (need: StageNeed): boolean => need.index === index;
  const own = needs.filter(isOf);
  const isOnlyReader = own.length === plan.stages.flatMap((each) => each.needs).filter(isOf).length && !plan.targets.includes(index);
  const lines = own.map(({ range }) => range.start.line);
  const [first, last] = [Math.min(...lines), Math.max(...lines)];
  // Triggers stand at the FROM, in no order that is known here.
  const isInOrder = first > stage.from.range.start.line;
  const hasRunBetween = stage.instructions.some(
    ({ kind, range: { start } }) => kind === 'run' && start.line >= first && start.line <= last,
  );
  return isOnlyReader && (own.length === 1 || (isInOrder && !hasRunBetween));
}

/** What of a request decides which stages are built. */
export function planOptions(request: BuildRequest): PlanOptions {
  const { targets, buildArgs, platform: targetPlatform, buildPlatform, namedContexts } = request;
  return { targets, buildArgs, targetPlatform, buildPlatform, contexts: new Set(namedContexts.map(({ name }) => contextName(name))) };
}

/** True where the layers of this stage are the published image's: it is the target, or what the target is FROM, and so on. */
export function isPartOfTarget(plan: StagePlan, index: number): boolean {
  let part = plan.targets[0];
  // Backwards: a base stands before whoever begins with it.
  for (const { stage, base } of plan.stages.toReversed()) {
    if (part === index) return true;
    if (stage.index === part) part = base.kind === 'stage' ? base.index : undefined;
  }
  return part === index;
}

/** True where nobody asks for the layers of a stage: it is no target, and no stage from `position` on begins with it. */
export function isOnlyRead(plan: StagePlan, index: number, position: number): boolean {
  return !plan.targets.includes(index) && !isNeededAfter(plan, index, position, ['base']);
}

/** True where a RUN needs the stage's files on disk: its own, or that of one that begins with it. */
export function isRunUpon(plan: StagePlan, planned: PlannedStage, willRun: (stage: PlannedStage) => boolean): boolean {
  const family = new Set([planned.stage.index]);
  return plan.stages.some((each) => {
    const { stage, base } = each;
    if (base.kind === 'stage' && family.has(base.index)) family.add(stage.index);
    return family.has(stage.index) && willRun(each);
  });
}

/** True where a stage has a RUN, or a base has triggers, which may be one. */
export function mayRun(plan: BuildPlan): boolean {
  return plan.stages.some((planned) => hasRun(planned) || (plan.triggerCounts.get(planned.stage.index) ?? 0) > 0);
}

/** True where a RUN is among a stage's own instructions. */
export function hasRun({ stage }: PlannedStage): boolean {
  return stage.instructions.some(({ kind }) => kind === 'run');
}

/** True where a stage from `position` on begins with the same image from outside, maybe by way of stages that only name or set things. */
export function beginsAgain(plan: StagePlan, planned: PlannedStage, position: number): boolean {
  const names = outsideBases(plan);
  const name = names.get(planned.stage.index);
  return name !== undefined && plan.stages.slice(position).some(({ stage }) => names.get(stage.index) === name);
}

/** What each stage begins with from outside, by its index. In one pass: thousands of stages may begin with each other. */
function outsideBases({ stages }: StagePlan): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  const onlySetting = new Set<number>();
  for (const { stage, base } of stages) {
    if (stage.instructions.every(({ kind }) => !['run', 'copy', 'add', 'workdir'].includes(kind))) onlySetting.add(stage.index);
    const inherited = base.kind === 'stage' && onlySetting.has(base.index) ? names.get(base.index) : undefined;
    const name = base.kind === 'image' ? `image ${base.image}` : base.kind === 'context' ? `context ${base.name}` : inherited;
    if (name !== undefined) names.set(stage.index, name);
  }
  return names;
}

function countTriggers(dockerfile: Dockerfile, planned: PlannedStage, triggers: ReadonlyMap<number, readonly Instruction[]>): number {
  const { base, stage } = planned;
  return base.kind === 'stage' ? triggersOfStage(dockerfile, base.index, stage).length : (triggers.get(stage.index)?.length ?? 0);
}

async function onbuildOf(
  planned: PlannedStage,
  platform: Platform,
  images: ReadonlySet<string>,
  describe: (name: string, platform: Platform, stage: PlannedStage) => Promise<Image>,
): Promise<readonly string[]> {
  const { base } = planned;
  // Triggers of a stage of this file are read by the language's own plan; one that is replaced is taken as it is.
  if (base.kind === 'image') return (await describe(base.image, platform, planned)).config.config.onBuild ?? [];
  if (base.kind !== 'context' || base.replacesStage || !images.has(base.name)) return [];
  return (await describe(base.name, platform, planned)).config.config.onBuild ?? [];
}

function platformOf(planned: PlannedStage, request: BuildRequest): Platform {
  if (planned.platform === undefined) return request.platform;
  try {
    return parsePlatform(planned.platform, request.buildPlatform);
  } catch (error) {
    const { range } = planned.stage.from;
    throw new DockerfileError(messageOf(error), range, { cause: error });
  }
}
