// The file of `sync --src yaml`: registries, and which of their images. skopeo-sync(1), YAML file content.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { isDigest } from '../oci/digest.ts';
import { parseReference } from '../oci/reference.ts';
import { type Placed, readPlacedYaml } from '../yaml.ts';

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
  const root = readPlacedYaml(text, fail);
  if (root.kind !== 'map') throw fail('it is not a map of registries');
  return [...root.members].map(([host, value]) => parseRegistry(host, value, fail));
}

type Fail = (why: string, cause?: unknown) => BuilderError;
type Members = ReadonlyMap<string, Placed>;

const known = ['images', 'images-by-tag-regex', 'credentials', 'tls-verify', 'cert-dir'];
/** skopeo reads YAML 1.1, which has these words. */
const booleans: ReadonlyMap<string, boolean> = new Map([
  ...['true', 'yes', 'on'].map((word) => [word, true] as const),
  ...['false', 'no', 'off'].map((word) => [word, false] as const),
]);

function parseRegistry(host: string, value: Placed, fail: Fail): SyncRegistry {
  const members = membersOf(value, host, fail);
  for (const key of members.keys()) {
    if (key === 'images-by-semver') throw fail(`${host}: images-by-semver is not supported; images-by-tag-regex is`);
    if (!known.includes(key)) throw fail(`${host}: there is no setting ${JSON.stringify(key)}; known are ${known.join(', ')}`);
  }
  const verify = textOf(members.get('tls-verify'), () => fail(`${host}: tls-verify is neither true nor false`));
  const tlsVerify = verify === undefined ? undefined : booleans.get(verify.toLowerCase());
  if (verify !== undefined && tlsVerify === undefined) throw fail(`${host}: tls-verify is neither true nor false`);
  const folder = textOf(members.get('cert-dir'), () => fail(`${host}: cert-dir is not a path`));
  const credential = parseCredential(members.get('credentials'), host, fail);
  return {
    host,
    images: new Map(
      [...membersOf(members.get('images'), `${host}: images`, fail)].map(([repository, tags]) => parseImage(host, repository, tags, fail)),
    ),
    byPattern: new Map(
      [...membersOf(members.get('images-by-tag-regex'), `${host}: images-by-tag-regex`, fail)].map(([repository, pattern]) => [
        checkName(host, repository, fail),
        parsePattern(host, repository, pattern, fail),
      ]),
    ),
    ...given({ credential, tlsVerify, certificateFolder: folder }),
  };
}

function parseImage(host: string, repository: string, tags: Placed, fail: Fail): [string, readonly string[]] {
  checkName(host, repository, fail);
  const place = `${host}: images.${repository}`;
  if (tags.kind !== 'list' && !isNothing(tags)) throw fail(`${place} is not a list of tags`);
  const items = tags.kind === 'list' ? tags.items : [];
  return [
    repository,
    items.map((item) => {
      // As it is written: 1.10 is a tag, though YAML takes it for the number 1.1.
      const tag = textOf(item, () => fail(`${place} has something that is no tag`)) ?? '';
      checkName(host, `${repository}${isDigest(tag) ? '@' : ':'}${tag}`, fail);
      return tag;
    }),
  ];
}

function parsePattern(host: string, repository: string, pattern: Placed, fail: Fail): RegExp {
  const refuse = (cause?: unknown): BuilderError => fail(`${host}: images-by-tag-regex.${repository} is not a regular expression`, cause);
  const text = textOf(pattern, refuse);
  if (text === undefined) throw refuse();
  try {
    return new RegExp(text, 'v');
  } catch (error) {
    throw refuse(error);
  }
}

function parseCredential(value: Placed | undefined, host: string, fail: Fail): SyncRegistry['credential'] {
  if (value === undefined || isNothing(value)) return undefined;
  const refuse = (): BuilderError => fail(`${host}: credentials are not a username and a password`);
  const members = membersOf(value, `${host}: credentials`, fail);
  const [user, password] = ['username', 'password'].map((name) => textOf(members.get(name), refuse));
  if (user === undefined || password === undefined) throw refuse();
  return { user, password };
}

/** Gives the name back. */
function checkName(host: string, name: string, fail: Fail): string {
  try {
    parseReference(`${host}/${name}`);
    return name;
  } catch (error) {
    throw fail(error instanceof Error ? error.message : name, error);
  }
}

function isNothing(value: Placed): boolean {
  return value.kind === 'text' && value.type === 'null';
}

/** A text, or whatever stands there for one; undefined for nothing. */
function textOf(value: Placed | undefined, refuse: () => BuilderError): string | undefined {
  if (value === undefined || isNothing(value)) return undefined;
  if (value.kind !== 'text') throw refuse();
  return value.text;
}

function membersOf(value: Placed | undefined, place: string, fail: Fail): Members {
  if (value === undefined || isNothing(value)) return new Map();
  if (value.kind === 'map') return value.members;
  throw fail(`${place} is not a map`);
}
