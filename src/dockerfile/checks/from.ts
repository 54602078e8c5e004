// UndefinedArgInFrom, InvalidDefaultArgInFrom, RedundantTargetPlatform, FromPlatformFlagConstDisallowed, InvalidBaseImagePlatform.
import { BuilderError } from '../../errors.ts';
import { type CheckContext, type CheckedStage, type Finding, tryExpand } from '../check-scope.ts';
import { type GlobalArgs, type PlatformWords, readGlobalArgs } from '../global-args.ts';
import { findNamed } from '../stage-needs.ts';
import { suggest } from '../../suggest.ts';

/** Base images and their platforms. */
export function* checkFrom(context: CheckContext): Generator<Finding> {
  for (const stage of context.stages) {
    yield* checkUndefined(context, stage);
    yield* checkPlatformFlag(context, stage);
    yield* checkBasePlatform(context, stage);
  }
  yield* checkDefaults(context);
}

function* checkUndefined({ dockerfile, globalArgs }: CheckContext, { stage, image }: CheckedStage): Generator<Finding> {
  const platform = tryExpand(stage.from.platform ?? '', (name) => globalArgs.get(name), dockerfile.escape);
  for (const name of new Set([...image.unset, ...platform.unset])) {
    if (globalArgs.has(name)) continue; // declared, without a value
    const near = suggest(name, globalArgs.keys());
    const message = `FROM argument '${name}' is not declared${near === undefined ? '' : ` (did you mean ${near}?)`}`;
    yield { rule: 'UndefinedArgInFrom', message, instruction: stage.from };
  }
}

function* checkPlatformFlag({ dockerfile, globalArgs }: CheckContext, { stage }: CheckedStage): Generator<Finding> {
  const written = stage.from.platform;
  if (written === undefined) return;
  const { value, used, unset } = tryExpand(written, (name) => globalArgs.get(name), dockerfile.escape);
  const instruction = stage.from;
  if (used.length === 1 && used[0] === 'TARGETPLATFORM' && unset.length === 0 && value === globalArgs.get('TARGETPLATFORM')) {
    yield {
      rule: 'RedundantTargetPlatform',
      message: `Setting platform to predefined ${written} in FROM is redundant as this is the default behavior`,
      instruction,
    };
  }
  if (used.length > 0 || unset.length > 0) return;
  // A stage named after its platform (build-arm64) means the constant.
  const words = platformWords(value);
  if (words === undefined || words.some((word) => stage.name?.includes(word) === true)) return;
  yield {
    rule: 'FromPlatformFlagConstDisallowed',
    message: `FROM --platform flag should not use constant value ${JSON.stringify(value)}`,
    instruction,
  };
}

const systems: ReadonlySet<string> = new Set(['linux', 'windows', 'darwin', 'freebsd']);
const aliases: ReadonlyMap<string, string> = new Map([
  ['x86_64', 'amd64'],
  ['x86-64', 'amd64'],
  ['aarch64', 'arm64'],
  ['i386', '386'],
  ['armhf', 'arm'],
  ['armel', 'arm'],
]);

// The system and architecture a platform names, or undefined for what is no platform.
function platformWords(value: string): readonly string[] | undefined {
  const parts = value.toLowerCase().split('/');
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) return undefined;
  const [first = '', second] = parts;
  const named = parts.length === 1 && !systems.has(first) ? ['linux', first] : [first, second ?? ''];
  return named.filter((word) => word !== '').map((word) => aliases.get(word) ?? word);
}

function* checkBasePlatform({ dockerfile, options, globalArgs }: CheckContext, { stage, base, image }: CheckedStage): Generator<Finding> {
  if (base !== undefined || image.value === 'scratch') return;
  const actual = options.basePlatform?.(image.value);
  if (actual === undefined) return;
  const target = globalArgs.get('TARGETPLATFORM') ?? format(options.targetPlatform);
  const given = tryExpand(stage.from.platform ?? '', (name) => globalArgs.get(name), dockerfile.escape).value;
  const wanted = given === '' ? target : given;
  const [os, architecture = options.targetPlatform.architecture] = platformWords(wanted) ?? [];
  if (os === undefined || (actual.os === os && actual.architecture === architecture)) return;
  const message = `Base image ${image.value} was pulled with platform ${JSON.stringify(format(actual))}, expected ${JSON.stringify(wanted)} for current build`;
  yield { rule: 'InvalidBaseImagePlatform', message, instruction: stage.from };
}

function format({ os, architecture, variant }: PlatformWords): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

// FROM must make sense with the defaults alone, whatever this build passes.
function* checkDefaults({ dockerfile, options }: CheckContext): Generator<Finding> {
  const defaults = defaultArgs(dockerfile, options);
  if (defaults === undefined) return;
  for (const { from, index } of dockerfile.stages) {
    const { value: image, used, unset } = tryExpand(from.image, (name) => defaults.get(name), dockerfile.escape);
    const isWithoutArgs = used.length === 0 && unset.length === 0;
    if (isWithoutArgs || isImageName(image) || findNamed(dockerfile, image.toLowerCase(), index) !== undefined) continue;
    const message = `Default value for ARG ${from.image} results in empty or invalid base image name`;
    yield { rule: 'InvalidDefaultArgInFrom', message, instruction: from };
  }
}

// A default that can't be expanded and is replaced by a --build-arg is no finding.
function defaultArgs(dockerfile: CheckContext['dockerfile'], options: CheckContext['options']): GlobalArgs | undefined {
  try {
    return readGlobalArgs(dockerfile, { ...options, buildArgs: new Map(), targetStage: 'default' });
  } catch (error) {
    if (error instanceof BuilderError) return undefined;
    throw error;
  }
}

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const host = '(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])(?::\\d+)?';
const imageName = new RegExp(
  `^(?:${host}/)?${component}(?:/${component})*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@[a-z0-9+._-]+:[0-9a-fA-F]{32,})?$`,
);

function isImageName(text: string): boolean {
  return imageName.test(text);
}
