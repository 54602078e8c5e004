// `login REGISTRY` writes credentials where builds look for them, as kaniko's command of this name does; `logout` takes them away. With
// files in the place of a registry, `login` brings a pod's Secrets there, from an init container.
import { existsSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { makeFolder } from '../../folders.ts';
import { BuilderError, RegistryError, ifCode, inWords, orElse, systemReason } from '../../errors.ts';
import { type Json, type JsonObject, formatJson, parseJson } from '../../oci/json.ts';
import { dockerHub } from '../../oci/reference.ts';
import { filesVariable, loadCredentials } from '../../registry/credentials.ts';
import { type Credential, findEntry, normalizeKey, parseDockerConfig } from '../../registry/docker-config.ts';
import { isOwnImage } from '../../surroundings/containers-conf.ts';
import { isLocalRegistry } from '../../surroundings/registries.ts';
import { openRegistrySide } from '../../surroundings/registry-side.ts';
import { onceMark } from '../../surroundings/secret-files.ts';
import { type CommandInput, onlyOperand } from '../command.ts';
import type { Environment, Settings } from '../settings.ts';
import { sideOf } from '../requests/transport-request.ts';
import { readStandardInput } from '../standard-input.ts';
import { readSmallFileSync, replaceSmallFileSync } from '../../small-file.ts';

/** The name of Docker Hub in every config.json. */
const hubKey = 'https://index.docker.io/v1/';

/** Keeps user and password in config.json once the registry knows them, or copies files. */
export async function runLoginCommand(input: CommandInput): Promise<number | void> {
  const { settings, positionals, env, report } = input;
  if (['from-file', 'secret-file', 'once'].some((name) => settings.has(name))) return await copyFiles(input);
  const hint = 'executor login registry.example --username me --password-stdin < token';
  const registry = onlyOperand(positionals, 'log in', 'registries', hint);
  if (settings.boolean('get-login')) return await printLogin(input, registry);
  const isPiped = settings.boolean('password-stdin');
  if (isPiped && settings.has('password')) throw new BuilderError('ERR_USAGE', 'Cannot combine --password with --password-stdin');
  const user = settings.text('username') ?? '';
  const password = isPiped
    ? (await readStandardInput('the password')).toString('utf8').replace(/\r?\n$/, '')
    : (settings.text('password') ?? '');
  if (user === '' || password === '') {
    throw new BuilderError('ERR_USAGE', `Cannot log in to ${registry}: there is no ${user === '' ? 'user name' : 'password'}`, {
      hint: user === '' ? 'give --username' : 'give --password-stdin, or --password',
    });
  }
  const path = configFile(settings, env);
  refuseHelpers(path, registry);
  await askRegistry(input, registry, { kind: 'password', user, password });
  keepCredential(path, registry, Buffer.from(`${user}:${password}`).toString('base64'));
  if ((env['DOCKER_AUTH_CONFIG'] ?? '') !== '') {
    const message = `DOCKER_AUTH_CONFIG is set, and what it says of ${registry} comes before ${path}`;
    report.emit({ kind: 'warning', code: 'login-order', message });
  }
  report.line('info', `credentials for ${registry} are in ${path}`);
}

/** @throws ERR_AUTH where the registry refuses them, and outside of the builder's image where it can't be asked */
async function askRegistry({ settings, env, report, signal }: CommandInput, registry: string, credential: Credential): Promise<void> {
  const [host = ''] = normalizeKey(registry).split('/');
  const side = sideOf(settings, '', credential);
  const insecureRegistries = isLocalRegistry(host) ? side.hosts.insecureRegistries.union(new Set([host])) : side.hosts.insecureRegistries;
  const { emit } = report;
  const opened = await openRegistrySide({ ...side, hosts: { ...side.hosts, insecureRegistries } }, { env, emit });
  try {
    await opened.registry.checkLogin(host, signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code === 'ERR_AUTH' || signal.aborted || !isOwnImage()) throw error;
    // An init container may have no network, and kaniko asks nobody.
    emit({
      kind: 'warning',
      code: 'login',
      message: `nobody has looked whether ${host} knows ${settings.text('username') ?? ''}: ${error.message}`,
    });
  } finally {
    await opened.registry.close();
  }
}

/** Prints the user of whom a file says that he is logged in. @throws ERR_AUTH where there is none */
async function printLogin({ settings, env, report, stdout, signal }: CommandInput, registry: string): Promise<number> {
  const file = settings.text('authfile');
  const { find } = await loadCredentials({
    env: file === undefined ? env : { PATH: env['PATH'], [filesVariable]: resolve(file) },
    builtIn: new Set(),
    onWarning: (message) => report.emit({ kind: 'warning', code: `credentials ${message}`, message }),
  });
  const [host = '', ...path] = normalizeKey(registry).split('/');
  const found = await find(host, path.join('/'), signal);
  if (found?.kind !== 'password') throw new BuilderError('ERR_AUTH', `Cannot tell who is logged in to ${registry}: nobody is`);
  stdout.write(`${found.user}\n`);
  return 0;
}

/** Takes credentials out of config.json; with `--all` those of every registry. */
export async function runLogoutCommand({ settings, positionals, env, report }: CommandInput): Promise<void> {
  const isAll = settings.boolean('all');
  const [registry] = positionals;
  if (isAll ? positionals.length > 0 : registry === undefined || positionals.length > 1) {
    const message = `Cannot log out: ${positionals.length} registries are named, and ${isAll ? 'none' : 'one'} is needed`;
    throw new BuilderError('ERR_USAGE', message, { hint: 'yadokari logout registry.example, or --all' });
  }
  const path = configFile(settings, env);
  const text = readIfThere(path);
  const config: JsonObject = text === undefined ? new Map() : objectOf(parseJson(text), path);
  const before = config.get('auths');
  const auths = before === undefined ? new Map<string, Json>() : objectOf(before, path);
  const isMeant = (key: string): boolean => isAll || normalizeKey(key) === normalizeKey(registry ?? '');
  const kept = new Map([...auths].filter(([key]) => !isMeant(key)));
  if (kept.size === auths.size && !isAll)
    throw new BuilderError('ERR_AUTH', `Cannot log out of ${registry ?? ''}: ${path} has no credentials for it`);
  if (kept.size < auths.size) replacePrivately(path, `${formatJson(new Map([...config, ['auths', kept]]))}\n`);
  report.line('info', `${path} has no credentials ${isAll ? 'any more' : `for ${registry ?? ''} any more`}`);
}

/** For an init container: the build beside it gets copies, and with `--once` may delete them. */
async function copyFiles({ settings, positionals, env, report }: CommandInput): Promise<void> {
  const others = ['username', 'password', 'password-stdin'].filter((name) => settings.has(name)).map((name) => `--${name}`);
  const [other] = [...positionals, ...others];
  if (other !== undefined) throw new BuilderError('ERR_USAGE', `Cannot log in to ${other} and copy files: one at a time`);
  const config = settings.text('from-file');
  const target = configFile(settings, env);
  const copies = [...(config === undefined ? [] : [[target, config] as const]), ...secretFiles(settings.list('secret-file'))];
  if (copies.length === 0) {
    throw new BuilderError('ERR_USAGE', 'Cannot log in: --once is about copies of files, and none is named', {
      hint: 'executor login --from-file /secret/.dockerconfigjson --once',
    });
  }
  // Read before anything is written: half of it would be used by a build that lacks the rest.
  const read = copies.map(([copy, file]) => ({
    copy,
    file,
    bytes: orElse(() => readSmallFileSync(file, fileLimitBytes), inWords('ERR_AUTH', `Cannot copy ${file}`)),
  }));
  if (config !== undefined) parseDockerConfig(read[0]?.bytes.toString('utf8') ?? '', config);
  for (const { copy, file, bytes } of read) {
    replacePrivately(copy, bytes);
    if (settings.boolean('once')) replacePrivately(onceMark(copy), '');
    else rmSync(onceMark(copy), { force: true });
    report.line('info', `${file} is copied to ${copy}${settings.boolean('once') ? ', for the next build alone' : ''}`);
  }
}

/** `FILE=COPY` items as copy and file, absolute both: their order is that of the command line. */
function secretFiles(items: readonly string[]): readonly (readonly [string, string])[] {
  return items.map((item) => {
    const equals = item.indexOf('=');
    const [file, copy] = [item.slice(0, equals), item.slice(equals + 1)];
    if (equals <= 0 || !isAbsolute(copy)) {
      throw new BuilderError('ERR_USAGE', `Cannot use --secret-file ${JSON.stringify(item)}: expected FILE=/PATH/OF/COPY`);
    }
    return [copy, file];
  });
}

/** As much as a build takes of a config.json. */
const fileLimitBytes = 4 * 1024 * 1024;

function configFile(settings: Settings, env: Environment): string {
  const given = settings.text('authfile');
  if (given !== undefined) return resolve(given);
  // As with podman and skopeo; docker's own variable says more, as it comes first when credentials are looked for.
  const [folder, file] = [env['DOCKER_CONFIG'] || undefined, env['REGISTRY_AUTH_FILE'] || undefined];
  if (folder === undefined && file !== undefined) return resolve(file);
  return join(folder ?? join(env['HOME'] || homedir(), '.docker'), 'config.json');
}

/** @throws ERR_AUTH where a program keeps the credentials of this registry */
function refuseHelpers(path: string, registry: string): void {
  const text = readIfThere(path);
  const known = text === undefined ? undefined : parseDockerConfig(text, path);
  const helper = known === undefined ? undefined : (findEntry(known.credHelpers, normalizeKey(registry), '') ?? known.credsStore);
  if (helper === undefined) return;
  throw new BuilderError('ERR_AUTH', `Cannot log in to ${registry}: ${path} leaves its credentials to docker-credential-${helper}`, {
    hint: 'remove it from credHelpers and credsStore, or log in by that program',
  });
}

/** Changes the one entry, and leaves all else in the file as it is. @throws ERR_AUTH for a file that is none of credentials */
export function keepCredential(path: string, registry: string, auth: string): void {
  const text = readIfThere(path);
  const config: JsonObject = text === undefined ? new Map() : objectOf(parseJson(text), path);
  const host = normalizeKey(registry);
  const before = config.get('auths');
  const auths: Map<string, Json> = new Map(before === undefined ? [] : objectOf(before, path));
  const key = host === dockerHub ? hubKey : registry;
  for (const each of auths.keys()) if (normalizeKey(each) === host) auths.delete(each);
  auths.set(key, new Map([['auth', auth]]));
  replacePrivately(path, `${formatJson(new Map([...config, ['auths', auths]]))}\n`);
}

function readIfThere(path: string): string | undefined {
  const text = orElse(() => readFileSync(path, 'utf8'), ifCode(['ENOENT'], '', inWords('ERR_AUTH', `Cannot read ${path}`)));
  return text.trim() === '' ? undefined : text;
}

function objectOf(value: Json | undefined, path: string): JsonObject {
  if (value instanceof Map) return value;
  throw new BuilderError('ERR_AUTH', `Cannot change ${path}: it is no file of credentials`);
}

/** In one step, for its owner's eyes only; through a link to where that leads. */
function replacePrivately(path: string, content: string | Buffer): void {
  try {
    makeFolder(dirname(path), 0o700);
    replaceSmallFileSync(existsSync(path) ? realpathSync(path) : path, content, 0o600);
  } catch (error) {
    throw new BuilderError('ERR_AUTH', `Cannot write ${path}: ${systemReason(error)}`, {
      cause: error,
      hint: 'DOCKER_CONFIG names the folder; one that is mounted from a Secret can not be changed',
    });
  }
}
