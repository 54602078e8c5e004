// A conformance case: a small build in cases/NAME.yaml, and what must come of it, in expected/NAME.json. Cases of our own
// stand in extra/NAME.yaml with the same keys, and carry `expected:` and the `reason:` why it is right in the same file.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { asList, asObject, asText, isObject, type ParsedObject } from '../support/parsed.ts';

export interface ConformanceCase {
  readonly name: string;
  readonly about: string;
  readonly group: string;
  readonly dockerfile: string;
  readonly dockerfileName: string;
  readonly setup: string;
  readonly args: Readonly<Record<string, string>>;
  readonly target: string | undefined;
  readonly secrets: Readonly<Record<string, string>>;
  /** Path → body. */
  readonly http: Readonly<Record<string, Buffer>>;
  /** Further flags of the build, in a spelling that our builder and buildah share. */
  readonly flags: readonly string[];
  /** What the pod mounts, read-only: a folder with one file `mounted`, or a file where the path ends in `.file`. */
  readonly mounts: readonly string[];
  /** Where the context is mounted. */
  readonly contextAt: string;
  /** The context is mounted writable, and has to be as it was afterwards. */
  readonly contextIsWritable: boolean;
  readonly ignorePaths: readonly string[];
  readonly compareMtime: boolean;
  readonly compareLinks: boolean;
  /** What the output has to match, whether the build fails or not. */
  readonly mentions: readonly RegExp[];
  /** Undefined for a build that must fail. */
  readonly expected: Expected | undefined;
}

export interface Expected {
  /** The whole run config, empty members left out; undefined when a case of our own doesn't say. */
  readonly config: ParsedObject | undefined;
  /** Members of the config's top level, such as `author`; others may be there. */
  readonly document: ParsedObject;
  /** History entries behind those of the base; each says which of its members have to be there. */
  readonly history: readonly ParsedObject[] | undefined;
  /** The manifest's annotations, all of them. */
  readonly annotations: ParsedObject | undefined;
  readonly changed: Readonly<Record<string, ParsedObject>>;
  readonly removed: readonly string[];
  readonly scratch: boolean;
}

const known = new Set(
  (
    'name about group expect reason setup dockerfile dockerfile_name args target secrets http flags mounts context_at context_rw ' +
    'ignore_paths mtime compare_links mentions expected'
  ).split(' '),
);

// what conformance/base says: most cases of our own change little of it
const baseConfig: ParsedObject = {
  Cmd: ['sh'],
  Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  WorkingDir: '/',
  Labels: { base: 'conformance' },
};

/** All cases of cases/ and extra/, by name. @throws TypeError when one is malformed or has an unknown key. */
export function readCases(folder: string): readonly ConformanceCase[] {
  const cases = ['cases', 'extra'].flatMap((part) =>
    readdirSync(join(folder, part))
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => readCase(folder, join(folder, part, file), part === 'extra')),
  );
  const names = new Set(cases.map((one) => one.name));
  if (names.size !== cases.length) throw new TypeError('two conformance cases have the same name');
  return cases.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function readCase(folder: string, file: string, isOwn: boolean): ConformanceCase {
  const text = asObject(parse(readFileSync(file, 'utf8')), file);
  for (const key of Object.keys(text)) if (!known.has(key)) throw new TypeError(`${file}: unknown key ${key}`);
  const name = asText(text['name'], `${file}: name`);
  if (isOwn) asText(text['reason'], `${file}: reason`);
  const fails = text['expect'] === 'fail';
  if (!fails && text['expect'] !== 'ok') throw new TypeError(`${file}: expect is neither ok nor fail`);
  const mentions = asList(text['mentions']).map((one) => new RegExp(asText(one), 'm'));
  if (fails && mentions.length === 0) throw new TypeError(`${file}: a build that fails must say what its message mentions`);
  return {
    name,
    about: asText(text['about'], `${file}: about`),
    group: asText(text['group'] ?? ''),
    dockerfile: asText(text['dockerfile'], `${file}: dockerfile`),
    dockerfileName: asText(text['dockerfile_name'] ?? 'Dockerfile'),
    setup: asText(text['setup'] ?? ''),
    args: texts(text['args']),
    target: text['target'] === undefined ? undefined : asText(text['target']),
    secrets: texts(text['secrets']),
    http: Object.fromEntries(Object.entries(texts(text['http'])).map(([path, body]) => [path, bodyOf(body)])),
    flags: asList(text['flags']).map((one) => asText(one)),
    mounts: asList(text['mounts']).map((one) => asText(one)),
    contextAt: asText(text['context_at'] ?? '/workspace'),
    contextIsWritable: text['context_rw'] === true,
    ignorePaths: asList(text['ignore_paths']).map((one) => asText(one)),
    compareMtime: text['mtime'] === true,
    compareLinks: text['compare_links'] !== false,
    mentions,
    expected: fails ? undefined : readExpected(folder, name, text),
  };
}

function readExpected(folder: string, name: string, text: ParsedObject): Expected {
  const file = join(folder, 'expected', `${name}.json`);
  const source = existsSync(file)
    ? asObject(JSON.parse(readFileSync(file, 'utf8')), file)
    : asObject(text['expected'], `${name}: expected`);
  const changed = Object.entries(asObject(source['changed'] ?? {}, `${name}: changed`));
  return {
    config: readConfig(name, source),
    document: asObject(source['document'] ?? {}, `${name}: document`),
    history: source['history'] === undefined ? undefined : asList(source['history']).map((one) => asObject(one, `${name}: history`)),
    annotations: source['annotations'] === undefined ? undefined : asObject(source['annotations'], `${name}: annotations`),
    changed: Object.fromEntries(changed.map(([path, value]) => [path, expectedPath(asObject(value, path))])),
    removed: asList(source['removed']).map((one) => asText(one)),
    scratch: source['scratch'] === true,
  };
}

/** `config` is the whole of it; `config_over_base` is what a build from conformance/base changes in that image's. */
function readConfig(name: string, source: ParsedObject): ParsedObject | undefined {
  if (source['config'] !== undefined) return asObject(source['config'], `${name}: config`);
  if (source['config_over_base'] === undefined) return undefined;
  return { ...baseConfig, ...asObject(source['config_over_base'], `${name}: config_over_base`) };
}

function bodyOf(text: string): Buffer {
  const prefix = 'base64:';
  return text.startsWith(prefix) ? Buffer.from(text.slice(prefix.length), 'base64') : Buffer.from(text);
}

/** A case of our own may give a file's `content` for its size and digest, and leave out what is 0, `0644` or `0755`. */
function expectedPath(value: ParsedObject): ParsedObject {
  if (value['sha256'] !== undefined || (value['type'] !== undefined && value['uid'] !== undefined && value['mode'] !== undefined))
    return value;
  const { content, ...rest } = value;
  const type = value['type'] ?? 'file';
  const usual = { type, uid: 0, gid: 0, mode: type === 'file' ? '0644' : type === 'symlink' ? '0777' : '0755' };
  if (type !== 'file') return { ...usual, ...rest };
  const bytes = Buffer.from(asText(content, 'content'));
  return { ...usual, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex'), ...rest };
}

function texts(value: unknown): Readonly<Record<string, string>> {
  const entries = isObject(value) ? Object.entries(value) : [];
  return Object.fromEntries(entries.map(([key, item]) => [key, asText(item, key)]));
}
