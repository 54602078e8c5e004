// What a check knows at each instruction: the variables in scope, as far as they can be known without building.
import { BuilderError } from '../errors.ts';
import { GrownMap } from '../grown-map.ts';
import { type GlobalArgs, type PlatformWords, readGlobalArgs } from './global-args.ts';
import type { RuleName } from './check-rules.ts';
import type { Dockerfile, FromInstruction, Instruction, Stage } from './instruction.ts';
import { findNamed } from './stage-needs.ts';
import { expandWord, type Expansion } from './words.ts';

export interface CheckOptions {
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly targetPlatform: PlatformWords;
  readonly buildPlatform: PlatformWords;
  /** True for a context path that .dockerignore excludes; absent where there is no such file, or one with `!` rules. */
  readonly isIgnored?: (path: string) => boolean;
  /** The environment of a base image; undefined where it is unknown, and then only likely slips are reported. */
  readonly baseEnvironment?: (image: string) => ReadonlyMap<string, string> | undefined;
  /** The platform a base image has; undefined where it is unknown. */
  readonly basePlatform?: (image: string) => PlatformWords | undefined;
}

export interface CheckScope {
  readonly environment: ReadonlyMap<string, string>;
  /** ARGs declared so far, set or not. */
  readonly declared: ReadonlyMap<string, true>;
  /** False below a base image whose environment is unknown: any name may be set there. */
  readonly isComplete: boolean;
}

export interface CheckedStage {
  readonly stage: Stage;
  /** The stage this one continues, if it is of this file. */
  readonly base: CheckedStage | undefined;
  /** The base as FROM names it, expanded. */
  readonly image: Expansion;
  readonly steps: readonly { readonly instruction: Instruction; readonly scope: CheckScope }[];
  readonly end: CheckScope;
}

/** What a rule found: `message` says it of this very place. */
export interface Finding {
  readonly rule: RuleName;
  readonly message: string;
  readonly instruction: Instruction | FromInstruction;
}

export interface CheckContext {
  readonly dockerfile: Dockerfile;
  readonly options: CheckOptions;
  readonly globalArgs: GlobalArgs;
  readonly stages: readonly CheckedStage[];
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Walks all stages in the order of the file. @throws ERR_DOCKERFILE when a global default can't be expanded */
export function readCheckContext(dockerfile: Dockerfile, options: CheckOptions): CheckContext {
  const targetStage = dockerfile.stages.at(-1)?.name ?? 'default';
  const globalArgs = readGlobalArgs(dockerfile, { ...options, targetStage });
  const stages: CheckedStage[] = [];
  for (const stage of dockerfile.stages) {
    const image = tryExpand(stage.from.image, (name) => globalArgs.get(name), dockerfile.escape);
    const baseIndex = findNamed(dockerfile, image.value.toLowerCase(), stage.index);
    const base = baseIndex === undefined ? undefined : stages[baseIndex];
    stages.push(walkStage({ dockerfile, options, globalArgs }, stage, base, image));
  }
  return { dockerfile, options, globalArgs, stages };
}

/** Like expandWord(), but a word that can't be expanded stays as it is: that is the build's error, not a check's. */
export function tryExpand(word: string, lookup: (name: string) => string | undefined, escape: '\\' | '`'): Expansion {
  try {
    return expandWord(word, lookup, { escape });
  } catch (error) {
    if (error instanceof BuilderError) return { value: word, unset: [], used: [] };
    throw error;
  }
}

type Setting = Pick<CheckContext, 'dockerfile' | 'options' | 'globalArgs'>;

function walkStage(setting: Setting, stage: Stage, base: CheckedStage | undefined, image: Expansion): CheckedStage {
  let scope = base?.end ?? startScope(image.value, setting.options);
  const steps = stage.instructions.map((instruction) => {
    const step = { instruction, scope };
    scope = scopeAfter(setting, instruction, scope);
    return step;
  });
  return { stage, base, image, steps, end: scope };
}

function startScope(image: string, options: CheckOptions): CheckScope {
  const known = image === 'scratch' ? new Map<string, string>() : options.baseEnvironment?.(image);
  return { environment: new Map([['PATH', defaultPath], ...(known ?? [])]), declared: new Map(), isComplete: known !== undefined };
}

function scopeAfter({ dockerfile, options, globalArgs }: Setting, instruction: Instruction, scope: CheckScope): CheckScope {
  if (instruction.kind !== 'env' && instruction.kind !== 'arg') return scope;
  const expand = (word: string, from: ReadonlyMap<string, string>): string =>
    tryExpand(word, (name) => from.get(name), dockerfile.escape).value;
  if (instruction.kind === 'env') {
    const pairs = instruction.pairs.map(({ key, value }) => [expand(key, scope.environment), expand(value, scope.environment)] as const);
    return { ...scope, environment: GrownMap.with(scope.environment, pairs) };
  }
  let { environment } = scope;
  for (const arg of instruction.args) {
    const value = options.buildArgs.get(arg.name) ?? (arg.value === undefined ? globalArgs.get(arg.name) : expand(arg.value, environment));
    if (value !== undefined) environment = GrownMap.with(environment, [[arg.name, value]]);
  }
  const names = instruction.args.map((arg) => [arg.name, true] as const);
  return { ...scope, environment, declared: GrownMap.with(scope.declared, names) };
}

/** The keyword of an instruction, as it was written. */
export function keywordOf(instruction: Instruction | FromInstruction): string {
  return instruction.notes?.keyword ?? instruction.kind.toUpperCase();
}
