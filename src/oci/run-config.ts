// The `config` member of an image config: how a container of the image runs.
import { given } from '../given.ts';
import { keys, malformed, put, rest, sorted, strings, textOf, whole } from './config-members.ts';
import type { Json, JsonObject } from './json.ts';

export interface Healthcheck {
  readonly test: readonly string[];
  /** Nanoseconds, as the config stores them; absent and 0 mean the engine's default. */
  readonly intervalNs?: number;
  readonly timeoutNs?: number;
  readonly startPeriodNs?: number;
  readonly startIntervalNs?: number;
  readonly retries?: number;
}

export interface RunConfig {
  readonly user?: string;
  readonly exposedPorts?: readonly string[];
  /** `NAME=value`, in order. */
  readonly env: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly volumes?: readonly string[];
  readonly workingDir?: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly stopSignal?: string;
  readonly healthcheck?: Healthcheck;
  readonly shell?: readonly string[];
  readonly onBuild?: readonly string[];
  readonly argsEscaped?: boolean;
  readonly unknown: JsonObject;
}

const knownRun: ReadonlySet<string> = new Set([
  ...'User ExposedPorts Env Entrypoint Cmd Volumes WorkingDir Labels StopSignal Healthcheck Shell OnBuild ArgsEscaped'.split(' '),
  // Of a container, not of an image; docker writes them empty.
  ...'Hostname Domainname AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Image MacAddress NetworkDisabled'.split(' '),
]);

/** @throws ERR_LAYER naming the member whose type is wrong */
export function parseRunConfig(run: JsonObject): RunConfig {
  const labels = run.get('Labels') ?? new Map();
  if (!(labels instanceof Map)) throw malformed('config.Labels', 'an object');
  const parsedLabels = new Map<string, string>();
  for (const [key, value] of labels) {
    if (typeof value !== 'string') throw malformed(`config.Labels.${key}`, 'a string');
    parsedLabels.set(key, value);
  }
  const escaped = run.get('ArgsEscaped');
  return {
    ...given({ user: textOf(run, 'User') || undefined, exposedPorts: keys(run, 'ExposedPorts') }),
    env: strings(run, 'Env') ?? [],
    ...given({
      entrypoint: strings(run, 'Entrypoint'),
      cmd: strings(run, 'Cmd'),
      volumes: keys(run, 'Volumes'),
      workingDir: textOf(run, 'WorkingDir') || undefined,
    }),
    labels: parsedLabels,
    ...given({
      stopSignal: textOf(run, 'StopSignal') || undefined,
      healthcheck: parseHealthcheck(run.get('Healthcheck')),
      shell: strings(run, 'Shell'),
      onBuild: strings(run, 'OnBuild'),
    }),
    ...(escaped === true ? { argsEscaped: true } : {}),
    unknown: rest(run, knownRun),
  };
}

/** Known members in the specification's order, then the unknown ones by name. */
export function formatRunConfig(run: RunConfig): JsonObject {
  const out = new Map<string, Json>();
  put(out, 'User', run.user);
  if (run.exposedPorts !== undefined && run.exposedPorts.length > 0) out.set('ExposedPorts', keySet(run.exposedPorts));
  if (run.env.length > 0) out.set('Env', [...run.env]);
  if (run.entrypoint !== undefined) out.set('Entrypoint', [...run.entrypoint]);
  if (run.cmd !== undefined) out.set('Cmd', [...run.cmd]);
  if (run.volumes !== undefined && run.volumes.length > 0) out.set('Volumes', keySet(run.volumes));
  put(out, 'WorkingDir', run.workingDir);
  if (run.labels.size > 0) out.set('Labels', new Map(sorted(run.labels)));
  put(out, 'StopSignal', run.stopSignal);
  if (run.healthcheck !== undefined) out.set('Healthcheck', formatHealthcheck(run.healthcheck));
  if (run.shell !== undefined) out.set('Shell', [...run.shell]);
  if (run.onBuild !== undefined && run.onBuild.length > 0) out.set('OnBuild', [...run.onBuild]);
  if (run.argsEscaped === true) out.set('ArgsEscaped', true);
  for (const [key, value] of sorted(run.unknown)) out.set(key, value);
  return out;
}

function parseHealthcheck(value: Json | undefined): Healthcheck | undefined {
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Map)) throw malformed('config.Healthcheck', 'an object');
  return {
    test: strings(value, 'Test') ?? [],
    ...given({
      intervalNs: whole(value, 'Interval'),
      timeoutNs: whole(value, 'Timeout'),
      startPeriodNs: whole(value, 'StartPeriod'),
      startIntervalNs: whole(value, 'StartInterval'),
      retries: whole(value, 'Retries'),
    }),
  };
}

function formatHealthcheck(check: Healthcheck): JsonObject {
  const out = new Map<string, Json>();
  if (check.test.length > 0) out.set('Test', [...check.test]);
  const numbers: readonly (readonly [string, number | undefined])[] = [
    ['Interval', check.intervalNs],
    ['Timeout', check.timeoutNs],
    ['StartPeriod', check.startPeriodNs],
    ['StartInterval', check.startIntervalNs],
    ['Retries', check.retries],
  ];
  for (const [key, value] of numbers) if (value !== undefined && value !== 0) out.set(key, value);
  return out;
}

function keySet(names: readonly string[]): JsonObject {
  return new Map([...names].toSorted().map((name): [string, Json] => [name, new Map()]));
}
