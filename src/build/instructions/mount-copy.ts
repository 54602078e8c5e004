// Copies a tree as it is: what a mount shows.
import { type BigIntStats, chmodSync, constants, copyFile, linkSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import { promisify } from 'node:util';
import { type ByteString, fsPath, joinBytes } from '../../bytes.ts';
import { type SourceTree, pathIn, readLink } from '../../context/tree.ts';
import { walkSelection } from '../../context/walk.ts';
import { makeNode, setTimes, splitDevice } from '../../linux/files.ts';
import { applyMetadata, readXattrs } from '../../rootfs/metadata.ts';
import type { Timestamp } from '../../layer/entry.ts';

const copyBytes = promisify(copyFile);

/**
 * Copies the file or folder at `source` of `tree` to `target` on disk, where nothing is: owners as the tree has them, modes, times,
 * links, attributes; ignored and hidden files left out, sockets too.
 * @throws SystemError, and the signal's reason
 */
export async function copyTree(tree: SourceTree, source: ByteString, target: ByteString, signal: AbortSignal): Promise<void> {
  const from = pathIn(tree.folder, source);
  const stats = lstatSync(fsPath(from), { bigint: true });
  const links = new Map<string, ByteString>();
  const folders: { readonly path: ByteString; readonly stats: BigIntStats }[] = [];
  const copyOne = async (path: ByteString, to: ByteString, of: BigIntStats): Promise<void> => {
    signal.throwIfAborted();
    const key = `${of.dev}:${of.ino}`;
    const first = links.get(key);
    if (of.isSocket()) return;
    if (!of.isDirectory()) tree.noteRead?.(path);
    if (!of.isDirectory() && first !== undefined) {
      linkSync(fsPath(first), fsPath(to));
      return;
    }
    await make(path, to, of);
    if (of.isDirectory()) folders.push({ path: to, stats: of });
    else if (of.nlink > 1n) links.set(key, to);
    setMetadata(tree, path, to, of);
  };
  await copyOne(from, target, stats);
  for (const item of walkSelection(tree, { path: source, stats })) await copyOne(item.path, joinBytes(target, item.relative), item.stats);
  // Whatever was put into a folder changed its time.
  for (const folder of folders.toReversed()) {
    const { seconds, nanoseconds } = timestampOf(folder.stats.mtimeNs);
    setTimes(folder.path, seconds, nanoseconds);
  }
}

async function make(from: ByteString, to: ByteString, stats: BigIntStats): Promise<void> {
  if (stats.isDirectory()) {
    mkdirSync(fsPath(to), 0o700);
  } else if (stats.isFile()) {
    await copyBytes(fsPath(from), fsPath(to), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    chmodSync(fsPath(to), 0o600);
  } else if (stats.isSymbolicLink()) {
    symlinkSync(fsPath(readLink(from)), fsPath(to));
  } else {
    const { major, minor } = splitDevice(Number(stats.rdev));
    makeNode(to, Number(stats.mode) & 0o177777, major, minor);
  }
}

function setMetadata(tree: SourceTree, from: ByteString, to: ByteString, stats: BigIntStats): void {
  const owner = tree.keepsOwners ? { uid: Number(stats.uid), gid: Number(stats.gid) } : { uid: 0, gid: 0 };
  const metadata = { ...owner, mode: Number(stats.mode) & 0o7777, mtime: timestampOf(stats.mtimeNs), xattrs: readXattrs(from) };
  // An attribute that can't be set where the source has it can't matter to a command that only reads here.
  applyMetadata(to, metadata, stats.isSymbolicLink(), () => undefined);
}

/** A time in nanoseconds since 1970, as seconds and the rest. */
export function timestampOf(ns: bigint): Timestamp {
  const nanoseconds = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((ns - nanoseconds) / 1_000_000_000n), nanoseconds: Number(nanoseconds) };
}
