// OCI image-spec config.md: what an image says about itself. Foreign JSON: members that we don't know are kept, and
// keys such as `__proto__` are only keys, so maps stand where JSON has objects with free keys.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { type Digest, isDigest } from './digest.ts';
import { type Json, type JsonObject, parseJson, formatJson } from './json.ts';

export interface Healthcheck {
  readonly test: readonly string[];
  /** Nanoseconds, as the config stores them; absent and 0 mean the engine's default. */
  readonly intervalNs?: number;
  readonly timeoutNs?: number;
  readonly startPeriodNs?: number;
  readonly startIntervalNs?: number;
  readonly retries?: number;
}

/** The `config` member: how a container of this image runs. */
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

export interface HistoryEntry {
  readonly created?: string;
  readonly createdBy?: string;
  readonly comment?: string;
  readonly author?: string;
  readonly emptyLayer?: boolean;
}

export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly osVersion?: string;
  readonly created?: string;
  readonly author?: string;
  readonly config: RunConfig;
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
  readonly unknown: JsonObject;
}

/** The config of `FROM scratch` before any instruction. */
export function emptyImageConfig(platform: { readonly os: string; readonly architecture: string; readonly variant?: string }): ImageConfig {
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...given({ variant: platform.variant }),
    config: { env: [], labels: new Map(), unknown: new Map() },
    diffIds: [],
    history: [],
    unknown: new Map(),
  };
}

/**
 * Reads a config blob.
 * @throws ERR_LAYER when it is not JSON, or a member has a type that the specification does not allow.
 */
export function parseImageConfig(text: string): ImageConfig {
  const root = parseJson(text);
  if (!(root instanceof Map)) throw malformed('the document', 'an object');
  const rootfs = root.get('rootfs');
  const run = root.get('config');
  if (run !== undefined && run !== null && !(run instanceof Map)) throw malformed('config', 'an object');
  const diffIds = rootfs instanceof Map ? strings(rootfs, 'diff_ids') : undefined;
  return {
    architecture: text_(root, 'architecture') ?? '',
    os: text_(root, 'os') ?? '',
    ...given({
      variant: text_(root, 'variant'),
      osVersion: text_(root, 'os.version'),
      created: text_(root, 'created'),
      author: text_(root, 'author'),
    }),
    config: parseRunConfig(run ?? new Map()),
    diffIds: (diffIds ?? []).map((id) => {
      if (isDigest(id)) return id;
      throw malformed('rootfs.diff_ids', 'a list of digests');
    }),
    history: parseHistory(root.get('history')),
    unknown: rest(root, knownRoot),
  };
}

/** The config blob: known members in the specification's order, then the unknown ones by name. Same value, same bytes. */
export function formatImageConfig(image: ImageConfig): string {
  const root = new Map<string, Json>();
  put(root, 'created', image.created);
  put(root, 'author', image.author);
  root.set('architecture', image.architecture);
  put(root, 'variant', image.variant);
  root.set('os', image.os);
  put(root, 'os.version', image.osVersion);
  root.set('config', formatRunConfig(image.config));
  root.set(
    'rootfs',
    new Map<string, Json>([
      ['type', 'layers'],
      ['diff_ids', [...image.diffIds]],
    ]),
  );
  root.set('history', image.history.map(formatHistory));
  for (const [key, value] of sorted(image.unknown)) root.set(key, value);
  return formatJson(root);
}

const knownRoot: ReadonlySet<string> = new Set([
  'architecture',
  'os',
  'variant',
  'os.version',
  'created',
  'author',
  'config',
  'rootfs',
  'history',
  // What the classic docker builder leaves behind of the base's own build; it would be wrong in a new image.
  'container',
  'container_config',
  'docker_version',
  'parent',
  'id',
]);
const knownRun: ReadonlySet<string> = new Set([
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'Healthcheck',
  'Shell',
  'OnBuild',
  'ArgsEscaped',
  // Of a container, not of an image; docker writes them empty.
  'Hostname',
  'Domainname',
  'AttachStdin',
  'AttachStdout',
  'AttachStderr',
  'Tty',
  'OpenStdin',
  'StdinOnce',
  'Image',
  'MacAddress',
  'NetworkDisabled',
]);

function parseRunConfig(run: JsonObject): RunConfig {
  const labels = run.get('Labels') ?? new Map();
  if (!(labels instanceof Map)) throw malformed('config.Labels', 'an object');
  const parsedLabels = new Map<string, string>();
  for (const [key, value] of labels) {
    if (typeof value !== 'string') throw malformed(`config.Labels.${key}`, 'a string');
    parsedLabels.set(key, value);
  }
  const escaped = run.get('ArgsEscaped');
  return {
    ...given({ user: text_(run, 'User') || undefined, exposedPorts: keys(run, 'ExposedPorts') }),
    env: strings(run, 'Env') ?? [],
    ...given({
      entrypoint: strings(run, 'Entrypoint'),
      cmd: strings(run, 'Cmd'),
      volumes: keys(run, 'Volumes'),
      workingDir: text_(run, 'WorkingDir') || undefined,
    }),
    labels: parsedLabels,
    ...given({
      stopSignal: text_(run, 'StopSignal') || undefined,
      healthcheck: parseHealthcheck(run.get('Healthcheck')),
      shell: strings(run, 'Shell'),
      onBuild: strings(run, 'OnBuild'),
    }),
    ...(escaped === true ? { argsEscaped: true } : {}),
    unknown: rest(run, knownRun),
  };
}

function formatRunConfig(run: RunConfig): JsonObject {
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

function parseHistory(value: Json | undefined): readonly HistoryEntry[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed('history', 'a list');
  return value.map((entry: Json) => {
    if (!(entry instanceof Map)) throw malformed('history', 'a list of objects');
    return {
      ...given({
        created: text_(entry, 'created'),
        createdBy: text_(entry, 'created_by'),
        comment: text_(entry, 'comment'),
        author: text_(entry, 'author'),
      }),
      ...(entry.get('empty_layer') === true ? { emptyLayer: true } : {}),
    };
  });
}

function formatHistory(entry: HistoryEntry): JsonObject {
  const out = new Map<string, Json>();
  put(out, 'created', entry.created);
  put(out, 'created_by', entry.createdBy);
  put(out, 'author', entry.author);
  put(out, 'comment', entry.comment);
  if (entry.emptyLayer === true) out.set('empty_layer', true);
  return out;
}

function text_(object: JsonObject, key: string): string | undefined {
  const value = object.get(key);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw malformed(key, 'a string');
  return value;
}

function whole(object: JsonObject, key: string): number | undefined {
  const value = object.get(key);
  if (value === undefined || value === null) return undefined;
  const number = Number(value);
  if (typeof value === 'string' || !Number.isInteger(number)) throw malformed(key, 'a whole number');
  return number;
}

function strings(object: JsonObject, key: string): readonly string[] | undefined {
  const value = object.get(key);
  if (value === undefined || value === null) return undefined;
  // docker wrote a bare string for Entrypoint and Cmd before 1.9; engines still read it
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) throw malformed(key, 'a list of strings');
  return value.map((item: Json) => {
    if (typeof item !== 'string') throw malformed(key, 'a list of strings');
    return item;
  });
}

function keys(object: JsonObject, key: string): readonly string[] | undefined {
  const value = object.get(key);
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Map)) throw malformed(key, 'an object');
  return [...value.keys()];
}

function keySet(names: readonly string[]): JsonObject {
  return new Map([...names].toSorted().map((name): [string, Json] => [name, new Map()]));
}

function put(object: Map<string, Json>, key: string, value: string | undefined): void {
  if (value !== undefined && value !== '') object.set(key, value);
}

function rest(object: JsonObject, known: ReadonlySet<string>): JsonObject {
  return new Map([...object].filter(([key]) => !known.has(key)));
}

function sorted<Value>(map: ReadonlyMap<string, Value>): [string, Value][] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function malformed(member: string, expected: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read the image config: ${member} is not ${expected}`);
}
