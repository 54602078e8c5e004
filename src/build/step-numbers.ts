// How many steps there are, and which one is next.
import type { BuildPlan } from './plan.ts';

/** How many steps a plan has, ONBUILD triggers included. */
export function countSteps({ stages, triggerCounts }: BuildPlan): number {
  return stages.reduce((sum, { stage }) => sum + stage.instructions.length + (triggerCounts.get(stage.index) ?? 0), 0);
}

export interface StepNumbers {
  readonly next: () => number;
  readonly total: number;
}

/** Numbers the steps of a plan; there are more of other platforms before and after them. */
export function numberSteps(plan: BuildPlan, { before, after }: { readonly before: number; readonly after: number }): StepNumbers {
  let number = before;
  return { next: () => ++number, total: before + countSteps(plan) + after };
}
