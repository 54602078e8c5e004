// The `config` member of an image config: how a container of the image runs.
import { given } from '../given.ts';
import { keys, malformed, rest, sorted, strings, textOf, whole } from './config-members.ts';
import { type Json, type JsonObject, jsonObject } from './json.ts';

export interface Healthcheck {
  readonly test: readonly string[];
  /** Nanoseconds, as the config stores them; absent and 0 mean the engine's default. */
  readonly intervalNs?: number;
  readonly timeoutNs?: number;
  readonly startPeriodNs?: number;
  readonly startIntervalNs?: number;
  readonly retries?: number;
}

/** A config has a set as an object whose members are empty. */
export type NameSet = ReadonlyMap<string, true>;

export interface RunConfig {
  readonly user?: string;
  readonly exposedPorts?: NameSet;
  /** `NAME=value`, in order. */
  readonly env: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly volumes?: NameSet;
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
    // Go, in which the others are written, reads null as nothing.
    if (typeof value !== 'string' && value !== null) throw malformed(`config.Labels.${key}`, 'a string');
    parsedLabels.set(key, value ?? '');
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
  const known = jsonObject({
    User: run.user || undefined,
    ExposedPorts: keySet(run.exposedPorts),
    Env: present(run.env),
    Entrypoint: run.entrypoint,
    Cmd: run.cmd,
    Volumes: keySet(run.volumes),
    WorkingDir: run.workingDir || undefined,
    Labels: run.labels.size > 0 ? new Map(sorted(run.labels)) : undefined,
    StopSignal: run.stopSignal || undefined,
    Healthcheck: run.healthcheck === undefined ? undefined : formatHealthcheck(run.healthcheck),
    Shell: run.shell,
    OnBuild: present(run.onBuild),
    ArgsEscaped: run.argsEscaped || undefined,
  });
  return new Map([...known, ...sorted(run.unknown)]);
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
  return jsonObject({
    Test: present(check.test),
    Interval: check.intervalNs || undefined,
    Timeout: check.timeoutNs || undefined,
    StartPeriod: check.startPeriodNs || undefined,
    StartInterval: check.startIntervalNs || undefined,
    Retries: check.retries || undefined,
  });
}

function present(list: readonly string[] | undefined): readonly string[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

function keySet(names: NameSet | undefined): JsonObject | undefined {
  if (names === undefined || names.size === 0) return undefined;
  return new Map([...names.keys()].toSorted().map((name): [string, Json] => [name, new Map()]));
}
