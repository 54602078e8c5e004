// Copies what was selected into the root: content, types, owners, modes, attributes, times, and which files are one file.
import {
  chmodSync,
  constants,
  copyFileSync,
  createReadStream,
  createWriteStream,
  lchownSync,
  linkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fsPath, textFromBytes } from '../../bytes.ts';
import type { ByteString } from '../../bytes.ts';
import { judge } from '../../context/ignore.ts';
import type { IgnoreRules } from '../../context/ignore.ts';
import type { Selection } from '../../context/select.ts';
import { joinPath, pathIn, readLink, statOf } from '../../context/tree.ts';
import type { SourceTree } from '../../context/tree.ts';
import { walkSelection } from '../../context/walk.ts';
import type { WalkItem } from '../../context/walk.ts';
import { BuilderError, systemCode } from '../../errors.ts';
import { makeNode, setTimes, splitDevice } from '../../linux/files.ts';
import type { Timestamp } from '../../layer/entry.ts';
import { applyMetadata, readXattrs } from '../../rootfs/metadata.ts';
import type { ModeChange } from './copy-mode.ts';
import { parentOf } from './copy-target.ts';
import type { CopyTarget, NewDirectory, Owner } from './copy-target.ts';

/** What copies get in place of what their sources have. */
export interface CopyPolicy {
  /** Undefined keeps the owner of each source. */
  readonly owner?: Owner;
  readonly chmod?: ModeChange;
  /** Seconds since 1970 for everything that is made; undefined keeps the times of the sources. */
  readonly mtimeSeconds?: number;
  /** Directories that only lead to a destination. */
  readonly parents: NewDirectory;
}

/** Where an instruction's copies go: `path` below the root, `isDirectory` where the author says so with a slash. */
export interface Destination {
  readonly path: ByteString;
  readonly isDirectory: boolean;
}

/** A file that is in no tree: a heredoc or a download. */
export interface LooseFile {
  readonly name: ByteString;
  readonly content: Buffer | AsyncIterable<Buffer>;
  readonly mode: number;
  /** Seconds since 1970; the time of writing where not given. */
  readonly mtimeSeconds?: number;
}

export interface CopyJob {
  readonly target: CopyTarget;
  readonly policy: CopyPolicy;
  readonly destination: Destination;
  /** Sources that became the destination itself, in their order: each but the last was overwritten. */
  readonly written: string[];
  readonly excludes?: IgnoreRules;
  readonly warn: (code: string, message: string) => void;
  readonly signal: AbortSignal;
}

const turnMs = 10;
const sharedSize = 1024n * 1024n;
const streamedSize = 64n * 1024n * 1024n;
// Where every image and every container have files of their own: an image copied whole may hold names that are mounts here.
const kernelFolders = /^(?:dev|proc|sys)\//;

/** Copies a file as itself, or the content of a directory. @throws BuilderError ERR_ROOTFS, ERR_UNSAFE_PATH */
export async function copySelection(job: CopyJob, tree: SourceTree, selection: Selection): Promise<void> {
  const copier = new Copier(job, tree);
  const path = pathIn(tree.folder, selection.path);
  if (!selection.stats.isDirectory()) {
    if (job.excludes !== undefined && judge(job.excludes, textFromBytes(selection.name)).isIgnored) return;
    const place = placeFile(job, selection.name);
    job.target.makeWayForFile(place, textFromBytes(selection.name));
    if (place === job.destination.path) job.written.push(textFromBytes(selection.path));
    await copier.copyItem({ path, relative: selection.name, stats: selection.stats }, place);
    return;
  }
  job.target.makeDirectories(job.destination.path, job.policy.parents);
  await copier.copyContent(selection);
}

/** Writes a file that is in no tree. @throws BuilderError as copySelection, and what its content throws */
export async function copyLooseFile(job: CopyJob, file: LooseFile): Promise<void> {
  const { target, policy } = job;
  const place = placeFile(job, file.name);
  target.makeWayForFile(place, textFromBytes(file.name));
  if (place === job.destination.path) job.written.push(textFromBytes(file.name));
  const onDisk = target.onDisk(place);
  if (Buffer.isBuffer(file.content)) writeFileSync(fsPath(onDisk), file.content, { flag: 'wx', mode: 0o600 });
  else await pipeline(file.content, createWriteStream(fsPath(onDisk), { flags: 'wx', mode: 0o600 }), { signal: job.signal });
  const { uid, gid } = policy.owner ?? { uid: 0, gid: 0 };
  lchownSync(fsPath(onDisk), uid, gid);
  chmodSync(fsPath(onDisk), policy.chmod?.apply(file.mode, false) ?? file.mode);
  const mtimeSeconds = policy.mtimeSeconds ?? file.mtimeSeconds;
  if (mtimeSeconds !== undefined) setTimes(onDisk, mtimeSeconds, 0);
  target.touch(place);
}

/** The path that a file named `name` gets, with its directories made. */
export function placeFile(
  { target, destination, policy }: Pick<CopyJob, 'target' | 'destination' | 'policy'>,
  name: ByteString,
): ByteString {
  target.makeDirectories(destination.isDirectory ? destination.path : parentOf(destination.path), policy.parents);
  const isInside = destination.isDirectory || target.isDirectory(destination.path);
  return isInside ? joinPath(destination.path === '' ? [name] : [destination.path, name]) : destination.path;
}

class Copier {
  readonly #job: CopyJob;
  readonly #tree: SourceTree;
  /** First copy of each file that has several names, by device and inode. */
  readonly #linked = new Map<string, ByteString>();
  /** Directories made by this copy: nothing can be in the way in them. */
  readonly #fresh = new Set<ByteString>();
  readonly #directories: { readonly place: ByteString; readonly stats: BigIntStats }[] = [];
  #turnStart = performance.now();

  constructor(job: CopyJob, tree: SourceTree) {
    this.#job = job;
    this.#tree = tree;
  }

  async copyContent(selection: Selection): Promise<void> {
    const { target, destination } = this.#job;
    for (const item of walkSelection(this.#tree, selection, this.#job.excludes)) {
      await this.#giveTurn();
      const place = joinPath(destination.path === '' ? [item.relative] : [destination.path, item.relative]);
      if (this.#isLeftOut(item, place)) continue;
      if (item.stats.isDirectory()) this.#copyDirectory(item, place, selection.includes === undefined);
      else {
        if (!this.#fresh.has(parentOf(place))) target.makeWayForFile(place, textFromBytes(item.relative));
        await this.copyItem(item, place);
      }
    }
    // Deepest first, and last of all: every entry put into a directory changed its time.
    for (const { place, stats } of this.#directories.toReversed()) this.#setTime(place, stats);
    if (selection.includes === undefined) {
      this.#setTime(destination.path, selection.stats);
      target.touch(destination.path);
    }
  }

  /** Copies anything but a directory to a place where nothing is. */
  async copyItem(item: WalkItem, place: ByteString): Promise<void> {
    try {
      await this.#create(item, place);
    } catch (error) {
      if (error instanceof BuilderError || this.#job.signal.aborted) throw error;
      const message = `Cannot copy ${this.#nameOf(item.path)} to '/${textFromBytes(place)}': ${reasonOf(error)}`;
      throw new BuilderError('ERR_ROOTFS', message, { cause: error });
    }
  }

  /** Where the tree is on this disk tells nobody anything: that of a stage is in the builder's own folder. */
  #nameOf(path: ByteString): string {
    const { folder, label } = this.#tree;
    return `'${textFromBytes(path).slice(textFromBytes(folder).length).replace(/^\//, '')}' in ${label}`;
  }

  async #create(item: WalkItem, place: ByteString): Promise<void> {
    const { stats, path } = item;
    const { target } = this.#job;
    const onDisk = target.onDisk(place);
    this.#tree.noteRead?.(path);
    if (stats.isSocket()) {
      this.#job.warn('copy-socket', `${this.#nameOf(item.path)} is a socket, which an image can't hold: left out`);
      return;
    }
    if (stats.isFile()) {
      if (this.#linkTo(stats, place)) return;
      await copyContentOf(path, onDisk, stats.size, this.#job.signal);
    } else if (stats.isSymbolicLink()) {
      symlinkSync(fsPath(readLink(path)), fsPath(onDisk));
    } else {
      const { major, minor } = splitDevice(Number(stats.rdev));
      makeNode(onDisk, Number(stats.mode) & 0o177777, major, minor);
    }
    this.#setMetadata(path, place, stats);
    target.touch(place);
  }

  #copyDirectory(item: WalkItem, place: ByteString, overwrites: boolean): void {
    const { target, policy } = this.#job;
    const isFresh = this.#fresh.has(parentOf(place));
    const existing = isFresh ? undefined : statOf(target.onDisk(place));
    if (existing !== undefined && !existing.isDirectory()) {
      if (!target.replaces) {
        throw new BuilderError(
          'ERR_ROOTFS',
          `Cannot copy directory '${textFromBytes(item.relative)}' to '/${textFromBytes(place)}': what is there is not a directory`,
        );
      }
      target.remove(place);
    }
    if (existing?.isDirectory() === true) {
      if (!overwrites) return;
      target.refuseProtected(place);
    } else {
      target.makeDirectory(place, policy.parents);
      this.#fresh.add(place);
    }
    this.#setMetadata(item.path, place, item.stats);
    this.#directories.push({ place, stats: item.stats });
    target.touch(place);
  }

  // Below a directory that is copied whole there may be names that are mounts here; what was not asked for by name is left out.
  #isLeftOut(item: WalkItem, place: ByteString): boolean {
    const { target } = this.#job;
    if (!target.isProtected(place)) return false;
    if (item.stats.isDirectory() && target.isDirectory(place)) return true;
    const isMount = target.root.protection.paths.includes(place) || kernelFolders.test(place);
    if (!isMount) target.refuseProtected(place);
    this.#job.warn('copy-mounted', `'/${textFromBytes(place)}' is mounted here and so was left out of the copy`);
    return true;
  }

  #linkTo(stats: BigIntStats, place: ByteString): boolean {
    if (stats.nlink < 2n) return false;
    const { target } = this.#job;
    const key = `${stats.dev}:${stats.ino}`;
    const first = this.#linked.get(key);
    if (first === undefined) {
      this.#linked.set(key, place);
      return false;
    }
    linkSync(fsPath(target.onDisk(first)), fsPath(target.onDisk(place)));
    target.touch(place);
    return true;
  }

  #setMetadata(source: ByteString, place: ByteString, stats: BigIntStats): void {
    const { policy, target, warn } = this.#job;
    const kept = this.#tree.keepsOwners ? { uid: Number(stats.uid), gid: Number(stats.gid) } : { uid: 0, gid: 0 };
    const mode = Number(stats.mode) & 0o7777;
    const metadata = {
      ...(policy.owner ?? kept),
      mode: policy.chmod?.apply(mode, stats.isDirectory()) ?? mode,
      mtime: this.#mtimeOf(stats),
      xattrs: readXattrs(source),
    };
    applyMetadata(target.onDisk(place), metadata, stats.isSymbolicLink(), (_, name) => {
      warn('copy-xattr', `Extended attribute ${name} can't be set here: left out`);
    });
  }

  #setTime(place: ByteString, stats: BigIntStats): void {
    const { seconds, nanoseconds } = this.#mtimeOf(stats);
    setTimes(this.#job.target.onDisk(place), seconds, nanoseconds);
  }

  #mtimeOf({ mtimeNs }: BigIntStats): Timestamp {
    const { mtimeSeconds } = this.#job.policy;
    if (mtimeSeconds !== undefined) return { seconds: mtimeSeconds, nanoseconds: 0 };
    const nanoseconds = ((mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    return { seconds: Number((mtimeNs - nanoseconds) / 1_000_000_000n), nanoseconds: Number(nanoseconds) };
  }

  // File operations are synchronous, which is several times faster for small files; others get their turn every 10 ms.
  async #giveTurn(): Promise<void> {
    if (performance.now() - this.#turnStart < turnMs) return;
    await nextTurn();
    this.#job.signal.throwIfAborted();
    this.#turnStart = performance.now();
  }
}

/** Copies bytes to a new file: shared blocks where that pays and the filesystem can, in small pieces where it takes long. */
async function copyContentOf(from: ByteString, to: ByteString, size: bigint, signal: AbortSignal): Promise<void> {
  // Asking a filesystem that can't share blocks costs as much as copying a small file (35 µs for 1.5 kB on ext4).
  const sharing = size < sharedSize ? 0 : constants.COPYFILE_FICLONE;
  if (size < streamedSize) return copyFileSync(fsPath(from), fsPath(to), constants.COPYFILE_EXCL | sharing);
  try {
    copyFileSync(fsPath(from), fsPath(to), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw error;
    const target = createWriteStream(fsPath(to), { flags: 'wx', mode: 0o600 });
    await pipeline(createReadStream(fsPath(from), { highWaterMark: 1 << 20 }), target, { signal });
  }
}

function reasonOf(error: unknown): string {
  if (systemCode(error) === 'ENOSPC') return 'no space is left';
  return error instanceof Error ? error.message : String(error);
}
