// The builder as a plugin of Drone, Woodpecker, Harness and the like: no arguments, and a step's settings as PLUGIN_* variables. They
// become the command line that says the same, and credentials what a config.json would say.
import { readFileSync } from 'node:fs';
import { BuilderError, isMissing } from '../errors.ts';
import type { FlagSpec } from './flags.ts';
import type { Environment } from './settings.ts';

/** A command line, and the environment to run it in. */
export interface PluginInvocation {
  readonly words: readonly string[];
  readonly env: Environment;
}

const prefix = 'PLUGIN_';
/** What the names stand for that are no flags themselves. */
const others: Readonly<Record<string, string>> = {
  'build-args': 'build-arg',
  'custom-labels': 'label',
  'destination-tar-path': 'tar-path',
  'ignore-paths': 'ignore-path',
  labels: 'label',
  mirrors: 'registry-mirror',
  'registry-mirrors': 'registry-mirror',
  'dry-run': 'no-push',
  log: 'verbosity',
  'log-level': 'verbosity',
  'enable-cache': 'cache',
};
/** Lists as the plugins write them: by commas. */
const isList = (spec: FlagSpec): boolean => spec.kind === 'list' || spec.kind === 'comma-list';
const handled = new Set(
  'repo registry username password json-key config tags tag expand-tag auto-tag auto-tag-suffix context build-args-from-env artifact-file'.split(
    ' ',
  ),
);
/** Where an earlier step leaves tags. */
const tagsFile = '.tags';

/**
 * Undefined where this is no step of theirs: without PLUGIN_REPO.
 * @throws ERR_USAGE naming a setting that nothing here stands for, or credentials without their other half.
 */
export function pluginInvocation(env: Environment, table: readonly FlagSpec[]): PluginInvocation | undefined {
  const settings = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(prefix) || value === undefined || value === '') continue;
    settings.set(name.slice(prefix.length).toLowerCase().replaceAll('_', '-'), value);
  }
  const repository = settings.get('repo');
  if (repository === undefined) return undefined;
  const registry = hostOf(settings.get('registry') ?? '');
  const inRegistry = (name: string): string => (registry === '' || name.startsWith(`${registry}/`) ? name : `${registry}/${name}`);
  const name = inRegistry(repository);
  // As the repository it is named without its registry; one with another host, or a folder, is meant as it stands.
  const cache = settings.get('cache-repo');
  if (cache !== undefined && !/^(?:oci:|localhost|[^/]*[.:])/.test(cache)) settings.set('cache-repo', inRegistry(cache));
  // A trial run, as of a pull request, has the settings of the real one, the cache among them.
  const isTrial = ['dry-run', 'no-push'].some((setting) => settings.get(setting) === 'true');
  if (isTrial && cache === undefined) settings.set('no-push-cache', 'true');
  const words = [
    `--context=${settings.get('context') ?? '.'}`,
    ...tagsOf(settings, env).map((tag) => `--destination=${name}:${tag}`),
    ...split(settings.get('build-args-from-env') ?? '').map((variable) => `--build-arg=${variable}`),
    ...[...settings].flatMap(([setting, value]) => (handled.has(setting) ? [] : flagWords(setting, value, table))),
  ];
  return { words, env: withCredentials(env, settings) };
}

function flagWords(setting: string, value: string, table: readonly FlagSpec[]): readonly string[] {
  const spec = table.find(({ name }) => name === (others[setting] ?? setting));
  if (spec === undefined) {
    const variable = prefix + setting.toUpperCase().replaceAll('-', '_');
    throw new BuilderError('ERR_USAGE', `Cannot use the setting ${variable}: it is no flag of the builder`, {
      hint: 'settings are the names of flags with _ for -, and repo, registry, username, password, tags, auto_tag, context',
    });
  }
  // A number alone is hours there.
  const values = isList(spec) ? split(value) : [spec.kind === 'duration' ? value.replace(/^\d+$/, '$&h') : value];
  return values.map((item) => `--${spec.name}=${item}`);
}

/** Those that are listed, or that an earlier step has left, or with auto_tag those of the commit; `latest` without any. */
function tagsOf(settings: ReadonlyMap<string, string>, env: Environment): readonly string[] {
  const listed = split(settings.get('tags') ?? settings.get('tag') ?? '');
  if (listed.length === 0 && settings.get('auto-tag') === 'true') return autoTags(env, settings.get('auto-tag-suffix') ?? '');
  const tags = listed.length > 0 ? listed : split(readTagsFile().replaceAll('\n', ','));
  const expanded = settings.get('expand-tag') === 'true' ? tags.flatMap(versionTags) : tags;
  return expanded.length === 0 ? ['latest'] : [...new Set(expanded)];
}

/** Woodpecker's plugin says of every release that it is the latest, Drone's doesn't. */
function autoTags({ CI_COMMIT_TAG: woodpecker = '', DRONE_TAG: drone = '' }: Environment, suffix: string): readonly string[] {
  const tag = woodpecker === '' ? drone : woodpecker;
  const tags = [...(tag === '' ? [] : versionTags(tag.replace(/^v/, ''))), ...(tag === '' || woodpecker !== '' ? ['latest'] : [])];
  if (suffix === '') return tags;
  return tags.map((each) => (each === 'latest' ? suffix : `${each}-${suffix}`));
}

/** 1, 1.2 and 1.2.3 of v1.2.3; 1.2.3-rc1 alone of what comes before a release. */
function versionTags(tag: string): readonly string[] {
  const [, version = tag, major, minor, before] = /^v?((\d+)\.(\d+)\.\d+([-+].*)?)$/.exec(tag) ?? [];
  return major === undefined || before !== undefined ? [version] : [major, `${major}.${minor ?? ''}`, version];
}

function readTagsFile(): string {
  try {
    return readFileSync(tagsFile, 'utf8');
  } catch (error) {
    if (isMissing(error)) return '';
    throw new BuilderError('ERR_USAGE', `Cannot read the tags in ${tagsFile}`, { cause: error });
  }
}

/** By commas; maps and lists that Woodpecker had no simpler form for are JSON. */
function split(text: string): readonly string[] {
  const value = /^\s*[{[]/.test(text) ? jsonItems(text) : undefined;
  return value ?? text.split(',').flatMap((item) => (item.trim() === '' ? [] : [item.trim()]));
}

function jsonItems(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value.map(String);
    return Object.entries(value as object).map(([name, item]) => `${name}=${String(item)}`);
  } catch {
    return undefined;
  }
}

/** The host of a registry as people write it; empty for Docker Hub, whose name images go without. */
function hostOf(registry: string): string {
  const host = registry.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return host === 'index.docker.io' || host === 'docker.io' ? '' : host;
}

function withCredentials(env: Environment, settings: ReadonlyMap<string, string>): Environment {
  const config = settings.get('config');
  if (config !== undefined) return { ...env, DOCKER_AUTH_CONFIG: config };
  // A service account's key is a password of Google's registries.
  const key = settings.get('json-key');
  const [user = key && '_json_key', password = key] = [settings.get('username'), settings.get('password')];
  if (user === undefined && password === undefined) return env;
  if (user === undefined || password === undefined) {
    throw new BuilderError(
      'ERR_USAGE',
      `Cannot use the settings username and password: there is no ${user === undefined ? 'username' : 'password'}`,
    );
  }
  if ((env['DOCKER_AUTH_CONFIG'] ?? '') !== '') {
    throw new BuilderError('ERR_USAGE', 'Cannot use the settings username and password: DOCKER_AUTH_CONFIG is set, too');
  }
  const host = hostOf(settings.get('registry') ?? '');
  const place = host === '' ? 'https://index.docker.io/v1/' : host;
  const auth = Buffer.from(`${user}:${password}`).toString('base64');
  return { ...env, DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { [place]: { auth } } }) };
}
