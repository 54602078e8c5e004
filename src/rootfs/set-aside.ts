// A whole root set aside and taken back, by renaming: as long as there are names at the top, not files below. RED.
import { linkSync, mkdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { type ByteString, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, ifCode, orElse, systemCode } from '../errors.ts';
import { makeFolder } from '../folders.ts';
import { createEntry } from '../files/create.ts';
import { DirectoryFinish } from '../files/directory-finish.ts';
import { applyMetadata, readXattrs, removeStaleXattrs } from '../files/metadata.ts';
import { createProtection } from './protect.ts';
import { metadataOf, openEntry, statOf } from './read-entry.ts';
import { listNames } from '../files/remove.ts';
import { absolutePath, isDirectoryMode, resolvePath } from '../files/resolve.ts';
import { type Root, plainRoot } from '../files/root.ts';
import type { TreeEntry } from './scanned-tree.ts';
import { childPath, pathIn, splitPath, rootPath } from '../paths.ts';

/**
 * Moves all of the root that isn't protected into `folder`, an empty directory. Directories that lead to something protected
 * stay, emptied; the folder has copies of them.
 * @throws ERR_ROOTFS; the root is then partly moved
 */
export async function setRootAside(root: Root, folder: ByteString, signal: AbortSignal): Promise<void> {
  await new Move(root, plainRoot(folder), signal).directory(rootPath);
}

/**
 * Moves these paths, with all below them, to their places in `folder`; one that is not there is passed over, what is protected stays.
 * Directories that they were in keep their times. @throws ERR_ROOTFS; the root is then partly moved
 */
export async function setPathsAside(root: Root, folder: ByteString, paths: readonly ByteString[], signal: AbortSignal): Promise<void> {
  const move = new Move(root, plainRoot(folder), signal);
  const times = new DirectoryFinish(root);
  for (const path of paths) {
    const { parent } = splitPath(path);
    times.keepTime(parent);
    makeFolder(fsPath(pathIn(folder, parent)), 0o755);
    await move.path(path);
  }
  times.finish(true);
}

/**
 * Renames folders to their places in the root, by which they are named, where nothing may be; the directories that they get into keep
 * their times. False where one can't be: others may have been.
 */
export function moveFoldersIn(root: Root, folders: ReadonlyMap<ByteString, ByteString>): boolean {
  const times = new DirectoryFinish(root);
  const move = ([path, from]: readonly [ByteString, ByteString]): boolean => {
    const found = resolvePath(root, path, 'keep');
    if (found.path !== path || found.mode !== undefined || found.isProtected || root.protection.holds(path)) return false;
    times.keepTime(splitPath(path).parent);
    try {
      renameSync(fsPath(from), fsPath(absolutePath(root, path)));
      return true;
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      return false;
    }
  };
  const areMoved = [...folders].every(move);
  times.finish(false);
  return areMoved;
}

/** Moves all that is in `folder` back into the root, which must be empty, and removes the folder. @throws ERR_ROOTFS */
export async function takeRootBack(root: Root, folder: ByteString, signal: AbortSignal): Promise<void> {
  await new Move(plainRoot(folder), root, signal).directory(rootPath);
  orElse(() => rmdirSync(fsPath(folder)), ifCode(['ENOTEMPTY']));
}

/**
 * Moves what is in the folder `from` into the folder `to`, both below the root, and gives `to` its metadata. What is protected below
 * `to` stays. @throws ERR_ROOTFS
 */
export async function moveContents(root: Root, from: ByteString, to: ByteString, signal: AbortSignal): Promise<void> {
  await new Move(rootBelow(root, from), rootBelow(root, to), signal).directory(rootPath);
}

/** The folder `path` as a root of its own, with what is protected in it. */
export function rootBelow(root: Root, path: ByteString): Root {
  const below = root.protection.paths.flatMap((each) => (each.startsWith(`${path}/`) ? [each.slice(path.length + 1) as ByteString] : [])); // parts of bytes
  return { path: absolutePath(root, path), protection: createProtection(below) };
}

class Move {
  readonly #from: Root;
  readonly #to: Root;
  readonly #signal: AbortSignal;
  /** First copied name of each file with several, where renaming does not work. */
  readonly #copied = new Map<string, ByteString>();

  constructor(from: Root, to: Root, signal: AbortSignal) {
    this.#from = from;
    this.#to = to;
    this.#signal = signal;
  }

  /** Moves what is in a directory that is on both sides, and gives the other one its metadata. */
  async directory(path: ByteString): Promise<void> {
    this.#signal.throwIfAborted();
    const stat = this.#statOf(path);
    if (stat === undefined) return;
    const source = absolutePath(this.#from, path);
    const target = absolutePath(this.#to, path);
    const metadata = metadataOf(stat, readXattrs(source));
    for (const name of listNames(this.#from, path)) await this.#child(childPath(path, name));
    removeStaleXattrs(target, metadata);
    // What the other side refuses to hold was refused when it was unpacked, and told then.
    applyMetadata(target, metadata, false, () => undefined);
  }

  /** Moves what is at a path, if anything is, into its directory on the other side. */
  async path(path: ByteString): Promise<void> {
    if (this.#statOf(path) !== undefined) await this.#child(path);
  }

  async #child(path: ByteString): Promise<void> {
    const { protection: here } = this.#from;
    const { protection: there } = this.#to;
    if (here.covers(path) || there.covers(path)) return;
    const leadsToProtected = here.holds(path) || there.holds(path);
    try {
      if (!leadsToProtected && this.#rename(path)) return;
      await this.#across(path, !here.holds(path));
    } catch (error) {
      throw failure(error, path);
    }
  }

  #rename(path: ByteString): boolean {
    try {
      renameSync(fsPath(absolutePath(this.#from, path)), fsPath(absolutePath(this.#to, path)));
      return true;
    } catch (error) {
      // Another filesystem; or overlayfs, which can't rename a directory that a lower layer has.
      if (systemCode(error) === 'EXDEV') return false;
      // A folder is on both sides: what is in them goes together.
      if (systemCode(error) === 'ENOTEMPTY' || systemCode(error) === 'EEXIST') return false;
      throw error;
    }
  }

  async #across(path: ByteString, removeSource: boolean): Promise<void> {
    const stat = this.#statOf(path);
    if (stat === undefined) return;
    const source = absolutePath(this.#from, path);
    if (!isDirectoryMode(stat.mode)) {
      await this.#copy(path, stat);
      unlinkSync(fsPath(source));
      return;
    }
    try {
      mkdirSync(fsPath(absolutePath(this.#to, path)), 0o700);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || !isDirectoryMode(statOf(this.#to, path)?.mode)) throw error;
    }
    await this.directory(path);
    if (!removeSource) return;
    // Something in it can't be moved, because it is protected on the other side.
    orElse(() => rmdirSync(fsPath(source)), ifCode(['ENOTEMPTY']));
  }

  async #copy(path: ByteString, stat: TreeEntry): Promise<void> {
    const target = absolutePath(this.#to, path);
    const key = `${stat.device}:${stat.inode}`;
    // The link count shrinks as names are moved away: a file's last name looks like its only one.
    const first = this.#copied.get(key);
    if (first !== undefined) return linkSync(fsPath(first), fsPath(target));
    const opened = openEntry(this.#from, path, stat);
    // A socket has no meaning without the process that listens.
    if (opened === undefined) return;
    try {
      await createEntry(target, opened.entry, () => undefined);
    } finally {
      opened.close();
    }
    if (stat.links > 1) this.#copied.set(key, target);
  }

  #statOf(path: ByteString): TreeEntry | undefined {
    return statOf(this.#from, path);
  }
}

function failure(error: unknown, path: ByteString): unknown {
  if (error instanceof BuilderError || systemCode(error) === undefined) return error;
  const reason = error instanceof Error ? error.message : 'unknown failure';
  return new BuilderError('ERR_ROOTFS', `Cannot move ${JSON.stringify(`/${textFromBytes(path)}`)}: ${reason}`, { cause: error });
}
