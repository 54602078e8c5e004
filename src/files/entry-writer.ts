// Entries onto a disk, wherever they come from: layers, archives, checkouts, views. RED: they come from strangers; every name is
// resolved inside the root, nothing is written through a link that was not resolved, nothing protected is touched.
import { linkSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { systemCode } from '../errors.ts';
import type { Entry } from '../layer/entry.ts';
import { show } from '../layer/show.ts';
import { takeWhole } from '../layer/stored-content.ts';
import { childPath, clampPath, splitPath, rootPath } from '../paths.ts';
import { createEntry, tryCreateEntry } from './create.ts';
import { DirectoryFinish } from './directory-finish.ts';
import { malformed, unsafe, within } from './entry-failure.ts';
import { type RefuseXattr, applyLinkMetadata, applyMetadata, removeStaleXattrs } from './metadata.ts';
import { type Keeps, removeChildren, removeTree } from './remove.ts';
import { type Resolution, absolutePath, isDirectoryMode, isFileMode, modeOf, resolvePath } from './resolve.ts';
import type { Root } from './root.ts';

/** What differs between the sources of entries. */
export interface WriteRules {
  /**
   * What entries may meet. A layer's follow links inside the root, and win over what stands in their place. An archive's must stay
   * away from links and spare directories, but may come twice. Those of something new may meet nothing.
   */
  readonly kind: 'layer' | 'archive' | 'new';
  /** False where everything is to belong to whoever builds. */
  readonly keepsOwners: boolean;
  /** Told of each attribute that can't be set. */
  readonly refuseXattr: RefuseXattr;
  /** Where an entry really goes that is on its way to `place`; undefined leaves it out. */
  readonly turn?: (place: ByteString, type: Entry['type']) => ByteString | undefined;
  /** The entry as it can be made at `real`. */
  readonly adapt?: (real: ByteString, entry: Entry) => Entry;
  /** Told of each path that stays as it is, being protected. */
  readonly skipped?: (real: ByteString) => void;
  /** Told of a device that may not be made; without it that is an error. */
  readonly refuseDevice?: (real: ByteString) => void;
}

const longestTurnMs = 50;

export class EntryWriter {
  readonly #root: Root;
  readonly #rules: WriteRules;
  readonly #owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  /** Parents as archives spell them → where they are. Exact bytes; forgotten whenever a directory or link goes away. */
  readonly #parents = new Map<ByteString, ByteString>();
  readonly #directories: DirectoryFinish;
  /** Hard links whose target comes later in the archive. */
  readonly #pendingLinks: Entry[] = [];
  #hasRemoved = false;

  constructor(root: Root, rules: WriteRules) {
    this.#root = root;
    this.#rules = rules;
    this.#directories = new DirectoryFinish(root);
  }

  /**
   * Writes all entries and gives their number; `apply` where there is more to an entry than to write it.
   * @throws ERR_LAYER for what makes no sense, ERR_UNSAFE_PATH for what would lead out, ERR_ROOTFS when the filesystem refuses: all
   * begin with `entry`
   */
  async writeAll(
    entries: AsyncIterable<Entry> | Iterable<Entry>,
    signal: AbortSignal,
    apply: (entry: Entry) => Promise<unknown> = (entry) => this.write(entry),
  ): Promise<number> {
    let count = 0;
    let turnEnd = performance.now() + longestTurnMs;
    for await (const entry of entries) {
      count++;
      if (count % 1024 === 0 || performance.now() > turnEnd) {
        signal.throwIfAborted();
        // Everything here is synchronous while data is at hand; signals, downloads and signs of life want their turn.
        await new Promise((resolve) => setImmediate(resolve));
        turnEnd = performance.now() + longestTurnMs;
      }
      await within(entry.path, () => apply(takeWhole(entry)));
    }
    await within(rootPath, async () => this.#finish());
    return count;
  }

  /** Puts an entry on disk; gives its place unless it is left out or waits for its target. */
  async write(entry: Entry): Promise<ByteString | undefined> {
    const path = this.#pathOf(entry.path);
    const real = path === rootPath ? rootPath : this.#placeOf(path, entry.type);
    if (real === undefined) return undefined;
    const adapted = this.#adapt(real, entry);
    if (adapted.type !== 'hardlink') return (await this.#put(real, adapted)) ? real : undefined;
    if (this.#tryLink(real, adapted)) return real;
    this.#pendingLinks.push(entry);
    return undefined;
  }

  /** Removes a path, resolved, with all below it that is not kept; its directory keeps its time. */
  remove(path: ByteString, keeps: Keeps): void {
    const mode = modeOf(this.#root, path);
    if (mode === undefined) return;
    this.#directories.keepTime(splitPath(path).parent);
    if (!isFileMode(mode)) this.#forgetPlaces();
    removeTree(this.#root, path, keeps);
  }

  /** Removes what is in a directory, resolved, and not kept. */
  empty(path: ByteString, keeps: Keeps): void {
    this.#directories.keepTime(path);
    this.#forgetPlaces();
    removeChildren(this.#root, path, keeps);
  }

  // Links whose targets came late, then directories, children first.
  #finish(): void {
    for (const entry of this.#pendingLinks) {
      // Where it goes is found anew: a parent may have become a link since.
      const real = this.#placeOf(this.#pathOf(entry.path), entry.type);
      if (real !== undefined && !this.#tryLink(real, this.#adapt(real, entry))) {
        throw malformed(real, `is a hard link to ${show(entry.linkTarget ?? entry.path)}, which does not exist`);
      }
    }
    this.#directories.finish(this.#hasRemoved);
  }

  #adapt(real: ByteString, entry: Entry): Entry {
    const { adapt, keepsOwners } = this.#rules;
    const owned = keepsOwners ? entry : { ...entry, ...this.#owner };
    return adapt === undefined ? owned : adapt(real, owned);
  }

  #pathOf(path: ByteString, whose = path, state = 'leads out of the archive'): ByteString {
    if (this.#rules.kind !== 'layer' && path.split('/').includes('..')) throw unsafe(whose, state);
    return clampPath(path);
  }

  // Where an entry goes; undefined, and told, where it must not.
  #placeOf(path: ByteString, type: Entry['type']): ByteString | undefined {
    const { parent, name } = splitPath(path);
    const realParent = this.#parents.get(parent) ?? this.#enterParent(parent, path);
    const { turn } = this.#rules;
    const { protection } = this.#root;
    const place = realParent === undefined ? path : childPath(realParent, name);
    const real = turn === undefined ? place : turn(place, type);
    if (real === undefined) return undefined;
    const isOurs = realParent !== undefined && !protection.covers(real) && !(protection.holds(real) && type !== 'directory');
    if (isOurs) return real;
    this.#rules.skipped?.(real);
    return undefined;
  }

  // Where a parent really is; made where it's missing, put in place of a file. Undefined where it must not be touched.
  #enterParent(parent: ByteString, path: ByteString): ByteString | undefined {
    const found = this.#resolve(parent, 'follow', path, 'lies below a symbolic link');
    if (found.isProtected) return undefined;
    if (!isDirectoryMode(found.mode) && !this.#makeDirectories(found.path, path)) return undefined;
    this.#directories.keepTime(found.path);
    this.#parents.set(parent, found.path);
    return found.path;
  }

  // Links are followed for layers alone; else `state` is what is wrong with the entry `whose`.
  #resolve(path: ByteString, leaf: 'keep' | 'follow', whose: ByteString, state: string): Resolution {
    const found = resolvePath(this.#root, path, leaf);
    // What was resolved is free of links: where it is spelt alike, there was none.
    if (this.#rules.kind !== 'layer' && found.path !== path) throw unsafe(whose, state);
    return found;
  }

  #makeDirectories(path: ByteString, whose: ByteString): boolean {
    for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
      const part = (end === -1 ? path : path.slice(0, end)) as ByteString; // a part of bytes
      const mode = modeOf(this.#root, part);
      if (!isDirectoryMode(mode)) {
        if (this.#root.protection.covers(part)) return false;
        if (mode !== undefined && this.#rules.kind !== 'layer') throw unsafe(whose, 'lies below what is not a directory');
        if (mode !== undefined && !this.#makeWay(part, mode)) return false;
        this.#directories.keepTime(splitPath(part).parent);
        mkdirSync(fsPath(absolutePath(this.#root, part)), 0o755);
        this.#directories.forget(part);
      }
      if (end === -1) return true;
    }
  }

  async #put(real: ByteString, entry: Entry): Promise<boolean> {
    if (entry.type === 'directory') return await this.#putDirectory(real, entry);
    if (real === rootPath) throw malformed(real, `would make the root a ${entry.type}`);
    const path = absolutePath(this.#root, real);
    const { refuseXattr, refuseDevice } = this.#rules;
    try {
      // Most names are free: to ask first would be a system call for each.
      if (await tryCreateEntry(path, entry, refuseXattr)) return true;
      if (!this.#isFree(real, modeOf(this.#root, real))) return false;
      await createEntry(path, entry, refuseXattr);
    } catch (error) {
      const isDevice = entry.type === 'character' || entry.type === 'block';
      if (!isDevice || refuseDevice === undefined || systemCode(error) !== 'EPERM') throw error;
      refuseDevice(real);
    }
    return true;
  }

  async #putDirectory(real: ByteString, entry: Entry): Promise<boolean> {
    const path = absolutePath(this.#root, real);
    const { kind, refuseXattr } = this.#rules;
    const standing = real === rootPath ? 0o040000 : modeOf(this.#root, real);
    const open = this.#directories.open(real, entry);
    if (isDirectoryMode(standing) && kind !== 'new') {
      removeStaleXattrs(path, entry);
      applyMetadata(path, open, false, refuseXattr);
    } else {
      if (!this.#isFree(real, standing)) return false;
      await createEntry(path, open, refuseXattr);
    }
    // What comes next is mostly in it.
    if (real === clampPath(entry.path)) this.#parents.set(real, real);
    return true;
  }

  // Makes a place free for something else; false where what stands there must stay.
  #isFree(real: ByteString, standing: number | undefined): boolean {
    return standing === undefined || this.#makeWay(real, standing);
  }

  #makeWay(real: ByteString, standing: number): boolean {
    const { kind, skipped } = this.#rules;
    if (kind === 'new') throw unsafe(real, 'is there twice');
    if (!isFileMode(standing)) this.#forgetPlaces();
    if (!isDirectoryMode(standing)) {
      unlinkSync(fsPath(absolutePath(this.#root, real)));
      return true;
    }
    if (kind === 'archive') throw unsafe(real, 'would replace a directory');
    const isGone = removeTree(this.#root, real);
    if (!isGone) skipped?.(real);
    return isGone;
  }

  #tryLink(real: ByteString, entry: Entry): boolean {
    const target = this.#pathOf(entry.linkTarget ?? entry.path, real, 'is a hard link that leads out of the archive');
    const found = this.#resolve(target, 'keep', real, `is a hard link to ${show(target)}, which lies below a symbolic link`);
    if (found.isProtected) {
      // The image's own file is not on this disk, and what is there instead is nobody's to link to.
      const there = modeOf(this.#root, real);
      if (there !== undefined) this.#makeWay(real, there);
      this.#rules.skipped?.(real);
      return true;
    }
    if (found.mode === undefined) return false;
    if (isDirectoryMode(found.mode)) throw malformed(real, `is a hard link to the directory ${show(found.path)}`);
    if (found.path === real) throw malformed(real, 'is a hard link to itself');
    const path = absolutePath(this.#root, real);
    const existing = absolutePath(this.#root, found.path);
    const standing = modeOf(this.#root, real);
    if (standing !== undefined && (isSameFile(path, existing) || !this.#makeWay(real, standing))) return true;
    linkSync(fsPath(existing), fsPath(path));
    // By both names: gVisor keeps what it knows of a file for each.
    for (const name of [existing, path]) applyLinkMetadata(name, entry, this.#rules.refuseXattr);
    return true;
  }

  // A directory or link is going away: whatever was found through it must be found anew.
  #forgetPlaces(): void {
    this.#parents.clear();
    this.#hasRemoved = true;
  }
}

function isSameFile(a: ByteString, b: ByteString): boolean {
  const first = lstatSync(fsPath(a), { bigint: true });
  const second = lstatSync(fsPath(b), { bigint: true });
  return first.ino === second.ino && first.dev === second.dev;
}
