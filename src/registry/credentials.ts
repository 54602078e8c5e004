// Where credentials come from, in docker's order. The environment is a value here, and helper programs are looked up
// on PATH once at the start: after the base image is unpacked, PATH leads into the image.
import { join } from 'node:path';
import { BuilderError, inWords, isMissing, systemCode } from '../errors.ts';
import { type Program, askHelper, findHelpers } from './credential-helper.ts';
import { type Credential, type DockerConfig, type FoundCredential, findEntry, normalizeKey, parseDockerConfig } from './docker-config.ts';
import { readSmallFile } from '../small-file.ts';

/** What knows credentials. */
export interface Credentials {
  /** Undefined means anonymous. @throws ERR_AUTH when a source is broken: we don't go on as somebody else. */
  readonly find: (registry: string, repository: string, signal: AbortSignal) => Promise<FoundCredential | undefined>;
  /** Reads files and asks clouds again, since secrets rotate during long builds. */
  readonly reload: (signal: AbortSignal) => Promise<void>;
  /** For "looked in": names of sources that may know a registry, never values. */
  readonly sources: (registry: string) => readonly string[];
  /** Where the credentials came from that `find` gave last; undefined where there were none. */
  readonly answeredBy?: (registry: string, repository: string) => string | undefined;
}

/** Helpers of our own: two read variables (KANIKO_<HOST>_USER, and those of a GitLab job), the others ask clouds. */
export const builtInHelpers = ['env', 'google', 'ecr', 'acr', 'gitlab'] as const;
export type BuiltInHelper = (typeof builtInHelpers)[number];

/** A helper that needs no program: it knows a cloud's registries, and no other host. */
export interface NativeHelper {
  readonly name: BuiltInHelper;
  /** The docker-credential-<name> programs that it stands in for, where they are not on PATH. */
  readonly programs: readonly string[];
  /** Undefined for a host that is not its own, and where the cloud gives us nothing. @throws ERR_AUTH naming the source that fails */
  readonly find: (registry: string, signal: AbortSignal) => Promise<FoundCredential | undefined>;
  /** As `Credentials.sources`. */
  readonly sources: (registry: string) => readonly string[];
  readonly forget: () => void;
}

export interface CredentialOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folders with a `config.json` that are tried after `$DOCKER_CONFIG` and before `$HOME/.docker`; the builder's own where left out. */
  readonly folders?: readonly string[];
  readonly onWarning?: (message: string) => void;
  /** Hears which source a credential came from, or that there is none. */
  readonly onFound?: (message: string) => void;
  readonly helperTimeoutMs?: number;
  /** Which of our own helpers are asked without being named in a file; all where left out. */
  readonly builtIn?: ReadonlySet<BuiltInHelper>;
  /** In the order in which they are asked. */
  readonly native?: readonly NativeHelper[];
}

/** The files of credentials, one a line, where somebody has found them already; nothing else is looked for then. */
export const filesVariable = 'YADOKARI_CREDENTIAL_FILES';

/** Where the builder's own config.json may be. */
const ownFolder = '/kaniko/.docker';

/** Where podman keeps credentials without a session, by user. */
const sessions = '/run/containers/';

const fileLimitBytes = 4 * 1024 * 1024;

/** No credentials at all. */
export const anonymous: Credentials = {
  find: async () => undefined,
  reload: async () => undefined,
  sources: () => [],
};

/**
 * Reads what there is to read and finds the helpers that it names.
 * @throws ERR_AUTH when a file is unreadable or malformed.
 */
export async function loadCredentials(options: CredentialOptions): Promise<Credentials> {
  const sources: string[] = [];
  const builtIn = options.builtIn ?? new Set<BuiltInHelper>(builtInHelpers);
  let configs = await readConfigs(options, sources);
  const named = configs.flatMap(({ credHelpers, credsStore }) => [
    ...credHelpers.values(),
    ...(credsStore === undefined ? [] : [credsStore]),
  ]);
  const helpers = await findHelpers(new Set(named), options.env['PATH'] ?? '');
  const answered = new Map<string, string | undefined>();
  return {
    answeredBy: (registry, repository) => answered.get(`${registry}/${repository}`),
    sources: (registry) => [
      ...sources,
      ...(builtIn.has('env') ? ['KANIKO_<HOST>_USER and _PASSWORD'] : []),
      ...(options.native ?? []).flatMap((helper) => (builtIn.has(helper.name) ? helper.sources(registry) : [])),
      ...(builtIn.has('gitlab') ? ['CI_REGISTRY_USER and CI_REGISTRY_PASSWORD'] : []),
    ],
    reload: async () => {
      for (const helper of options.native ?? []) helper.forget();
      configs = await readConfigs(options, [], configs);
    },
    find: async (registry, repository, signal) => {
      const found = await findFirst({ registry, repository, options, signal }, configs, helpers, builtIn);
      const source = found === undefined ? 'there are none: going there anonymously' : `from ${found.source}`;
      answered.set(`${registry}/${repository}`, found?.source);
      options.onFound?.(`credentials for ${registry}/${repository}: ${source}`);
      return found?.credential;
    },
  };
}

/** Files in the order in which they are asked: docker's and kaniko's folders, and where podman, buildah and skopeo keep theirs. */
export function configPaths(env: CredentialOptions['env'], folders: readonly string[] = [ownFolder]): readonly string[] {
  const only = env[filesVariable];
  if (only !== undefined) return only.split('\n');
  const paths: string[] = [];
  const withDir = (dir: string | undefined, ...rest: readonly string[]): void => {
    if (dir !== undefined && dir !== '') paths.push(join(dir, ...rest));
  };
  // A Kubernetes secret of type dockerconfigjson, mounted without renaming its key, leaves the second name.
  // kaniko takes the file's own name, too.
  if (env['DOCKER_CONFIG']?.endsWith('.json') === true) paths.push(env['DOCKER_CONFIG']);
  for (const dir of [env['DOCKER_CONFIG'], ...folders]) {
    withDir(dir, 'config.json');
    withDir(dir, '.dockerconfigjson');
    withDir(dir, '.dockercfg');
  }
  withDir(env['REGISTRY_AUTH_FILE']);
  withDir(env['HOME'], '.docker', 'config.json');
  // Without a session podman keeps root's and other users' here.
  withDir(
    env['XDG_RUNTIME_DIR'] || `${sessions}${process.getuid?.() ?? 0}`,
    ...(env['XDG_RUNTIME_DIR'] ? ['containers'] : []),
    'auth.json',
  );
  withDir(env['XDG_CONFIG_HOME'] || (env['HOME'] && join(env['HOME'], '.config')), 'containers', 'auth.json');
  return [...new Set(paths)];
}

/** A file that was taken away since (while a RUN runs, or for good) says what it said `before`. */
async function readConfigs(
  options: CredentialOptions,
  sources: string[],
  before: readonly DockerConfig[] = [],
): Promise<readonly DockerConfig[]> {
  const configs: DockerConfig[] = [];
  const inline = options.env['DOCKER_AUTH_CONFIG'];
  sources.push('DOCKER_AUTH_CONFIG');
  if (inline !== undefined && inline !== '') configs.push(parseDockerConfig(inline, 'DOCKER_AUTH_CONFIG'));
  const paths = configPaths(options.env, options.folders);
  sources.push(...paths);
  let isFirst = true;
  for (const path of paths) {
    try {
      const text = await readConfig(path);
      const config = text === undefined ? before.find(({ source }) => source === path) : parseDockerConfig(text, path);
      if (config === undefined) continue;
      configs.push(config);
    } catch (error) {
      // The first is the one that is meant; one behind it may be another tool's.
      if (isFirst || !(error instanceof BuilderError)) throw error;
      options.onWarning?.(error.message);
    }
    isFirst = false;
  }
  // Who reads anew has told it already.
  const told = new Set(before.flatMap(({ warnings }) => warnings));
  for (const warning of configs.flatMap(({ warnings }) => warnings)) if (!told.has(warning)) options.onWarning?.(warning);
  return configs;
}

async function readConfig(path: string): Promise<string | undefined> {
  try {
    return (await readSmallFile(path, fileLimitBytes)).toString('utf8');
  } catch (error) {
    // In a user namespace of somebody else's, root's is another root's.
    if (isMissing(error) || (path.startsWith(sessions) && systemCode(error) === 'EACCES')) return undefined;
    return inWords('ERR_AUTH', `Cannot read credentials in ${path}`)(error);
  }
}

interface Wanted {
  readonly registry: string;
  readonly repository: string;
  readonly options: CredentialOptions;
  readonly signal: AbortSignal;
}

interface Found {
  readonly credential: FoundCredential;
  /** For people. */
  readonly source: string;
}

async function findFirst(
  wanted: Wanted,
  configs: readonly DockerConfig[],
  helpers: ReadonlyMap<string, Program>,
  builtIn: ReadonlySet<BuiltInHelper>,
): Promise<Found | undefined> {
  for (const config of configs) {
    const found = await findIn(config, helpers, wanted);
    if (found !== undefined) return found;
  }
  const { registry, options, signal } = wanted;
  const own = builtIn.has('env') ? fromHostVariables(options.env, registry) : undefined;
  if (own !== undefined) return { credential: own, source: 'KANIKO_<HOST>_USER and _PASSWORD' };
  for (const helper of options.native ?? []) {
    const credential = builtIn.has(helper.name) ? await helper.find(registry, signal) : undefined;
    if (credential !== undefined) return { credential, source: `the built-in helper ${helper.name}` };
  }
  const gitlab = builtIn.has('gitlab') ? fromGitlab(options.env, registry) : undefined;
  return gitlab === undefined ? undefined : { credential: gitlab, source: "GitLab's variables" };
}

async function findIn(config: DockerConfig, helpers: ReadonlyMap<string, Program>, wanted: Wanted): Promise<Found | undefined> {
  const { registry, repository } = wanted;
  // Paths count for `auths` alone; helpers know hosts.
  const named = findEntry(config.credHelpers, registry, '') ?? config.credsStore;
  if (named !== undefined) {
    const program = helpers.get(named);
    const native = program === undefined ? wanted.options.native?.find(({ programs }) => programs.includes(named)) : undefined;
    if (program === undefined && native === undefined) {
      throw new BuilderError('ERR_AUTH', `Cannot get credentials for ${registry}: docker-credential-${named} is not on PATH`, {
        hint: 'mount the helper into the container, or remove it from credHelpers and credsStore',
      });
    }
    const found =
      program === undefined
        ? await native?.find(registry, wanted.signal)
        : await askHelper({ name: named, program, ...wanted.options }, registry, wanted.signal);
    if (found !== undefined)
      return { credential: found, source: program === undefined ? `${named}, built in` : `docker-credential-${named}` };
  }
  const entry = findEntry(config.auths, registry, repository);
  return entry === undefined ? undefined : { credential: entry, source: config.source };
}

/** `KANIKO_REGISTRY_EXAMPLE_COM_USER`, with the port behind it or without, and the same for parent domains. */
function fromHostVariables(env: CredentialOptions['env'], registry: string): Credential | undefined {
  const withPort = normalizeKey(registry);
  const names = [...new Set([withPort, withPort.replace(/:\d+$/, '')])].flatMap((host) => {
    const labels = host.split('.');
    return labels.map((_, start) =>
      labels
        .slice(start)
        .join('_')
        .replace(/[^A-Za-z0-9]/g, '_')
        .toUpperCase(),
    );
  });
  for (const name of names) {
    const user = env[`KANIKO_${name}_USER`];
    const password = env[`KANIKO_${name}_PASSWORD`];
    if (user !== undefined && password !== undefined) return { kind: 'password', user, password };
  }
  return undefined;
}

/** GitLab's predefined variables, for its own registry and its dependency proxy only. */
function fromGitlab(env: CredentialOptions['env'], registry: string): Credential | undefined {
  const host = normalizeKey(registry);
  const pairs = [
    ['CI_REGISTRY', 'CI_REGISTRY_USER', 'CI_REGISTRY_PASSWORD'],
    ['CI_DEPENDENCY_PROXY_SERVER', 'CI_DEPENDENCY_PROXY_USER', 'CI_DEPENDENCY_PROXY_PASSWORD'],
  ] as const;
  for (const [server, userName, passwordName] of pairs) {
    const [user, password] = [env[userName], env[passwordName]];
    if (normalizeKey(env[server] ?? '').split('/')[0] === host && user !== undefined && user !== '' && password !== undefined) {
      return { kind: 'password', user, password };
    }
  }
  const token = env['CI_JOB_TOKEN'];
  if (token !== undefined && token !== '' && normalizeKey(env['CI_REGISTRY'] ?? '').split('/')[0] === host) {
    return { kind: 'password', user: 'gitlab-ci-token', password: token };
  }
  return undefined;
}
