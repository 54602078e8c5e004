// podman's registries.conf, version 2: where the images of a name are, who may be spoken to without TLS, and what short names stand for.
// containers-registries.conf(5)
import { parse } from 'smol-toml';
import { BuilderError, RegistryError, messageOf } from '../errors.ts';
import { given } from '../given.ts';
import { type Reference, formatCommonName, hasRegistry, isHost, parseReference } from '../oci/reference.ts';
import { checkMirror, mirrorOf } from './mirror.ts';

type Repository = Pick<Reference, 'registry' | 'repository'>;

/** What the files say together. */
export interface RegistriesConf {
  /** Where a repository is, in the order to look; the last is no mirror. */
  readonly places: (reference: Reference) => readonly Repository[];
  /** @throws RegistryError for what nobody may speak to */
  readonly refuseBlocked: (at: Repository) => void;
  /** Whether HTTP and any certificate will do. */
  readonly isInsecure: (host: string) => boolean;
  /** The whole names that a name may stand for, in the order to look. @throws ERR_REFERENCE, for a short name that may be nothing or several */
  readonly wholeNames: (text: string) => readonly Reference[];
}

interface Place {
  /** `host[:port][/path]`; empty for a wildcard that moves nothing. */
  readonly location: string;
  readonly isInsecure: boolean;
}

interface Mirror extends Place {
  readonly serves: 'all' | 'digest-only' | 'tag-only';
}

interface Table extends Place {
  /** `host[:port][/path]`, or `*.host`. */
  readonly prefix: string;
  readonly isBlocked: boolean;
  readonly mirrors: readonly Mirror[];
  readonly file: string;
}

/** Of one file, or of several that were put together; what a file leaves out the ones before it say. */
interface Contents {
  readonly tables: ReadonlyMap<string, Table>;
  readonly searched?: { readonly hosts: readonly string[]; readonly file: string };
  readonly mode?: string;
  readonly aliases: ReadonlyMap<string, string>;
}

export interface ConfFile {
  readonly path: string;
  readonly text: string;
}

/**
 * A later file comes before the ones in front of it: table by table, alias by alias. What can't be honoured is told by `onWarning`.
 * @throws ERR_USAGE for a file that says nothing clear
 */
export function readRegistriesConf(files: readonly ConfFile[], onWarning: (message: string) => void): RegistriesConf {
  let all: Contents = { tables: new Map(), aliases: new Map() };
  for (const file of files) {
    const read = new FileReader(file, onWarning).read();
    const [tables, aliases] = [new Map([...all.tables, ...read.tables]), new Map([...all.aliases, ...read.aliases])];
    all = { ...all, ...read, tables, aliases };
  }
  const tables = [...all.tables.values()].toSorted((one, other) => other.prefix.length - one.prefix.length);
  const tableOf = (at: Repository): Table | undefined => tables.find(({ prefix }) => restOf(at, prefix) !== undefined);
  const insecure = tables.flatMap((table) => {
    const places = [table, ...table.mirrors].filter((place) => place.isInsecure);
    return places.map(({ location }) => (location === '' ? table.prefix : hostOf(location)));
  });
  return {
    places: (reference) => {
      const at = { registry: reference.registry, repository: reference.repository };
      const table = tableOf(at);
      if (table === undefined) return [at];
      const served = reference.digest === undefined ? 'tag-only' : 'digest-only';
      const mirrors = table.mirrors.filter(({ serves }) => serves === 'all' || serves === served);
      return [...mirrors, table].map(({ location }) => (location === '' ? at : moved(location, restOf(at, table.prefix) ?? '')));
    },
    refuseBlocked: (at) => {
      const table = tableOf(at);
      if (table?.isBlocked !== true) return;
      const message = `Cannot use ${formatCommonName(at)}: ${table.file} blocks ${table.prefix}`;
      throw new RegistryError(message, { method: 'GET', url: `https://${at.registry}/` });
    },
    isInsecure: (host) => insecure.some((each) => each === host || isBelow(host, each)),
    wholeNames: (text) => wholeNames(text, all),
  };
}

function wholeNames(text: string, { searched, aliases, mode }: Contents): readonly Reference[] {
  const reference = parseReference(text);
  if (hasRegistry(text) || (searched === undefined && aliases.size === 0)) return [reference];
  const { tag, digest } = reference;
  const named = text.split('@', 1)[0] ?? '';
  const short = tag === undefined ? named : named.slice(0, -tag.length - 1);
  const alias = aliases.get(short);
  // An empty one takes back what a file before it says.
  if (alias !== undefined && alias !== '') return [{ ...parseReference(alias), ...given({ tag, digest }) }];
  if (searched === undefined) return [reference];
  const { hosts, file } = searched;
  const refuse = (why: string): BuilderError =>
    new BuilderError('ERR_REFERENCE', `Cannot use ${text}: ${why}`, { hint: `write the whole name, as docker.io/library/${short}` });
  if (hosts.length === 0) throw refuse(`${file} has no unqualified-search-registries for short names`);
  if (hosts.length > 1 && mode === 'enforcing') throw refuse(`it may be of ${hosts.join(' or ')}, and ${file} lets nobody guess`);
  return hosts.map((host) => ({ ...mirrorOf({ registry: '', repository: short }, host), ...given({ tag, digest }) }));
}

/** What follows the prefix in a repository's whole name; undefined where it begins otherwise. */
function restOf(at: Repository, prefix: string): string | undefined {
  if (prefix.startsWith('*.')) return isBelow(at.registry, prefix) ? at.repository : undefined;
  const name = formatCommonName(at);
  if (name === prefix) return '';
  return name.startsWith(`${prefix}/`) ? name.slice(prefix.length + 1) : undefined;
}

function moved(location: string, rest: string): Repository {
  if (rest !== '') return mirrorOf({ registry: '', repository: rest }, location);
  const slash = location.lastIndexOf('/');
  return mirrorOf({ registry: '', repository: location.slice(slash + 1) }, location.slice(0, slash));
}

function isBelow(host: string, wildcard: string): boolean {
  return wildcard.startsWith('*.') && host.endsWith(wildcard.slice(1));
}

function hostOf(location: string): string {
  return location.split('/', 1)[0] ?? '';
}

/** One file's TOML as values. */
class FileReader {
  readonly #file: ConfFile;
  readonly #onWarning: (message: string) => void;

  constructor(file: ConfFile, onWarning: (message: string) => void) {
    this.#file = file;
    this.#onWarning = onWarning;
  }

  read(): Contents {
    const root = this.#parse();
    if ('registries' in root)
      throw this.#failure('[registries.…] is version 1', 'write unqualified-search-registries = […] and [[registry]] instead');
    this.#tellUnknown(root, ['unqualified-search-registries', 'registry', 'short-name-mode', 'aliases']);
    const hosts = this.#texts(root, 'unqualified-search-registries');
    for (const host of hosts ?? [])
      if (!isHost(host)) throw this.#failure(`unqualified-search-registries has ${JSON.stringify(host)}, which is not HOST[:PORT]`);
    const mode = this.#text(root, 'short-name-mode');
    if (mode !== undefined && !['', 'enforcing', 'permissive', 'disabled'].includes(mode))
      throw this.#failure(`short-name-mode = ${JSON.stringify(mode)} is none of enforcing, permissive and disabled`);
    const tables = new Map<string, Table>();
    for (const each of this.#tables(root, 'registry')) {
      const table = this.#table(each);
      if (tables.has(table.prefix)) throw this.#failure(`it has two tables for ${table.prefix}`);
      tables.set(table.prefix, table);
    }
    const searched = hosts === undefined ? undefined : { hosts, file: this.#file.path };
    return { tables, aliases: this.#aliases(root), ...given({ searched, mode }) };
  }

  #parse(): Readonly<Record<string, unknown>> {
    try {
      return parse(this.#file.text);
    } catch (error) {
      throw this.#failure(messageOf(error).split('\n', 1)[0] ?? '', undefined, error);
    }
  }

  #table(table: Readonly<Record<string, unknown>>): Table {
    this.#tellUnknown(table, ['prefix', 'location', 'insecure', 'blocked', 'mirror', 'mirror-by-digest-only']);
    const [location, named] = [this.#text(table, 'location'), this.#text(table, 'prefix')];
    const prefix = named === undefined || named === '' ? (location ?? '') : named;
    if (prefix === '') throw this.#failure('a [[registry]] has neither prefix nor location');
    const isWild = prefix.startsWith('*.');
    this.#location(isWild ? prefix.slice(2) : prefix);
    const byDigest = this.#boolean(table, 'mirror-by-digest-only');
    const mirrors = this.#tables(table, 'mirror').map((each) => this.#mirror(each, byDigest));
    return {
      prefix,
      location: this.#location(location === undefined || location === '' ? (isWild ? '' : prefix) : location),
      isInsecure: this.#boolean(table, 'insecure'),
      isBlocked: this.#boolean(table, 'blocked'),
      mirrors,
      file: this.#file.path,
    };
  }

  #mirror(mirror: Readonly<Record<string, unknown>>, byDigest: boolean): Mirror {
    this.#tellUnknown(mirror, ['location', 'insecure', 'pull-from-mirror']);
    const location = this.#text(mirror, 'location') ?? '';
    if (location === '') throw this.#failure('a [[registry.mirror]] has no location');
    const serves = this.#text(mirror, 'pull-from-mirror') ?? '';
    if (serves !== '' && byDigest) throw this.#failure('it has pull-from-mirror and mirror-by-digest-only in one [[registry]]');
    if (serves !== '' && serves !== 'all' && serves !== 'digest-only' && serves !== 'tag-only')
      throw this.#failure(`pull-from-mirror = ${JSON.stringify(serves)} is none of all, digest-only and tag-only`);
    const isInsecure = this.#boolean(mirror, 'insecure');
    return { location: this.#location(location), isInsecure, serves: serves === '' ? (byDigest ? 'digest-only' : 'all') : serves };
  }

  #aliases(root: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
    const table = root['aliases'] ?? {};
    if (!isTable(table)) throw this.#failure('aliases is no table');
    return new Map(
      Object.keys(table).map((name) => {
        const value = this.#text(table, name) ?? '';
        if (hasRegistry(name) || /[:@]/.test(name)) throw this.#failure(`the alias ${JSON.stringify(name)} is no short name`);
        if (value !== '' && (!hasRegistry(value) || formatCommonName(this.#name(value)).includes(':', value.lastIndexOf('/'))))
          throw this.#failure(`the alias ${name} = ${JSON.stringify(value)} does not lead to a whole name without a tag`);
        return [name, value];
      }),
    );
  }

  #name(text: string): Reference {
    try {
      return parseReference(text);
    } catch (error) {
      throw this.#failure(messageOf(error), undefined, error);
    }
  }

  /** Without slashes at its end, as everybody reads it. */
  #location(text: string): string {
    const location = text.replace(/\/+$/, '');
    const last = location.slice(location.lastIndexOf('/') + 1);
    if (location.includes('@') || (location.includes('/') && last.includes(':')))
      throw this.#failure(`${JSON.stringify(text)} has a tag or a digest, and a registry or a part of one is meant here`);
    try {
      if (location !== '') checkMirror(location);
    } catch (error) {
      throw this.#failure(`${JSON.stringify(text)} is not HOST[:PORT][/PATH]`, undefined, error);
    }
    return location;
  }

  #text(table: Readonly<Record<string, unknown>>, key: string): string | undefined {
    const value = table[key];
    if (value === undefined || typeof value === 'string') return value;
    throw this.#failure(`${key} is no text`);
  }

  #texts(table: Readonly<Record<string, unknown>>, key: string): readonly string[] | undefined {
    const value = table[key];
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.#failure(`${key} is no list`);
    return value.map((item: unknown) => this.#text({ [key]: item ?? null }, key) ?? '');
  }

  #boolean(table: Readonly<Record<string, unknown>>, key: string): boolean {
    const value = table[key] ?? false;
    if (typeof value === 'boolean') return value;
    throw this.#failure(`${key} is neither true nor false`);
  }

  #tables(table: Readonly<Record<string, unknown>>, key: string): readonly Readonly<Record<string, unknown>>[] {
    const value = table[key] ?? [];
    if (Array.isArray(value) && value.every(isTable)) return value;
    throw this.#failure(`[[${key}]] is no list of tables`);
  }

  #tellUnknown(table: Readonly<Record<string, unknown>>, known: readonly string[]): void {
    for (const key of Object.keys(table)) if (!known.includes(key)) this.#onWarning(`${this.#file.path}: ${key} is not honoured here`);
  }

  #failure(why: string, hint?: string, cause?: unknown): BuilderError {
    return new BuilderError('ERR_USAGE', `Cannot use ${this.#file.path}: ${why}`, { cause, hint });
  }
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
