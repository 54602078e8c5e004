// An archive as a context: into a private folder, and nowhere else. RED: names come from strangers; nothing is ever written
// below a symbolic link, and what would lead out is refused, not bent.
import {
  type Stats,
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { fsPath, textFromBytes } from '../bytes.ts';
import { bytesFromText } from '../bytes.ts';
import type { ByteString } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import type { Emit } from '../events.ts';
import { decompressArchive } from '../layer/decompress-archive.ts';
import type { Entry } from '../layer/entry.ts';
import { readEntries } from '../layer/read.ts';
import { namesOf, pathIn, pathOfNames } from '../paths.ts';

/** A folder that was filled, and the time of what is in it, in seconds since 1970. */
export interface FilledFolder {
  readonly folder: string;
  readonly timeSeconds?: number;
}

/**
 * Unpacks a tar archive, compressed or not, into an empty folder; gives that and the time of the newest entry. Owners are not
 * kept (a context has none).
 * @throws BuilderError ERR_CONTEXT naming the archive, and the entry that is to blame
 */
export async function unpackContext(
  name: string,
  bytes: AsyncIterable<Buffer>,
  folder: string,
  { emit, signal }: { readonly emit: Emit; readonly signal: AbortSignal },
): Promise<FilledFolder> {
  const unpacking = new Unpacking(name, bytesFromText(folder), emit);
  let count = 0;
  let timeSeconds = 0;
  try {
    for await (const entry of readEntries(decompressArchive(bytes, signal), signal, (message) =>
      unpacking.warn('context-archive', message),
    )) {
      await unpacking.apply(entry);
      count += 1;
      if (entry.type !== 'directory') timeSeconds = Math.max(timeSeconds, entry.mtime.seconds);
    }
    unpacking.finish();
  } catch (error) {
    if (signal.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new BuilderError('ERR_CONTEXT', `Cannot unpack context ${name}: ${reason}`, { cause: error });
  }
  if (count === 0) throw new BuilderError('ERR_CONTEXT', `Cannot unpack context ${name}: it is not a tar archive, or an empty one`);
  return { folder, ...(timeSeconds > 0 ? { timeSeconds } : {}) };
}

class Unpacking {
  readonly #name: string;
  readonly #folder: ByteString;
  readonly #emit: Emit;
  readonly #told = new Set<string>();
  readonly #directories = new Map<ByteString, Entry>();

  constructor(name: string, folder: ByteString, emit: Emit) {
    this.#name = name;
    this.#folder = folder;
    this.#emit = emit;
  }

  warn(code: string, message: string): void {
    if (this.#told.has(code)) return;
    this.#told.add(code);
    this.#emit({ kind: 'warning', code, message: `${this.#name}: ${message}` });
  }

  async apply(entry: Entry): Promise<void> {
    if (entry.path === '.') return;
    const components = namesOf(entry.path);
    if (components.some((component) => component === '..')) throw refusal(entry, 'leads out of the archive');
    this.#makeParents(entry, components);
    const path = pathOfNames(components);
    if (entry.xattrs.size > 0) this.warn('context-xattrs', 'extended attributes of an archive are not kept in a context');
    if (entry.type === 'directory') return this.#applyDirectory(entry, path);
    this.#makeWay(entry, path);
    const place = fsPath(pathIn(this.#folder, path));
    switch (entry.type) {
      case 'file':
        return await writeFile(place, entry);
      case 'symlink':
        symlinkSync(fsPath(entry.linkTarget ?? entry.path), place);
        return lutimesSync(place, entry.mtime.seconds, entry.mtime.seconds);
      case 'hardlink':
        return linkSync(fsPath(pathIn(this.#folder, this.#linked(entry))), place);
      case 'fifo':
      case 'character':
      case 'block':
        return this.warn('context-nodes', `'${textFromBytes(path)}' is a ${entry.type} node, which a context can't have: left out`);
      default:
        entry.type satisfies never;
    }
  }

  /** Modes and times of directories, at last: a directory without write permission still had to be filled. */
  finish(): void {
    for (const [path, { mode, mtime }] of [...this.#directories].toReversed()) {
      const place = fsPath(pathIn(this.#folder, path));
      if (!lstatSync(place).isDirectory()) continue;
      chmodSync(place, mode);
      utimesSync(place, mtime.seconds, mtime.seconds);
    }
  }

  #applyDirectory(entry: Entry, path: ByteString): void {
    const place = pathIn(this.#folder, path);
    if (statOf(place)?.isDirectory() !== true) {
      this.#makeWay(entry, path);
      mkdirSync(fsPath(place), 0o755);
    }
    this.#directories.set(path, entry);
  }

  #makeParents(entry: Entry, components: readonly ByteString[]): void {
    for (let depth = 1; depth < components.length; depth += 1) {
      const place = pathIn(this.#folder, pathOfNames(components.slice(0, depth)));
      const stats = statOf(place);
      if (stats === undefined) mkdirSync(fsPath(place), 0o755);
      else if (!stats.isDirectory())
        throw refusal(entry, stats.isSymbolicLink() ? 'lies below a symbolic link' : 'lies below what is not a directory');
    }
  }

  // A later entry of the same name wins, as with tar.
  #makeWay(entry: Entry, path: ByteString): void {
    const place = pathIn(this.#folder, path);
    const stats = statOf(place);
    if (stats === undefined) return;
    if (stats.isDirectory()) throw refusal(entry, 'would replace a directory');
    rmSync(fsPath(place));
  }

  #linked(entry: Entry): ByteString {
    const components = namesOf(entry.linkTarget ?? entry.path);
    const target = pathOfNames(components);
    if (components.some((component) => component === '..')) throw refusal(entry, 'is a hard link that leads out of the archive');
    for (let depth = 1; depth <= components.length; depth += 1) {
      const stats = statOf(pathIn(this.#folder, pathOfNames(components.slice(0, depth))));
      const isRight = depth < components.length ? stats?.isDirectory() === true : stats !== undefined && !stats.isDirectory();
      if (!isRight) throw refusal(entry, `is a hard link to '${textFromBytes(target)}', which is not in the archive before it`);
    }
    return target;
  }
}

async function writeFile(place: string | Buffer, entry: Entry): Promise<void> {
  const fd = openSync(place, 'wx', 0o600);
  try {
    for await (const chunk of entry.content ?? []) for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
  } catch (error) {
    if (systemCode(error) !== 'ENOSPC') throw error;
    throw new BuilderError('ERR_CONTEXT', `no space is left for '${textFromBytes(entry.path)}'`, { cause: error });
  } finally {
    closeSync(fd);
  }
  chmodSync(place, entry.mode);
  utimesSync(place, entry.mtime.seconds, entry.mtime.seconds);
}

function refusal(entry: Entry, state: string): BuilderError {
  return new BuilderError('ERR_UNSAFE_PATH', `entry '${textFromBytes(entry.path)}' ${state}`);
}

function statOf(path: ByteString): Stats | undefined {
  return lstatSync(fsPath(path), { throwIfNoEntry: false });
}
