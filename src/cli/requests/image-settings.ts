// The flags of tables/image-settings.ts, applied to a config: the one place that says what `--env`, `--cmd` and the others change,
// for whatever has a config (`yadokari config`). Pure but for the variables that `--env NAME` asks for. Results are those of
// `buildah config`; what it takes silently and no engine can use (an unknown signal, half a command line) is a mistake here.
import { parsePort } from '../../dockerfile/ports.ts';
import { parseSignal } from '../../dockerfile/signals.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { ImageConfig } from '../../oci/image-config.ts';
import type { Json, JsonObject } from '../../oci/json.ts';
import type { NameSet, RunConfig } from '../../oci/run-config.ts';
import { commandOf } from './command-words.ts';
import { changedHealthcheck } from './healthcheck-settings.ts';
import type { Environment, Settings } from '../settings.ts';

/** What the flags are about. */
export interface Settled {
  readonly config: ImageConfig;
  /** Of the manifest. */
  readonly annotations: ReadonlyMap<string, string>;
}

/**
 * What becomes of a config by the flags that are given; all others leave it as it is.
 * @throws ERR_USAGE naming the flag
 */
export function applyImageSettings(before: Settled, settings: Settings, env: Environment): Settled {
  const { config } = before;
  const text = (name: string, otherwise: string | undefined): string | undefined => settings.text(name) ?? otherwise;
  const root = {
    architecture: text('arch', config.architecture) ?? '',
    os: text('os', config.os) ?? '',
    ...filled({
      variant: text('variant', config.variant),
      osVersion: text('os-version', config.osVersion),
      author: text('author', config.author),
    }),
  };
  const { variant: _variant, osVersion: _osVersion, author: _author, ...kept } = config;
  return {
    config: { ...kept, ...root, config: changedRun(config.config, settings, env), unknown: changedUnknown(config.unknown, settings) },
    annotations: changedPairs(before.annotations, settings.list('annotation')),
  };
}

/** The lines of history that the flags are worth where each has an entry of its own, as `buildah config --add-history` writes them. */
export function settingLines(settings: Settings): readonly string[] {
  const rows = [
    ['user', 'USER'],
    ['shell', 'SHELL'],
    ['stop-signal', 'STOPSIGNAL'],
    ['port', 'EXPOSE'],
    ['env', 'ENV'],
    ['entrypoint', 'ENTRYPOINT'],
    ['cmd', 'CMD'],
    ['volume', 'VOLUME'],
    ['healthcheck', 'HEALTHCHECK'],
    ['label', 'LABEL'],
    ['workingdir', 'WORKDIR'],
  ] as const;
  const said = rows.filter(([name]) => settings.has(name));
  const lines = said.map(
    ([name, word]) => `${word} ${[...(name === 'healthcheck' ? timesOf(settings) : []), ...settings.list(name)].join(' ')}`,
  );
  return [...lines, ...settings.list('onbuild').map((line) => `ONBUILD ${line}`)].map((line) => `/bin/sh -c #(nop) ${line}`);
}

function timesOf(settings: Settings): readonly string[] {
  const names = ['interval', 'timeout', 'start-period', 'start-interval', 'retries'];
  return names
    .filter((name) => settings.has(`healthcheck-${name}`))
    .map((name) => `--${name}=${settings.text(`healthcheck-${name}`) ?? ''}`);
}

function changedRun(run: RunConfig, settings: Settings, env: Environment): RunConfig {
  const { user, workingDir, stopSignal, entrypoint, cmd, shell, healthcheck, ...kept } = run;
  return {
    ...kept,
    env: changedEnv(run.env, settings.list('env'), env),
    labels: changedPairs(run.labels, settings.list('label')),
    ...filled({
      user: settings.text('user') ?? user,
      workingDir: settings.has('workingdir') ? folderOf('workingdir', settings.text('workingdir') ?? '') : workingDir,
      stopSignal: settings.has('stop-signal') ? signalOf(settings.text('stop-signal') ?? '') : stopSignal,
    }),
    ...given({
      entrypoint: settings.has('entrypoint') ? commandOf('entrypoint', settings.text('entrypoint') ?? '', 'shell') : entrypoint,
      cmd: settings.has('cmd') ? commandOf('cmd', settings.text('cmd') ?? '', 'words') : cmd,
      shell: settings.has('shell') ? commandOf('shell', settings.text('shell') ?? '', 'words') : shell,
      healthcheck: changedHealthcheck(healthcheck, settings),
      exposedPorts: changedNames(run.exposedPorts, settings.list('port').flatMap(portsOf)),
      volumes: changedNames(run.volumes, settings.list('volume').map(volumeOf)),
      onBuild: settings.has('onbuild') ? [...(run.onBuild ?? []), ...settings.list('onbuild')] : run.onBuild,
    }),
  };
}

function changedUnknown(unknown: JsonObject, settings: Settings): JsonObject {
  const changed = new Map(unknown);
  const put = (name: string, value: Json | undefined): void => void (value === undefined ? changed.delete(name) : changed.set(name, value));
  if (settings.has('comment')) put('comment', settings.text('comment') || undefined);
  if (settings.has('os-feature')) {
    const before = unknown.get('os.features');
    const names = Array.isArray(before) ? before.filter((name: Json) => typeof name === 'string') : [];
    const after = changedList(names, settings.list('os-feature')) ?? [];
    put('os.features', after.length === 0 ? undefined : [...after]);
  }
  return changed;
}

/** A variable that is set again moves to the end, and `$NAME` in a value is one that the image has by then, as with buildah. */
function changedEnv(before: readonly string[], items: readonly string[], env: Environment): readonly string[] {
  let variables = before;
  for (const item of items) {
    const [name = '', value] = split(item);
    if (item === '-') variables = [];
    else if (value === undefined && name.endsWith('-')) variables = without(variables, name.slice(0, -1));
    else variables = [...without(variables, name), `${name}=${value === undefined ? inherited(name, env) : expanded(value, variables)}`];
  }
  return variables;
}

function without(variables: readonly string[], name: string): readonly string[] {
  return variables.filter((variable) => variable !== name && !variable.startsWith(`${name}=`));
}

/** What names no variable stays as it is written. */
function expanded(value: string, variables: readonly string[]): string {
  return value.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (written, braced: string | undefined, plain: string | undefined) => {
    const start = `${braced ?? plain ?? ''}=`;
    return variables.find((variable) => variable.startsWith(start))?.slice(start.length) ?? written;
  });
}

function inherited(name: string, env: Environment): string {
  const value = env[name];
  if (value !== undefined) return value;
  throw new BuilderError('ERR_USAGE', `Cannot use --env ${name}: it is not set here`, {
    hint: `--env ${name}=VALUE, or ${name}- to take it away`,
  });
}

function changedPairs(before: ReadonlyMap<string, string>, items: readonly string[]): ReadonlyMap<string, string> {
  const pairs = new Map(before);
  for (const item of items) {
    const [name = '', value] = split(item);
    if (item === '-') pairs.clear();
    else if (value === undefined && name.endsWith('-')) pairs.delete(name.slice(0, -1));
    else pairs.set(name, value ?? '');
  }
  return pairs;
}

function changedNames(before: NameSet | undefined, items: readonly string[]): NameSet | undefined {
  const names = changedList(before && [...before.keys()], items);
  return names && new Map(names.map((name) => [name, true]));
}

/** Undefined stays so where nothing is said. */
function changedList(before: readonly string[] | undefined, items: readonly string[]): readonly string[] | undefined {
  if (items.length === 0) return before;
  const names = new Set(before);
  for (const item of items) {
    if (item === '-') names.clear();
    else if (item.endsWith('-')) names.delete(item.slice(0, -1));
    else names.add(item);
  }
  return [...names];
}

/** A name before the first `=`, and what follows it. @throws ERR_USAGE for no name */
function split(item: string): readonly string[] {
  const equals = item.indexOf('=');
  if (equals === 0) throw new BuilderError('ERR_USAGE', `Cannot use ${JSON.stringify(item)}: there is no name before the "="`);
  return equals === -1 ? [item] : [item.slice(0, equals), item.slice(equals + 1)];
}

/** As it is written; a range, which no config can have, as its ports. */
function portsOf(item: string): readonly string[] {
  if (item.endsWith('-')) return [item];
  const parsed = parsePort(item);
  if ('problem' in parsed) throw new BuilderError('ERR_USAGE', `Cannot use --port ${item}: ${parsed.problem}`, { hint: parsed.hint });
  if (parsed.hasHostPart)
    throw new BuilderError('ERR_USAGE', `Cannot use --port ${item}: an image knows nothing of the host`, {
      hint: 'name the port of the container',
    });
  return parsed.ports.length === 1 ? [item] : parsed.ports;
}

function volumeOf(item: string): string {
  return item.endsWith('-') ? item : (folderOf('volume', item) ?? item);
}

function folderOf(flag: string, path: string): string | undefined {
  if (path === '' || path.startsWith('/')) return path;
  throw new BuilderError('ERR_USAGE', `Cannot use --${flag} ${path}: it does not begin with "/"`);
}

function signalOf(name: string): string {
  if (name === '' || parseSignal(name) !== undefined) return name;
  throw new BuilderError('ERR_USAGE', `Cannot use --stop-signal ${name}: it is neither a signal's name nor its number`, {
    hint: 'for example SIGTERM, SIGQUIT or 9',
  });
}

/** Without what is empty or not there. */
function filled<Key extends string>(texts: { readonly [K in Key]: string | undefined }): { readonly [K in Key]?: string } {
  return Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== undefined && value !== '')) as { [K in Key]?: string }; // the same keys
}
