// A folder of somebody else, kept so that it can be made as it was: what a RUN, being root, does to a mounted context is not
// ours to leave behind. The copy is one file without a name, out of a RUN's reach.
import { closeSync, constants, openSync, readSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { type ByteString, bytesFromText, fsPath, joinBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { readXattrs } from './metadata.ts';
import { createProtection } from './protect.ts';
import { type Kept, type KeptEntry, type Restored, putBack, statTop } from './put-back.ts';
import { openEntry } from './read-entry.ts';
import type { Root } from './root.ts';
import { scanRoot, settleClock } from './scan.ts';
import type { Tree, TreeEntry } from './tree.ts';

export interface KeptFolder {
  /** Waits until a change can't look like none; before anything may change the folder. */
  readonly settle: (signal: AbortSignal) => Promise<void>;
  /** Makes the folder as it was, but for ctimes and inode numbers. @throws ERR_TAMPERED when it is no longer where it was */
  readonly restore: () => Promise<Restored>;
  readonly close: () => void;
}

const freeShare = 0.9;
const bytesPerTurn = 8 * 1024 * 1024;
const entriesPerTurn = 512;
const chunkSize = 256 * 1024;
const here = '.' as ByteString; // ASCII

/**
 * Copies `folder` into a nameless file in `ownFolder`.
 * @throws ERR_ROOTFS when there is no room for it
 */
export async function keepFolder(folder: ByteString, ownFolder: string, signal: AbortSignal): Promise<KeptFolder> {
  const root: Root = { path: folder, protection: createProtection([]) };
  const first = await scanRoot(root, signal);
  checkRoom(first, ownFolder);
  const fd = openUnnamed(ownFolder);
  const close = (): void => closeSync(fd);
  try {
    const entries = await copyEntries(root, first, fd, signal);
    let kept: Kept = { root, tree: first, top: statTop(root), entries };
    return {
      settle: async (waiting) => await settleClock(kept.tree, waiting),
      restore: async () => {
        const { tree, top, ...restored } = await putBack(kept);
        kept = { ...kept, tree, top };
        return restored;
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

async function copyEntries(root: Root, tree: Tree, fd: number, signal: AbortSignal): Promise<ReadonlyMap<ByteString, KeptEntry>> {
  const entries = new Map<ByteString, KeptEntry>([[here, folderEntry(root)]]);
  const copiedNames = new Map<string, KeptEntry>();
  let offset = 0;
  let pendingBytes = 0;
  for (const [path, stat] of tree.entries()) {
    if (pendingBytes > bytesPerTurn || entries.size % entriesPerTurn === 0) {
      signal.throwIfAborted();
      await new Promise((resolve) => setImmediate(resolve));
      pendingBytes = 0;
    }
    const inode = `${stat.device}:${stat.inode}`;
    const same = stat.links > 1 ? copiedNames.get(inode) : undefined;
    const entry = same === undefined ? await copyEntry(root, path, stat, fd, offset) : { ...same, path };
    if (entry === undefined) continue;
    entries.set(path, entry);
    if (same !== undefined) continue;
    if (stat.links > 1) copiedNames.set(inode, entry);
    offset += entry.size;
    pendingBytes += entry.size;
  }
  return entries;
}

async function copyEntry(root: Root, path: ByteString, stat: TreeEntry, fd: number, offset: number): Promise<KeptEntry | undefined> {
  let opened;
  try {
    opened = openEntry(root, path, stat);
  } catch (error) {
    // What we may not read, a RUN with the same rights may not write either.
    if (systemCode(error) === 'EACCES' || systemCode(error) === 'EPERM') return undefined;
    throw error;
  }
  if (opened === undefined) return undefined;
  try {
    const { content, ...entry } = opened.entry;
    if (content === undefined) return entry;
    let at = offset;
    for await (const chunk of content) {
      for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done, chunk.length - done, at + done);
      at += chunk.length;
    }
    const size = at - offset;
    return { ...entry, size, content: () => readBack(fd, offset, size) };
  } finally {
    opened.close();
  }
}

async function* readBack(fd: number, offset: number, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size;) {
    const buffer = Buffer.allocUnsafe(Math.min(chunkSize, size - at));
    const count = readSync(fd, buffer, 0, buffer.length, offset + at);
    if (count === 0) throw new BuilderError('ERR_INTERNAL', 'Cannot read the copy of the context: it ends early');
    at += count;
    yield await Promise.resolve(buffer.subarray(0, count));
  }
}

function folderEntry(root: Root): KeptEntry {
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds } = statTop(root);
  const mtime = { seconds: mtimeSeconds, nanoseconds: mtimeNanoseconds };
  return { type: 'directory', path: here, mode: mode & 0o7777, uid, gid, mtime, xattrs: readXattrs(root.path), size: 0 };
}

function checkRoom(tree: Tree, ownFolder: string): void {
  let needed = 0;
  for (const [, stat] of tree.entries()) if ((stat.mode & 0o170000) === 0o100000) needed += stat.size;
  const { bavail, bsize } = statfsSync(ownFolder);
  if (needed <= bavail * bsize * freeShare) return;
  throw new BuilderError('ERR_ROOTFS', `Cannot copy a context of ${needed} bytes into ${ownFolder}: there is no room for it`);
}

function openUnnamed(folder: string): number {
  const path = fsPath(joinBytes(bytesFromText(folder), bytesFromText(`.${randomUUID()}.kept`)));
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  rmSync(path);
  return fd;
}
