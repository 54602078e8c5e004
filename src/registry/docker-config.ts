// Docker's config.json as far as it holds credentials. Errors say where, never what.
import { BuilderError } from '../errors.ts';
import { type Json, type JsonObject, parseJson } from '../oci/json.ts';

/** How to prove who we are. */
export type Credential =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  /** A refresh token, to be exchanged; `user` may be empty. */
  | { readonly kind: 'identity'; readonly user: string; readonly token: string }
  /** Sent as it is. */
  | { readonly kind: 'bearer'; readonly token: string };

/** A credential that may not be good for ever. */
export type FoundCredential = Credential & {
  /** On the clock of `Retry`: from then on it is to be asked for again. */
  readonly renewAtMs?: number;
};

export interface DockerConfig {
  /** The file, or the variable, that it was read from. */
  readonly source: string;
  /** By key as written. Undefined for an entry that only marks that a helper knows. */
  readonly auths: ReadonlyMap<string, Credential | undefined>;
  readonly credHelpers: ReadonlyMap<string, string>;
  readonly credsStore: string | undefined;
  /** One line for each entry that can't be used. */
  readonly warnings: readonly string[];
}

const helperName = /^[A-Za-z0-9._-]+$/;

/** @throws ERR_AUTH with the file and the place in it, never its content. */
export function parseDockerConfig(text: string, source: string): DockerConfig {
  const fail = (why: string): BuilderError => new BuilderError('ERR_AUTH', `Cannot read credentials in ${source}: ${why}`);
  const bare = text.replace(/^\uFEFF/, '');
  // What is left where the variable with it is not set; docker's tools take it for one without entries.
  if (bare.trim() === '')
    return { source, auths: new Map(), credHelpers: new Map(), credsStore: undefined, warnings: [`${source} is empty`] };
  const root = readJson(bare, fail);
  if (!(root instanceof Map)) throw fail('it is not a JSON object');
  const credHelpers = new Map<string, string>();
  for (const [key, name] of objectAt(root, 'credHelpers', fail)) {
    if (typeof name !== 'string' || !helperName.test(name)) throw fail(`credHelpers.${key} is not the name of a helper`);
    credHelpers.set(key, name);
  }
  const store = root.get('credsStore');
  if (store !== undefined && store !== null && (typeof store !== 'string' || (store !== '' && !helperName.test(store)))) {
    throw fail('credsStore is not the name of a helper');
  }
  const warnings: string[] = [];
  const auths = new Map<string, Credential | undefined>();
  for (const [key, entry] of isOfOldForm(root) ? root : objectAt(root, 'auths', fail)) {
    if (!(entry instanceof Map)) throw fail(`auths.${key} is not an object`);
    const read = readEntry(entry);
    if (typeof read === 'string') warnings.push(`${source}: auths.${key} is ignored: ${read}`);
    else auths.set(key, read);
    if (read instanceof Object && read.kind === 'password' && /[\r\n]$/.test(read.password)) {
      warnings.push(`${source}: the password of auths.${key} ends with a line end: encode it by "printf %s:%s", as echo adds one`);
    }
  }
  return { source, auths, credHelpers, credsStore: typeof store === 'string' && store !== '' ? store : undefined, warnings };
}

/** `host[/path]` of a key, as older and newer tools write it; Docker Hub's names become one, and the port of https none. */
export function normalizeKey(key: string): string {
  const bare = key
    .replace(/^https?:\/\//i, '')
    .replace(/\/+$/, '')
    .replace(/\/v[12]$/, '');
  const slash = bare.indexOf('/');
  // GitLab's variables of its dependency proxy have the port, and its documented config.json has not.
  const host = (slash === -1 ? bare : bare.slice(0, slash)).toLowerCase().replace(/:443$/, '');
  const path = slash === -1 ? '' : bare.slice(slash);
  const isHub = host === 'docker.io' || host === 'index.docker.io' || host === 'registry-1.docker.io';
  return `${isHub ? 'index.docker.io' : host}${path}`;
}

/** The entry for a repository: the longest key that is it, or a parent of it by whole segments. Undefined entries are passed over. */
export function findEntry<Value>(entries: ReadonlyMap<string, Value | undefined>, registry: string, repository: string): Value | undefined {
  const byKey = new Map<string, Value>();
  for (const [key, value] of entries) {
    const normal = normalizeKey(key);
    if (value !== undefined && !byKey.has(normal)) byKey.set(normal, value);
  }
  const host = normalizeKey(registry);
  const segments = repository === '' ? [] : repository.split('/');
  for (let count = segments.length; count >= 0; count--) {
    const found = byKey.get([host, ...segments.slice(0, count)].join('/'));
    if (found !== undefined) return found;
  }
  return undefined;
}

function readJson(text: string, fail: (why: string) => BuilderError): Json {
  try {
    return parseJson(text);
  } catch (error) {
    // The parser quotes the text, which may be a password: only the position is passed on.
    const message = error instanceof Error ? error.message : '';
    const position = /position (\d+)/.exec(message)?.[1];
    if (/^[\w+/=\s-]+$/.test(text) && /^\s*\{/.test(Buffer.from(text, 'base64').toString('latin1')))
      throw fail('it is base64, as in the manifest of a Secret, and has to be decoded');
    const why = message.includes('a key comes twice') ? 'it has a key twice' : 'it is not JSON';
    throw fail(position === undefined ? why : `${why} at ${lineAndColumn(text, Number(position))}`);
  }
}

function lineAndColumn(text: string, position: number): string {
  const before = text.slice(0, position).split('\n');
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}

/** What is under auths today was the whole of a .dockercfg, as a Secret of the type kubernetes.io/dockercfg still has it. */
function isOfOldForm(root: JsonObject): boolean {
  if (['auths', 'credHelpers', 'credsStore'].some((key) => root.has(key))) return false;
  return [...root.values()].some((entry) => entry instanceof Map && (entry.has('auth') || entry.has('password')));
}

function objectAt(root: JsonObject, key: string, fail: (why: string) => BuilderError): JsonObject {
  const value = root.get(key);
  if (value === undefined || value === null) return new Map();
  if (value instanceof Map) return value;
  throw fail(`${key} is not an object`);
}

/** A credential, undefined for an empty marker, or the reason why the entry can't be used. */
function readEntry(entry: JsonObject): Credential | undefined | string {
  const text = (key: string): string => {
    const value = entry.get(key);
    return typeof value === 'string' ? value : '';
  };
  if (text('registrytoken') !== '') return { kind: 'bearer', token: text('registrytoken') };
  const auth = text('auth');
  let user = text('username');
  let password = text('password');
  if (auth !== '') {
    if (!/^[A-Za-z0-9+/_-]+={0,2}\s*$/.test(auth)) return 'auth is not base64';
    const decoded = Buffer.from(auth, 'base64').toString('utf8');
    const colon = decoded.indexOf(':');
    if (colon === -1) return 'auth is not base64 of user:password';
    user = decoded.slice(0, colon);
    password = decoded.slice(colon + 1).replace(/\0+$/, '');
  }
  if (text('identitytoken') !== '') return { kind: 'identity', user: user === '<token>' ? '' : user, token: text('identitytoken') };
  if (user === '' && password === '') return undefined;
  return fromUserAndSecret(user, password);
}

/** A pair as helpers give it: the user `<token>` says that the secret is a refresh token. */
export function fromUserAndSecret(user: string, secret: string): Credential {
  return user === '<token>' ? { kind: 'identity', user: '', token: secret } : { kind: 'password', user, password: secret };
}
