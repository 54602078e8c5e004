// The plan of a build in words: --dryrun prints it instead of building, KANIKO_PRINT_PLAN before building.
import { hideCredentials } from '../errors.ts';
import type { Dockerfile } from '../dockerfile/instruction.ts';
import type { PlannedStage } from '../dockerfile/stages.ts';
import { formatPlatform } from '../oci/platform.ts';
import { formatReference } from '../oci/reference.ts';
import type { BuildPlan } from './plan.ts';
import type { BuildRequest } from './request.ts';

/** One line for each stage in the order of building, its steps below it, then what is left out and where the image goes. */
export function describePlan(dockerfile: Dockerfile, plan: BuildPlan, request: BuildRequest): readonly string[] {
  const left = dockerfile.stages.filter((stage) => !plan.stages.some((planned) => planned.stage === stage));
  const lines = plan.stages.flatMap((planned) => describeStage(dockerfile, planned, plan, request));
  if (left.length > 0) lines.push(`not needed: ${left.map((stage) => stage.name ?? String(stage.index)).join(', ')}`);
  return [...lines, ...describeOutput(request)];
}

function describeStage(dockerfile: Dockerfile, planned: PlannedStage, plan: BuildPlan, request: BuildRequest): readonly string[] {
  const { stage, base } = planned;
  const platform = formatPlatform(plan.platforms.get(stage.index) ?? request.platform);
  const target = plan.targets[0] === stage.index ? ', the image' : plan.targets.includes(stage.index) ? ', a target' : '';
  const head = `stage ${stage.name ?? stage.index}: FROM ${nameOfBase(dockerfile, planned)} (${platform})${target}`;
  if (base.kind === 'context' && base.replacesStage) return [`${head}, replaced by --build-context`];
  const triggers = plan.triggerCounts.get(stage.index) ?? 0;
  const inherited = triggers === 0 ? [] : [`  ${triggers} ONBUILD triggers of the base`];
  return [head, ...inherited, ...stage.instructions.map((instruction) => `  ${hideCredentials(instruction.text)}`)];
}

function nameOfBase(dockerfile: Dockerfile, { base }: PlannedStage): string {
  switch (base.kind) {
    case 'scratch':
      return 'scratch';
    case 'stage':
      return `stage ${dockerfile.stages[base.index]?.name ?? base.index}`;
    case 'context':
      return `context ${base.name}`;
    default:
      return base.image;
  }
}

function describeOutput({ output }: BuildRequest): readonly string[] {
  const places = [
    ...(output.noPush ? [] : output.destinations.map((reference) => `push ${formatReference(reference)}`)),
    ...(output.ociLayoutPath === undefined ? [] : [`write oci:${output.ociLayoutPath}`]),
    ...(output.tarPath === undefined ? [] : [`write docker-archive:${output.tarPath}`]),
  ];
  return places.length === 0 ? ['the image goes nowhere'] : places;
}
