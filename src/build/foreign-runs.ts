// RUN for another architecture than this machine's: possible where an emulator is registered with the kernel, else told at once.
import type { PlannedStage } from '../dockerfile/stages.ts';
import { BuilderError } from '../errors.ts';
import { mayStartPrograms } from '../linux/foreign-programs.ts';
import type { Image } from '../oci/image.ts';
import type { BuildPlan } from './plan.ts';
import type { BuildRequest } from './request.ts';

/**
 * Refuses a RUN whose stage's programs the kernel does not start. A cache may have what it makes: then it is tried.
 * @throws ERR_UNSUPPORTED, pinned to the RUN
 */
export function refuseForeignRuns(
  plan: BuildPlan,
  request: BuildRequest,
  imageOf: (name: string) => Image | undefined,
  mayStart: (architecture: string) => boolean = mayStartPrograms,
): void {
  if (request.cache !== undefined) return;
  for (const planned of plan.stages) {
    const run = planned.stage.instructions.find(({ kind }) => kind === 'run');
    const architecture = run === undefined ? undefined : architectureOf(planned, plan, imageOf);
    if (run === undefined || architecture === undefined || mayStart(architecture)) continue;
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot run commands for linux/${architecture}: this machine starts no such programs`, {
      range: run.range,
      hint: 'build on a node with that architecture (nodeSelector: kubernetes.io/arch), or register qemu on this one (binfmt_misc); COPY and settings need neither',
    });
  }
}

/** Of the programs that are there: the base image's, whatever was asked for. */
function architectureOf(planned: PlannedStage, plan: BuildPlan, imageOf: (name: string) => Image | undefined): string | undefined {
  const { base, stage } = planned;
  if (base.kind === 'stage') {
    const below = plan.stages.find((other) => other.stage.index === base.index);
    return below === undefined ? undefined : architectureOf(below, plan, imageOf);
  }
  const image = base.kind === 'image' ? imageOf(base.image) : undefined;
  return image?.config.architecture ?? plan.platforms.get(stage.index)?.architecture;
}
