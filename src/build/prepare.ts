// Before anything is built: the plan, the checks, and what of the command line can't be honoured or changes nothing.
import type { Dockerfile, RunInstruction } from '../dockerfile/instruction.ts';
import type { PlannedStage } from '../dockerfile/stages.ts';
import { pinnedTo } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import type { Image } from '../oci/image.ts';
import type { BaseImages } from './base-images.ts';
import { type RefusedFolder, refuseWorkInContexts } from './context-work.ts';
import { judgeBuildArgs } from './build-args.ts';
import { warnOfViolations } from './checks.ts';
import { refuseForeignRuns } from './foreign-runs.ts';
import { atFrom, withStageHint } from './image-trouble.ts';
import { refuseWhatNeedsPrivileges } from './instructions/run.ts';
import { type BuildPlan, hasRun, planBuild } from './plan.ts';
import { describePlan } from './plan-text.ts';
import type { BuildPorts } from './ports.ts';
import type { BuildRequest } from './request.ts';

/**
 * The plan of a build that can begin, told where the request wants it.
 * @throws BuilderError; nothing was downloaded or changed
 */
export async function prepareBuild(
  dockerfile: Dockerfile,
  request: BuildRequest,
  ports: Pick<BuildPorts, 'context' | 'emit'>,
  bases: BaseImages,
  refused: readonly RefusedFolder[] = [],
): Promise<BuildPlan> {
  const { emit } = ports;
  const known = new Map<string, Image>();
  const plan = await planBuild(dockerfile, request, async (name, platform, planned) => {
    const image = await atFrom(planned, () => bases.describe(name, platform)).catch((error: unknown) => {
      throw withStageHint(error, name, dockerfile);
    });
    known.set(name, image);
    return image;
  });
  warnOfSyntax(dockerfile, emit);
  const triggers = [...known.values()].flatMap((image) => image.config.config.onBuild ?? []);
  judgeBuildArgs(dockerfile, triggers, request.buildArgs, emit);
  for (const { stage } of plan.stages) {
    for (const instruction of stage.instructions) if (instruction.kind === 'run') refuseEarly(instruction, request);
  }
  // What a cache has of them is known later.
  if (!request.planOnly && request.cache === undefined) await refuseForeignRuns(plan, hasRun, bases.describe);
  const workingDirOf = ({ base }: PlannedStage): string | undefined =>
    base.kind === 'scratch' ? '/' : base.kind === 'image' ? (known.get(base.image)?.config.config.workingDir ?? '/') : undefined;
  refuseWorkInContexts(plan.stages, workingDirOf, refused);
  if (request.printChecks) {
    const { ignore } = ports.context;
    warnOfViolations(dockerfile, request, { ...given({ ignore }), baseImage: (name) => known.get(name) }, emit);
  }
  if (request.printsPlan || request.planOnly) {
    for (const message of describePlan(dockerfile, plan, request)) emit({ kind: 'plan', message });
  }
  return plan;
}

/** What no RUN can have here is said before the first base is downloaded. */
function refuseEarly(instruction: RunInstruction, request: BuildRequest): void {
  try {
    refuseWhatNeedsPrivileges(instruction, request.network);
  } catch (error) {
    throw pinnedTo(instruction.range, error);
  }
}

function warnOfSyntax({ syntax }: Dockerfile, emit: Emit): void {
  if (syntax === undefined || /(?:^|\/)docker\/dockerfile(?:-upstream)?(?:[:@]|$)/.test(syntax)) return;
  const message = `# syntax=${syntax} is not pulled: the file is read as docker/dockerfile reads it`;
  emit({ kind: 'warning', code: 'syntax', message, range: { start: { line: 1, column: 1 }, end: { line: 1, column: 1 } } });
}
