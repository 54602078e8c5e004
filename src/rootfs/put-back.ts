// Makes a kept folder as it was. Nothing outside of it is touched, whatever links a RUN left in it. RED.
import { closeSync, constants, ftruncateSync, lstatSync, openSync, realpathSync, writeSync } from 'node:fs';
import { type ByteString, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import type { Entry } from '../layer/entry.ts';
import { statFieldCount, statInto } from '../linux/files.ts';
import { createDirectory, createFile, createHardlink, createNode, createSymlink } from './create.ts';
import { diffTrees } from './diff.ts';
import { applyMetadata, removeStaleXattrs } from './metadata.ts';
import { removeTree } from './remove.ts';
import { absolutePath, isDirectoryMode, isFileMode, splitPath } from './resolve.ts';
import type { Root } from './root.ts';
import { scanRoot } from './scan.ts';
import { entryAt } from './tree-columns.ts';
import { type Change, type Tree, type TreeEntry, comparePaths } from './tree.ts';

/** One path as it was; `content` reads from the copy, as often as wanted. */
export type KeptEntry = Omit<Entry, 'content'> & { readonly content?: () => AsyncIterable<Buffer> };

/** A folder as it was. */
export interface Kept {
  readonly root: Root;
  readonly tree: Tree;
  /** Of the folder itself. */
  readonly top: TreeEntry;
  /** By path; `.` is the folder itself. Sockets, and files that we may not read, are not in it. */
  readonly entries: ReadonlyMap<ByteString, KeptEntry>;
}

/** What had to be done. Paths are below the folder; `.` is the folder itself. */
export interface Restored {
  readonly changed: readonly ByteString[];
  /** Those of `changed` that are still not as they were. */
  readonly lost: readonly ByteString[];
}

const here = '.' as ByteString; // ASCII
const refuse = (): void => undefined; // what is not as it was is found by the scan afterwards

/** Compares, puts back, and looks again. Not to be interrupted: a half-made folder helps nobody. */
export async function putBack(kept: Kept): Promise<Restored & { readonly tree: Tree; readonly top: TreeEntry }> {
  const { root } = kept;
  const never = new AbortController().signal;
  checkPlace(root.path);
  const changes = diffTrees(kept.tree, await scanRoot(root, never));
  const isTopChanged = isDifferent(kept.top, statTop(root)) || !isSameTime(kept.top, statTop(root));
  if (changes.length === 0 && !isTopChanged) return { changed: [], lost: [], tree: kept.tree, top: kept.top };
  const lost = new Set<ByteString>();
  const attempt = async (path: ByteString, task: () => Promise<void> | void): Promise<void> => {
    try {
      await task();
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      lost.add(path);
    }
  };
  const gone: ByteString[] = [];
  for (const change of changes) {
    await attempt(change.path, () => {
      if (staysInPlace(change, kept.tree)) return;
      removeTree(root, change.path);
      if (change.kind !== 'added') gone.push(change.path);
    });
  }
  const missing = everythingBelow(gone, kept.tree);
  await recreate(kept, missing, attempt);
  for (const change of changes) {
    if (change.kind === 'modified' && staysInPlace(change, kept.tree)) await attempt(change.path, () => mend(kept, change.path));
  }
  await mendFolders(kept, changes, missing, attempt);
  const tree = await scanRoot(root, never);
  for (const change of diffTrees(kept.tree, tree)) if (isStillWrong(change, kept.tree)) lost.add(change.path);
  const changed = changes.map(({ path }) => path);
  return { changed: changed.length === 0 ? [here] : changed, lost: [...lost], tree, top: statTop(root) };
}

/** lstat of the folder itself. @throws ERR_TAMPERED where it is gone */
export function statTop(root: Root): TreeEntry {
  const numbers = new Float64Array(statFieldCount);
  if (statInto(root.path, numbers)) return entryAt(numbers);
  throw new BuilderError('ERR_TAMPERED', `Cannot go on: ${textFromBytes(root.path)} is no longer there`);
}

type Attempt = (path: ByteString, task: () => Promise<void> | void) => Promise<void>;

function checkPlace(path: ByteString): void {
  const moved = (cause?: unknown): BuilderError =>
    new BuilderError('ERR_TAMPERED', `Cannot go on: a RUN moved ${textFromBytes(path)} away`, { cause });
  try {
    const real = realpathSync(fsPath(path), { encoding: 'buffer' }).toString('latin1');
    if (real !== path || !lstatSync(fsPath(path)).isDirectory()) throw moved();
  } catch (error) {
    throw error instanceof BuilderError ? error : moved(error);
  }
}

// The very file, or a directory that is one still: its name and its other links stay.
function staysInPlace(change: Change, before: Tree): boolean {
  if (change.kind !== 'modified') return false;
  const was = before.get(change.path);
  if (isDirectoryMode(change.entry.mode)) return isDirectoryMode(was?.mode);
  return change.isSameFile === true && isFileMode(was?.mode) && isFileMode(change.entry.mode);
}

/** What is missing now: the paths themselves, and in directories all that was in them. */
function everythingBelow(tops: readonly ByteString[], before: Tree): ReadonlySet<ByteString> {
  const all = new Set(tops);
  if (tops.length === 0) return all;
  for (const [path] of before.entries()) if (all.has(splitPath(path).parent)) all.add(path);
  return all;
}

async function recreate(kept: Kept, missing: ReadonlySet<ByteString>, attempt: Attempt): Promise<void> {
  if (missing.size === 0) return;
  const names = new Map<string, ByteString>();
  // A file with several names may have lost only some of them.
  for (const [path, stat] of kept.tree.entries()) if (hasNames(stat) && !missing.has(path)) names.set(inodeOf(stat), path);
  for (const [path, stat] of kept.tree.entries()) {
    if (!missing.has(path)) continue;
    await attempt(path, async () => {
      const other = hasNames(stat) ? names.get(inodeOf(stat)) : undefined;
      if (other === undefined) await create(kept, path);
      else createHardlink(absolutePath(kept.root, path), absolutePath(kept.root, other));
      names.set(inodeOf(stat), path);
    });
  }
}

function hasNames(stat: TreeEntry): boolean {
  return stat.links > 1 && !isDirectoryMode(stat.mode);
}

function inodeOf(stat: TreeEntry): string {
  return `${stat.device}:${stat.inode}`;
}

async function create(kept: Kept, path: ByteString): Promise<void> {
  const keptEntry = kept.entries.get(path);
  // A socket, or a file that we could not read: the scan afterwards finds it missing.
  if (keptEntry === undefined) return;
  const entry = asEntry(keptEntry);
  const target = absolutePath(kept.root, path);
  switch (entry.type) {
    case 'directory':
      return createDirectory(target, entry, refuse);
    case 'symlink':
      return createSymlink(target, entry, refuse);
    case 'fifo':
    case 'character':
    case 'block':
      return createNode(target, entry, entry.type, refuse);
    case 'file':
      return await createFile(target, entry, refuse);
    case 'hardlink':
      throw new BuilderError('ERR_INTERNAL', `Cannot create ${textFromBytes(path)}: a folder on disk has no such entry`);
    default:
      return entry.type satisfies never;
  }
}

async function mend(kept: Kept, path: ByteString): Promise<void> {
  const entry = kept.entries.get(path);
  if (entry === undefined || entry.type !== 'file') return;
  const target = absolutePath(kept.root, path);
  const fd = openSync(fsPath(target), constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    let at = 0;
    for await (const chunk of entry.content?.() ?? []) {
      for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done, chunk.length - done, at + done);
      at += chunk.length;
    }
    ftruncateSync(fd, entry.size);
  } finally {
    closeSync(fd);
  }
  removeStaleXattrs(target, entry);
  applyMetadata(target, asEntry(entry), false, refuse);
}

// Last, and the innermost first: whatever is put into a directory changes its time.
async function mendFolders(kept: Kept, changes: readonly Change[], missing: ReadonlySet<ByteString>, attempt: Attempt): Promise<void> {
  const folders = new Set<ByteString>([...missing, here]);
  for (const { path } of changes) folders.add(path).add(splitPath(path).parent);
  for (const path of [...folders].sort((a, b) => comparePaths(b, a))) {
    const entry = kept.entries.get(path);
    if (entry === undefined || entry.type !== 'directory') continue;
    await attempt(path, () => {
      const target = absolutePath(kept.root, path);
      removeStaleXattrs(target, entry);
      applyMetadata(target, asEntry(entry), false, refuse);
    });
  }
}

function asEntry({ content, ...entry }: KeptEntry): Entry {
  return content === undefined ? entry : { ...entry, content: content() };
}

// A ctime can't be put back, and what was removed comes back as another inode.
function isStillWrong(change: Change, before: Tree): boolean {
  if (change.kind !== 'modified') return true;
  const was = before.get(change.path);
  return was === undefined || isDifferent(was, change.entry);
}

function isDifferent(was: TreeEntry, is: TreeEntry): boolean {
  const isSame = was.mode === is.mode && was.uid === is.uid && was.gid === is.gid && was.rdev === is.rdev;
  return !isSame || !isSameTime(was, is) || (!isDirectoryMode(is.mode) && was.size !== is.size);
}

function isSameTime(was: TreeEntry, is: TreeEntry): boolean {
  return was.mtimeSeconds === is.mtimeSeconds && was.mtimeNanoseconds === is.mtimeNanoseconds;
}
