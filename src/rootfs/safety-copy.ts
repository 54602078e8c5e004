// A copy of what a RUN could destroy though it is not the image's, and what was destroyed put back from it. RED.
import { closeSync, linkSync, mkdirSync, openSync, readSync, statfsSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { makeFolder } from '../folders.ts';
import { type ByteString, bytesFromText, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, ifCode } from '../errors.ts';
import { createEntry } from '../files/create.ts';
import { reach } from '../files/long-path.ts';
import { applyMetadata, readXattrs } from '../files/metadata.ts';
import { absolutePath } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import { setTimes } from '../linux/files.ts';
import { metadataOf, openEntry, statOf } from './read-entry.ts';
import { type Tree, type TreeEntry, typeOfMode } from './scanned-tree.ts';

const entriesPerTurn = 64;
const spareBytes = 64 * 1024 * 1024;

/**
 * Copies all that `tree` saw in `from` into the folder `to`, with owners, modes, times, attributes and links; sockets can't be.
 * @throws ERR_ROOTFS where there is no room, SystemError
 */
export async function copyAside(from: Root, tree: Tree, to: Root, signal: AbortSignal): Promise<void> {
  makeFolder(fsPath(to.path), 0o700);
  const { bavail, bsize } = statfsSync(fsPath(to.path), { bigint: true });
  let needed = BigInt(spareBytes);
  for (const [, stat] of tree.entries()) if (typeOfMode(stat.mode) === 'file') needed += BigInt(Math.ceil(stat.size / stat.links));
  if (needed > bavail * bsize) {
    const missing = `${textFromBytes(to.path)} has ${bavail * bsize} bytes, ${needed} are needed`;
    throw new BuilderError('ERR_ROOTFS', `Cannot make a safety copy of the context: ${missing}`);
  }
  const links = new Map<string, ByteString>();
  let count = 0;
  for (const [path, stat] of tree.entries()) {
    if (++count % entriesPerTurn === 0) await nextTurn();
    signal.throwIfAborted();
    // somebody removed it meanwhile
    await copyOne(from, path, stat, { root: to, links }).catch(ifCode(['ENOENT']));
  }
  setDirectoryTimes(to, tree, () => true);
}

/** What `putBack` did, as paths. */
export interface PutBack {
  /** They were gone, or had lost their owner or mode. */
  readonly restored: readonly ByteString[];
  /** Something else is there now, and stays; what was there is at the second path. */
  readonly beside: readonly (readonly [path: ByteString, copy: ByteString])[];
}

/** Puts back into `to`, which is `after` now, what was in it `before` and is in the copy. Whatever is new or longer stays. @throws SystemError */
export async function putBack(copy: Root, before: Tree, to: Root, after: Tree, limit?: 'missing only'): Promise<PutBack> {
  const restored: ByteString[] = [];
  const beside: (readonly [ByteString, ByteString])[] = [];
  // What lost one of its names gets it back, not a second file.
  const links = new Map<string, ByteString>();
  for (const [path, { links: count }] of before.entries()) {
    const inCopy = count > 1 && after.get(path) !== undefined ? statOf(copy, path) : undefined;
    if (inCopy !== undefined) links.set(`${inCopy.device}:${inCopy.inode}`, path);
  }
  for (const [path, was] of before.entries()) {
    const is = after.get(path);
    const inCopy = statOf(copy, path);
    if (inCopy === undefined) continue;
    if (is === undefined) {
      await copyOne(copy, path, { ...was, links: inCopy.links, inode: inCopy.inode, device: inCopy.device }, { root: to, links });
      restored.push(path);
      continue;
    }
    if (limit !== undefined) continue;
    const isOther = typeOfMode(is.mode) !== typeOfMode(was.mode);
    if (isOther || hasOtherContent(copy, to, path, was, is)) {
      const free = freePath(to, path);
      if (typeOfMode(was.mode) !== 'directory') await copyOne(copy, path, { ...was, links: 1 }, { root: to, links, as: free });
      else mkdirSync(fsPath(absolutePath(to, free)), 0o700);
      beside.push([path, free]);
    } else if (is.mode !== was.mode || is.uid !== was.uid || is.gid !== was.gid) {
      restoreMetadata(copy, to, path, was);
      restored.push(path);
    }
  }
  const changed = new Set(restored.flatMap((path) => [path, parentOf(path)]));
  setDirectoryTimes(to, before, (path) => changed.has(path));
  return { restored, beside };
}

interface Destination {
  readonly root: Root;
  /** The first copied name of each file with several. */
  readonly links: Map<string, ByteString>;
  /** The path there, where it is another one. */
  readonly as?: ByteString;
}

async function copyOne(from: Root, path: ByteString, stat: TreeEntry, to: Destination): Promise<void> {
  const { root, links, as = path } = to;
  const target = absolutePath(root, as);
  const key = `${stat.device}:${stat.inode}`;
  const isLinked = stat.links > 1 && typeOfMode(stat.mode) !== 'directory';
  const first = isLinked ? links.get(key) : undefined;
  if (first !== undefined) return linkSync(fsPath(absolutePath(root, first)), fsPath(target));
  const opened = openEntry(from, path, stat);
  if (opened === undefined) return;
  const { entry, close } = opened;
  try {
    await createEntry(target, entry, refuse);
  } finally {
    close();
  }
  if (isLinked) links.set(key, as);
}

function refuse(): void {
  // what the builder's folder can't hold is not lost: the file itself has it
}

// A file that only got longer is somebody's log.
function hasOtherContent(copy: Root, to: Root, path: ByteString, was: TreeEntry, is: TreeEntry): boolean {
  const type = typeOfMode(was.mode);
  if (type === 'directory' || type === undefined) return false;
  if (was.size === is.size && was.mtimeSeconds === is.mtimeSeconds && was.mtimeNanoseconds === is.mtimeNanoseconds) return false;
  return type !== 'file' || is.size < was.size || !beginsWith(absolutePath(to, path), absolutePath(copy, path));
}

function beginsWith(whole: ByteString, start: ByteString): boolean {
  const [a, b] = [Buffer.alloc(65_536), Buffer.alloc(65_536)];
  const fds = [start, whole].map((path) => reach(path, (short) => openSync(fsPath(short), 'r')));
  try {
    for (let at = 0; ;) {
      const count = readSync(fds[0] ?? -1, a, 0, a.length, at);
      if (count === 0) return true;
      for (let got = 0; got < count;) {
        const more = readSync(fds[1] ?? -1, b, got, count - got, at + got);
        if (more === 0) return false;
        got += more;
      }
      if (!a.subarray(0, count).equals(b.subarray(0, count))) return false;
      at += count;
    }
  } finally {
    fds.forEach((fd) => closeSync(fd));
  }
}

function restoreMetadata(copy: Root, to: Root, path: ByteString, was: TreeEntry): void {
  const metadata = metadataOf(was, reach(absolutePath(copy, path), readXattrs));
  reach(absolutePath(to, path), (short) => applyMetadata(short, metadata, typeOfMode(was.mode) === 'symlink', refuse));
}

function setDirectoryTimes(to: Root, tree: Tree, isChosen: (path: ByteString) => boolean): void {
  for (const [path, stat] of [...tree.entries()].toReversed()) {
    if (typeOfMode(stat.mode) !== 'directory' || !isChosen(path) || statOf(to, path) === undefined) continue;
    reach(absolutePath(to, path), (short) => setTimes(short, stat.mtimeSeconds, stat.mtimeNanoseconds));
  }
}

/** A name beside `path` that nothing has. */
function freePath(root: Root, path: ByteString): ByteString {
  for (let number = 1; ; number++) {
    const free = `${path}${bytesFromText(`.yadokari-${number}`)}` as ByteString; // bytes and ASCII
    if (statOf(root, free) === undefined) return free;
  }
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) as ByteString; // a part of bytes
}
