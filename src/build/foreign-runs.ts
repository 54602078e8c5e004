// RUN for another architecture than this machine's: possible where an emulator is registered with the kernel, else told at once.
import type { PlannedStage } from '../dockerfile/stages.ts';
import { BuilderError } from '../errors.ts';
import { mayStartPrograms } from '../linux/foreign-programs.ts';
import type { BaseImages } from './base-images.ts';
import type { BuildPlan } from './plan.ts';

/**
 * Refuses a RUN that is going to be executed (`willRun`) where the kernel does not start its stage's programs.
 * @throws ERR_UNSUPPORTED, pinned to the RUN
 */
export async function refuseForeignRuns(
  plan: BuildPlan,
  willRun: (planned: PlannedStage) => boolean,
  describe: BaseImages['describe'],
): Promise<void> {
  for (const planned of plan.stages) {
    const run = planned.stage.instructions.find(({ kind }) => kind === 'run');
    const architecture = run === undefined || !willRun(planned) ? undefined : await architectureOf(planned, plan, describe);
    if (run === undefined || architecture === undefined || mayStartPrograms(architecture)) continue;
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot run commands for linux/${architecture}: this machine starts no such programs`, {
      range: run.range,
      hint: 'build on a node with that architecture (nodeSelector: kubernetes.io/arch), or register qemu on this one (binfmt_misc); COPY and settings need neither',
    });
  }
}

/** Of the programs that are there: the base image's, whatever was asked for. */
async function architectureOf(planned: PlannedStage, plan: BuildPlan, describe: BaseImages['describe']): Promise<string | undefined> {
  const { base, stage } = planned;
  if (base.kind === 'stage') {
    const below = plan.stages.find((other) => other.stage.index === base.index);
    return below === undefined ? undefined : await architectureOf(below, plan, describe);
  }
  const platform = plan.platforms.get(stage.index);
  // Known by now: it was asked for when the plan was made.
  const image = base.kind === 'image' && platform !== undefined ? await describe(base.image, platform) : undefined;
  return image?.config.architecture ?? platform?.architecture;
}
