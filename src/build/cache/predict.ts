// Which stages have to be built, and which steps may have to be executed, by what is in the cache.
import type { PlannedStage } from '../../dockerfile/stages.ts';
import { type BuildPlan, hasRun } from '../plan.ts';
import type { ForeseenStage, ForeseenStep } from './foresee.ts';

/** What will become of a build, as far as that can be told before it begins. */
export interface Prospect {
  /** Stages that the targets need. */
  readonly needed: ReadonlySet<number>;
  /** Of those, the ones whose files somebody is going to read. */
  readonly read: ReadonlySet<number>;
  /** Of those, the ones in which a RUN may be executed. */
  readonly run: ReadonlySet<number>;
}

interface StageProspect {
  /** Steps that may be executed. */
  readonly due: readonly ForeseenStep[];
  /** Not all of its steps could be foreseen. */
  readonly isOpen: boolean;
  /** A RUN may be executed again, and may give something else than what later results were made on. */
  readonly isUnsure: boolean;
}

/** `isIn` tells whether the cache has a step's result. @throws what `isIn` throws */
export async function predict(
  plan: BuildPlan,
  foreseen: (index: number) => ForeseenStage,
  isIn: (step: ForeseenStep, stage: number) => Promise<boolean>,
): Promise<Prospect> {
  const prospects = new Map<number, StageProspect>();
  const isUnsure = (index: number): boolean => prospects.get(index)?.isUnsure !== false;
  for (const planned of plan.stages) {
    const { stage, base } = planned;
    const { steps, state } = foreseen(stage.index);
    const due: ForeseenStep[] = [];
    let unsure = base.kind === 'stage' && isUnsure(base.index);
    for (const step of steps) {
      if (!step.makesLayer) continue;
      const isShaky = (unsure && !step.isDetached) || step.reads.some(isUnsure);
      const isHit = step.key !== undefined && !isShaky && (await isIn(step, stage.index));
      if (isHit) continue;
      due.push(step);
      if (step.key === undefined || step.instruction.kind === 'run' || step.reads.some(isUnsure)) unsure = true;
    }
    const isOpen = state === undefined || due.some((step) => step.key === undefined);
    prospects.set(stage.index, { due, isOpen, isUnsure: unsure || isOpen });
  }
  return follow(plan, prospects);
}

function follow(plan: BuildPlan, prospects: ReadonlyMap<number, StageProspect>): Prospect {
  const needed = new Set(plan.targets);
  const read = new Set<number>();
  const run = new Set<number>();
  // Backwards: whoever needs a stage stands behind it.
  for (const planned of plan.stages.toReversed()) {
    const { stage, base } = planned;
    if (!needed.has(stage.index)) continue;
    const prospect = prospects.get(stage.index);
    const reads = readsOf(planned, prospect);
    for (const index of reads) {
      needed.add(index);
      read.add(index);
    }
    const needsOwn = prospect === undefined || prospect.isOpen || prospect.due.some((step) => !step.isDetached);
    if (needsOwn) read.add(stage.index);
    if (prospect?.isOpen === true ? hasRun(planned) : prospect?.due.some(({ instruction }) => instruction.kind === 'run') === true)
      run.add(stage.index);
    if (base.kind !== 'stage') continue;
    needed.add(base.index);
    if (read.has(stage.index)) read.add(base.index);
  }
  return { needed, read, run };
}

/** The stages that steps of this one may have to read from. */
function readsOf({ needs }: PlannedStage, prospect: StageProspect | undefined): readonly number[] {
  if (prospect === undefined || prospect.isOpen) return needs.flatMap(({ index, why }) => (why === 'base' ? [] : [index]));
  return prospect.due.flatMap((step) => step.reads);
}
