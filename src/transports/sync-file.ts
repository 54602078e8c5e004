// The file of `sync --src yaml`: registries, and which of their images. skopeo-sync(1), YAML file content.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { isDigest } from '../oci/digest.ts';
import { parseReference } from '../oci/reference.ts';
import { readYaml } from '../yaml.ts';

/** One registry of the file, and how it is reached. */
export interface SyncRegistry {
  readonly host: string;
  /** By repository: tags and digests, or all tags where there is none. */
  readonly images: ReadonlyMap<string, readonly string[]>;
  /** By repository: which of its tags. */
  readonly byPattern: ReadonlyMap<string, RegExp>;
  readonly credential?: { readonly user: string; readonly password: string };
  readonly tlsVerify?: boolean;
  readonly certificateFolder?: string;
}

/** @throws ERR_USAGE naming the place in the file */
export function parseSyncFile(text: string, name: string): readonly SyncRegistry[] {
  const fail = (why: string, cause?: unknown): BuilderError => new BuilderError('ERR_USAGE', `Cannot read ${name}: ${why}`, { cause });
  const root = readYaml(text, fail);
  if (!(root instanceof Map)) throw fail('it is not a map of registries');
  return [...root].map(([host, value]) => parseRegistry(String(host), value, fail));
}

type Fail = (why: string, cause?: unknown) => BuilderError;
type Members = ReadonlyMap<unknown, unknown>;

const known = ['images', 'images-by-tag-regex', 'credentials', 'tls-verify', 'cert-dir'];

function parseRegistry(host: string, value: unknown, fail: Fail): SyncRegistry {
  const members = membersOf(value, host, fail);
  for (const key of members.keys()) {
    if (key === 'images-by-semver') throw fail(`${host}: images-by-semver is not supported; images-by-tag-regex is`);
    if (!known.includes(String(key))) throw fail(`${host}: there is no setting ${JSON.stringify(key)}; known are ${known.join(', ')}`);
  }
  const tlsVerify = members.get('tls-verify');
  if (tlsVerify !== undefined && typeof tlsVerify !== 'boolean') throw fail(`${host}: tls-verify is neither true nor false`);
  const folder = members.get('cert-dir');
  if (folder !== undefined && typeof folder !== 'string') throw fail(`${host}: cert-dir is not a path`);
  const credential = parseCredential(members.get('credentials'), host, fail);
  return {
    host,
    images: new Map(
      [...membersOf(members.get('images'), `${host}: images`, fail)].map(([repository, tags]) => parseImage(host, repository, tags, fail)),
    ),
    byPattern: new Map(
      [...membersOf(members.get('images-by-tag-regex'), `${host}: images-by-tag-regex`, fail)].map(([repository, pattern]) => [
        checkRepository(host, repository, fail),
        parsePattern(host, repository, pattern, fail),
      ]),
    ),
    ...given({ credential, tlsVerify, certificateFolder: folder }),
  };
}

function parseImage(host: string, repository: unknown, tags: unknown, fail: Fail): [string, readonly string[]] {
  const name = checkRepository(host, repository, fail);
  const list: unknown = tags ?? [];
  if (!Array.isArray(list)) throw fail(`${host}: images.${name} is not a list of tags`);
  return [
    name,
    list.map((tag: unknown) => {
      // A tag such as 1.10 has to be quoted: YAML takes it for the number 1.1.
      if (typeof tag !== 'string') throw fail(`${host}: images.${name} has ${JSON.stringify(tag)}, which is no text: put it in quotes`);
      checkName(`${host}/${name}${isDigest(tag) ? '@' : ':'}${tag}`, fail);
      return tag;
    }),
  ];
}

function parsePattern(host: string, repository: unknown, pattern: unknown, fail: Fail): RegExp {
  const at = `${host}: images-by-tag-regex.${String(repository)}`;
  if (typeof pattern !== 'string') throw fail(`${at} is not a regular expression`);
  try {
    return new RegExp(pattern, 'v');
  } catch (error) {
    throw fail(`${at} is not a regular expression`, error);
  }
}

function parseCredential(value: unknown, host: string, fail: Fail): SyncRegistry['credential'] {
  if (value === undefined || value === null) return undefined;
  const members = membersOf(value, `${host}: credentials`, fail);
  const [user, password] = [members.get('username'), members.get('password')];
  if (typeof user !== 'string' || typeof password !== 'string') throw fail(`${host}: credentials are not a username and a password`);
  return { user, password };
}

function checkRepository(host: string, repository: unknown, fail: Fail): string {
  if (typeof repository !== 'string') throw fail(`${host}: ${JSON.stringify(repository)} is not the name of a repository`);
  checkName(`${host}/${repository}`, fail);
  return repository;
}

function checkName(name: string, fail: Fail): void {
  try {
    parseReference(name);
  } catch (error) {
    throw fail(error instanceof Error ? error.message : name, error);
  }
}

function membersOf(value: unknown, place: string, fail: Fail): Members {
  if (value === undefined || value === null) return new Map();
  if (value instanceof Map) return value;
  throw fail(`${place} is not a map`);
}
