// Layers onto the root, in order. image-spec layer.md#applying-changesets. RED: entries come from strangers; every name is
// resolved inside the root, nothing is written through a link that we did not resolve, nothing protected is touched.
import { lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import type { Entry, Timestamp } from '../layer/entry.ts';
import { whiteoutOf } from '../layer/whiteout.ts';
import { setTimes, statFieldCount, statInto } from '../linux/files.ts';
import { readPossibleOwner } from '../linux/owners.ts';
import { createDirectory, createFile, createFileAhead, createHardlink, createNode, createSymlink } from '../files/create.ts';
import { digestOf, watchDigest } from './content-notes.ts';
import { FilesAhead, contentOf, largestAheadBytes } from './files-ahead.ts';
import { type Ledger, withPossibleOwner } from './ledger.ts';
import { type RefuseXattr, applyLinkMetadata, applyMetadata, readXattrs, removeStaleXattrs } from '../files/metadata.ts';
import { removeChildren, removeTree } from '../files/remove.ts';
import { absolutePath, isDirectoryMode, isFileMode, modeOf, resolvePath } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import { malformed, show, unsafe, within } from './unpack-failure.ts';
import { childPath, clampPath, splitPath } from '../paths.ts';
import { type PodMap, plainPodMap } from '../tree/pod-map.ts';

/**
 * Unpacks one layer's entries over what is there and gives their number. The order within a layer doesn't matter: its own
 * entries survive its whiteouts. What can't be made here goes into the ledger.
 * @throws ERR_LAYER for entries that make no sense, ERR_ROOTFS when the filesystem refuses
 */
export async function unpackLayer(
  root: Root,
  entries: AsyncIterable<Entry>,
  ledger: Ledger,
  signal: AbortSignal,
  map: PodMap = plainPodMap,
): Promise<number> {
  const unpacking = new Unpacking(root, ledger, map);
  let count = 0;
  try {
    for await (const entry of entries) {
      count++;
      if (count % 1024 === 0) {
        signal.throwIfAborted();
        // Everything here is synchronous while data is at hand; signals and downloads want their turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
      await within(entry.path, () => unpacking.apply(entry));
    }
    await within('.' as ByteString, () => unpacking.finish()); // ASCII
  } finally {
    await unpacking.stop();
  }
  return count;
}

class Unpacking {
  readonly #root: Root;
  readonly #ledger: Ledger;
  /** What this layer has made, and the directories above it: its whiteouts spare them. */
  readonly #fresh = new Set<ByteString>();
  /** Parents as archives spell them → where they are. Exact bytes; forgotten whenever a directory or link goes away. */
  readonly #parents = new Map<ByteString, ByteString>();
  /** Times to give directories at the end: the layer's, or those they had before something was put into them. */
  readonly #directoryTimes = new Map<ByteString, Timestamp>();
  /** Hard links whose target comes later in the archive. */
  readonly #pendingLinks: Entry[] = [];
  readonly #ahead = new FilesAhead();
  /** Paths on disk that lack an attribute: what they hold is not what the layer says. */
  readonly #refused = new Set<ByteString>();
  /** Where the disk has a link to a held folder, and those folders: what a layer says of the former is meant for the latter. */
  readonly #heldOfFree = new Map<ByteString, ByteString>();
  readonly #turned: ReadonlySet<ByteString>;
  #hasRemoved = false;
  readonly #refuse: RefuseXattr;
  readonly #possibleOwner = readPossibleOwner();

  constructor(root: Root, ledger: Ledger, map: PodMap) {
    this.#root = root;
    for (const { held, free } of map.turned) if (free !== undefined) this.#heldOfFree.set(free, held);
    this.#turned = new Set(map.turned.map(({ held }) => held));
    this.#ledger = ledger;
    this.#refuse = (path, name) => {
      this.#refused.add(path);
      if (!ledger.xattrs.has(name)) ledger.xattrs.set(name, path);
    };
  }

  async apply(entry: Entry): Promise<void> {
    const path = clampPath(entry.path);
    // All that could remove or link to something waits for the files that are under way.
    if (entry.type !== 'file' && entry.type !== 'directory' && entry.type !== 'symlink') await this.#ahead.settle();
    if (path.includes('.wh.')) await this.#ahead.settle();
    if (path === '.') return this.#applyToRoot(entry);
    const whiteout = whiteoutOf(path);
    if (whiteout?.kind === 'removes') return this.#hide(whiteout.path);
    if (whiteout?.kind === 'opaque') return this.#hideChildren(whiteout.directory);
    // A whiteout that is a directory in its archive: what is in it hides nothing more.
    if (path.includes('.wh.') && path.split('/').some((name) => name.startsWith('.wh.'))) return;
    const real = await this.#placeOf(path, entry.type);
    if (real === undefined) return;
    const ownable = withPossibleOwner(this.#ledger, real, entry, this.#possibleOwner(entry));
    if (entry.type === 'hardlink') return this.#link(real, ownable);
    await this.#place(real, ownable);
    this.#remember(real);
  }

  /** Links whose targets came late, then the times of directories, children first. @throws ERR_LAYER for a link to nothing */
  async finish(): Promise<void> {
    await this.#ahead.settle();
    for (const entry of this.#pendingLinks) {
      // Where it goes is found anew: a parent may have become a link since.
      const real = await this.#placeOf(clampPath(entry.path), entry.type);
      if (real !== undefined && !this.#tryLink(real, entry)) {
        throw malformed(real, `is a hard link to ${show(entry.linkTarget ?? entry.path)}, which does not exist`);
      }
    }
    for (const [path, time] of [...this.#directoryTimes].reverse()) {
      if (!this.#hasRemoved || this.#isStillDirectory(path)) setTimes(absolutePath(this.#root, path), time.seconds, time.nanoseconds);
    }
  }

  /** Waits for what is under way, so that nothing is written to the root any more. */
  async stop(): Promise<void> {
    await this.#ahead.stop();
  }

  // The path may have been removed since, or lead through a link now.
  #isStillDirectory(path: ByteString): boolean {
    const found = resolvePath(this.#root, path, 'keep');
    return found.path === path && isDirectoryMode(found.mode);
  }

  // Where an entry goes; undefined, and noted, where it must not.
  async #placeOf(path: ByteString, type: Entry['type']): Promise<ByteString | undefined> {
    const { parent, name } = splitPath(path);
    const realParent = this.#parents.get(parent) ?? (await this.#enterParent(parent));
    const place = realParent === undefined ? path : childPath(realParent, name);
    const real = this.#heldOfFree.get(place) ?? place;
    // The image's link in place of a held folder: the map has it.
    if (this.#turned.has(place) && type !== 'directory') return undefined;
    const { protection } = this.#root;
    const isOurs = realParent !== undefined && !protection.covers(real) && !(protection.holds(real) && type !== 'directory');
    if (isOurs) return real;
    this.#skip(real);
    return undefined;
  }

  // A directory or link is going away: whatever was found through it must be found anew.
  #forgetPlaces(): void {
    this.#parents.clear();
    this.#hasRemoved = true;
  }

  #applyToRoot(entry: Entry): void {
    if (entry.type !== 'directory') throw malformed(entry.path, `would make the root a ${entry.type}`);
    const path = absolutePath(this.#root, entry.path);
    const ownable = withPossibleOwner(this.#ledger, entry.path, entry, this.#possibleOwner(entry));
    removeStaleXattrs(path, entry);
    applyMetadata(path, ownable, false, this.#refuse);
    this.#directoryTimes.set('.' as ByteString, entry.mtime); // ASCII
  }

  async #place(real: ByteString, entry: Entry): Promise<void> {
    const path = absolutePath(this.#root, real);
    // An access list of a directory is what new files in it inherit.
    if (this.#ahead.has(real) || (entry.type === 'directory' && entry.xattrs.size > 0)) await this.#ahead.settle();
    if (entry.type === 'file' && entry.size <= largestAheadBytes && modeOf(this.#root, real) === undefined) {
      const content = await contentOf(entry);
      const make = async (): Promise<void> => {
        await createFileAhead(path, entry, content, this.#refuse);
        this.#note(real, () => digestOf(entry.xattrs, content));
      };
      await this.#ahead.start(real, () => within(entry.path, make));
      return;
    }
    if (entry.type === 'directory' && isDirectoryMode(modeOf(this.#root, real))) {
      removeStaleXattrs(path, entry);
      applyMetadata(path, entry, false, this.#refuse);
      this.#directoryTimes.set(real, entry.mtime);
      this.#note(real, () => digestOf(entry.xattrs));
      return;
    }
    const { watched, digest } = this.#ledger.notes === undefined ? { watched: entry } : watchDigest(entry);
    try {
      await this.#create(path, watched, real);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      await this.#ahead.settle();
      if (!this.#makeWay(real)) return this.#skip(real);
      await this.#create(path, watched, real);
    }
    if (digest !== undefined) this.#note(real, digest);
    if (entry.type === 'directory') this.#directoryTimes.set(real, entry.mtime);
  }

  #note(real: ByteString, digest: () => Buffer): void {
    const { notes } = this.#ledger;
    if (notes === undefined) return;
    if (this.#refused.delete(absolutePath(this.#root, real))) notes.forget(real);
    else notes.note(real, digest());
  }

  async #create(path: ByteString, entry: Entry, real: ByteString): Promise<void> {
    switch (entry.type) {
      case 'file':
        return await createFile(path, entry, this.#refuse);
      case 'directory':
        return createDirectory(path, entry, this.#refuse);
      case 'symlink':
        return createSymlink(path, entry, this.#refuse);
      case 'fifo':
        return createNode(path, entry, 'fifo', this.#refuse);
      case 'character':
      case 'block':
        return this.#createDevice(path, entry, entry.type, real);
      case 'hardlink':
        throw new BuilderError('ERR_INTERNAL', `Cannot create ${show(real)}: hard links are made elsewhere`);
      default:
        return entry.type satisfies never;
    }
  }

  #createDevice(path: ByteString, entry: Entry, type: 'character' | 'block', real: ByteString): void {
    try {
      createNode(path, entry, type, this.#refuse);
    } catch (error) {
      if (systemCode(error) !== 'EPERM') throw error;
      this.#ledger.nodes.add(real);
    }
  }

  // Removes what stands where something else is to be; false where it must stay.
  #makeWay(real: ByteString): boolean {
    const mode = modeOf(this.#root, real);
    if (!isFileMode(mode)) this.#forgetPlaces();
    if (isDirectoryMode(mode)) return removeTree(this.#root, real);
    unlinkSync(fsPath(absolutePath(this.#root, real)));
    return true;
  }

  #link(real: ByteString, entry: Entry): void {
    if (this.#tryLink(real, entry)) this.#remember(real);
    else this.#pendingLinks.push(entry);
  }

  #tryLink(real: ByteString, entry: Entry): boolean {
    const target = clampPath(entry.linkTarget ?? entry.path);
    const found = resolvePath(this.#root, target, 'keep');
    if (found.isProtected) throw unsafe(real, `is a hard link to ${show(found.path)}, which is not part of the image`);
    if (found.mode === undefined) return false;
    if (isDirectoryMode(found.mode)) throw malformed(real, `is a hard link to the directory ${show(found.path)}`);
    if (found.path === real) throw malformed(real, 'is a hard link to itself');
    const path = absolutePath(this.#root, real);
    const existing = absolutePath(this.#root, found.path);
    try {
      createHardlink(path, existing);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      if (isSameFile(path, existing)) return true;
      if (!this.#makeWay(real)) {
        this.#skip(real);
        return true;
      }
      createHardlink(path, existing);
    }
    // By both names: gVisor keeps what it knows of a file for each.
    for (const name of [existing, path]) applyLinkMetadata(name, entry, this.#refuse);
    // A header of a link may bring attributes of its own.
    if (entry.xattrs.size > 0) this.#ledger.notes?.forget(found.path);
    this.#ledger.notes?.noteSame(real, found.path);
    return true;
  }

  #hide(path: ByteString): void {
    const { parent, name } = splitPath(path);
    const found = resolvePath(this.#root, parent, 'follow');
    if (found.mode === undefined || !isDirectoryMode(found.mode)) return;
    const place = childPath(found.path, name);
    if (this.#turned.has(place)) return;
    const real = this.#heldOfFree.get(place) ?? place;
    if (found.isProtected || this.#root.protection.covers(real)) return this.#skip(real);
    const mode = modeOf(this.#root, real);
    if (mode === undefined) return;
    this.#keepTime(found.path);
    if (!isFileMode(mode)) this.#forgetPlaces();
    removeTree(this.#root, real, (candidate) => this.#fresh.has(candidate));
  }

  #hideChildren(directory: ByteString): void {
    const found = resolvePath(this.#root, directory, 'follow');
    if (!isDirectoryMode(found.mode)) return;
    if (found.isProtected) return this.#skip(found.path);
    this.#keepTime(found.path);
    this.#forgetPlaces();
    removeChildren(this.#root, found.path, (candidate) => this.#fresh.has(candidate));
  }

  // Where a parent really is; made where it's missing, put in place of a file. Undefined where it must not be touched.
  async #enterParent(parent: ByteString): Promise<ByteString | undefined> {
    let found = resolvePath(this.#root, parent, 'follow');
    if (found.isProtected) return undefined;
    if (!isDirectoryMode(found.mode)) {
      // What is missing may be a file that is just being made.
      await this.#ahead.settle();
      found = resolvePath(this.#root, parent, 'follow');
      if (found.isProtected) return undefined;
    }
    if (!isDirectoryMode(found.mode) && !this.#makeDirectories(found.path)) return undefined;
    this.#keepTime(found.path);
    this.#parents.set(parent, found.path);
    return found.path;
  }

  #makeDirectories(path: ByteString): boolean {
    for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
      const part = (end === -1 ? path : path.slice(0, end)) as ByteString; // a part of bytes
      const mode = modeOf(this.#root, part);
      if (!isDirectoryMode(mode)) {
        if (this.#root.protection.covers(part)) return false;
        if (mode !== undefined && !this.#makeWay(part)) return false;
        this.#keepTime(splitPath(part).parent);
        mkdirSync(fsPath(absolutePath(this.#root, part)), 0o755);
        this.#note(part, () => digestOf(readXattrs(absolutePath(this.#root, part))));
      }
      if (end === -1) return true;
    }
  }

  // Putting something into a directory changes its time, which is only right if the layer says so.
  #keepTime(directory: ByteString): void {
    if (this.#directoryTimes.has(directory)) return;
    const stat = new Float64Array(statFieldCount);
    if (!statInto(absolutePath(this.#root, directory), stat)) return;
    this.#directoryTimes.set(directory, { seconds: stat[4] ?? 0, nanoseconds: stat[5] ?? 0 });
  }

  #remember(real: ByteString): void {
    this.#fresh.add(real);
    for (let slash = real.lastIndexOf('/'); slash > 0; slash = real.lastIndexOf('/', slash - 1)) {
      const above = real.slice(0, slash) as ByteString; // a part of bytes
      if (this.#fresh.has(above)) return;
      this.#fresh.add(above);
    }
  }

  #skip(path: ByteString): void {
    this.#ledger.protectedPaths.add(path);
  }
}

function isSameFile(a: ByteString, b: ByteString): boolean {
  const first = lstatSync(fsPath(a), { bigint: true });
  const second = lstatSync(fsPath(b), { bigint: true });
  return first.ino === second.ino && first.dev === second.dev;
}
