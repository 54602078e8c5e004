// What --build-arg holds besides values for ARGs: names with a meaning for the builder, and names that nothing uses.
import type { Dockerfile, Instruction } from '../dockerfile/instruction.ts';
import { parseOnbuild } from '../dockerfile/parse.ts';
import { didYouMean } from '../suggest.ts';
import type { Emit } from '../events.ts';
import { proxiesOf } from './sources.ts';

const automatic = /^(?:TARGET|BUILD)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT)$|^TARGETSTAGE$|^SOURCE_DATE_EPOCH$/;

/** What becomes of the arguments that speak to BuildKit; those that are not here are honoured elsewhere. */
const buildkitNames: Readonly<Record<string, string>> = {
  BUILDKIT_BUILD_NAME: 'builds have no names here',
  BUILDKIT_INLINE_CACHE: 'the image carries no cache',
  BUILDKIT_SANDBOX_HOSTNAME: "commands have the container's host name",
  BUILDKIT_SBOM_SCAN_CONTEXT: 'no SBOM is made',
  BUILDKIT_SBOM_SCAN_STAGE: 'no SBOM is made',
  BUILDKIT_SYNTAX: 'the builder reads Dockerfiles itself',
};

const honoured: ReadonlySet<string> = new Set([
  'BUILDKIT_CACHE_MOUNT_NS',
  'BUILDKIT_CONTEXT_KEEP_GIT_DIR',
  'BUILDKIT_DOCKERFILE_CHECK',
  'BUILDKIT_MULTI_PLATFORM',
]);

/** Tells which of the arguments change nothing; `triggers` are the bases' ONBUILD instructions. */
export function judgeBuildArgs(
  dockerfile: Dockerfile,
  triggers: readonly string[],
  buildArgs: ReadonlyMap<string, string>,
  emit: Emit,
): void {
  const declared = declaredArgs(dockerfile, triggers);
  for (const name of buildArgs.keys()) {
    const meaning = buildkitNames[name];
    if (meaning !== undefined) emit({ kind: 'note', level: 'info', message: `--build-arg ${name} changes nothing: ${meaning}` });
    if (meaning !== undefined || isKnown(name) || declared.has(name)) continue;
    const hint = didYouMean(name, declared);
    const message = `--build-arg ${name} is not used: no ARG declares it${hint === undefined ? '' : ` (${hint})`}`;
    emit({ kind: 'warning', code: `unused-build-arg ${name}`, message });
  }
}

function isKnown(name: string): boolean {
  return automatic.test(name) || honoured.has(name) || proxiesOf(new Map([[name, '']])).size > 0;
}

function declaredArgs(dockerfile: Dockerfile, triggers: readonly string[]): ReadonlySet<string> {
  const [first] = dockerfile.stages;
  const own: readonly Instruction[] = [...dockerfile.globalArgs, ...dockerfile.stages.flatMap((stage) => stage.instructions)];
  const inherited = first === undefined ? [] : triggers.map((expression) => parseOnbuild(expression, first.from.range));
  const triggered = own.flatMap((instruction) =>
    instruction.kind === 'onbuild' ? [parseOnbuild(instruction.expression, instruction.range)] : [],
  );
  const args = [...own, ...triggered, ...inherited].flatMap((instruction) => (instruction.kind === 'arg' ? instruction.args : []));
  return new Set(args.map((arg) => arg.name));
}
