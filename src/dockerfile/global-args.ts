// The scope above the first FROM: automatic platform ARGs, then the ARGs written there.
import type { ArgInstruction, Dockerfile } from './instruction.ts';
import { expandWord } from './words.ts';

/** A platform in the words of `oci/platform.ts`, which this room doesn't import. */
export interface PlatformWords {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
}

export interface GlobalScope {
  /** Values of --build-arg by name. */
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly targetPlatform: PlatformWords;
  readonly buildPlatform: PlatformWords;
  /** Name of the target stage; `default` when it has none. */
  readonly targetStage: string;
}

/** Name → value in order of declaration; undefined for an ARG that is declared and has no value. */
export type GlobalArgs = ReadonlyMap<string, string | undefined>;

/**
 * All ARGs that FROM can use, and that a stage gets by declaring them again without a value.
 * @throws ERR_DOCKERFILE when a default can't be expanded
 */
export function readGlobalArgs(dockerfile: Pick<Dockerfile, 'globalArgs' | 'escape'>, scope: GlobalScope): GlobalArgs {
  const values = new Map<string, string | undefined>(automaticArgs(scope));
  for (const instruction of dockerfile.globalArgs) {
    for (const arg of instruction.args) declare(values, instruction, arg, dockerfile.escape, scope.buildArgs);
  }
  return values;
}

/** The ARGs nobody needs to write: TARGETPLATFORM and its kin, each replaced by a --build-arg of its name. */
export function automaticArgs(scope: GlobalScope): ReadonlyMap<string, string> {
  const values = new Map([
    ...platformArgs('BUILD', scope.buildPlatform),
    ...platformArgs('TARGET', scope.targetPlatform),
    ['TARGETSTAGE', scope.targetStage] as const,
  ]);
  for (const name of values.keys()) {
    const given = scope.buildArgs.get(name);
    if (given !== undefined) values.set(name, given);
  }
  return values;
}

function platformArgs(prefix: string, platform: PlatformWords): readonly (readonly [string, string])[] {
  const parts = [platform.os, platform.architecture, platform.variant ?? ''].filter((part) => part !== '');
  return [
    [`${prefix}PLATFORM`, parts.join('/')],
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform.osVersion ?? ''],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ];
}

function declare(
  values: Map<string, string | undefined>,
  instruction: ArgInstruction,
  arg: ArgInstruction['args'][number],
  escape: '\\' | '`',
  buildArgs: ReadonlyMap<string, string>,
): void {
  const given = buildArgs.get(arg.name);
  const lookup = (name: string): string | undefined => values.get(name);
  // A value from the command line is taken as it is; only a default is expanded.
  if (given !== undefined) values.set(arg.name, given);
  else if (arg.value !== undefined) values.set(arg.name, expandWord(arg.value, lookup, { escape, range: instruction.range }).value);
  else if (!values.has(arg.name)) values.set(arg.name, undefined);
}
