// What a RUN changed in its copy of a cache, put into the cache: what other builders put there meanwhile stays.
import { isFolder, lstatIfThere } from '../../linux/files.ts';
import { linkSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { type ByteString, fsPath } from '../../bytes.ts';
import { diskView } from '../../files/disk-view.ts';
import { diffTrees } from '../../rootfs/diff.ts';
import { applyMetadata, readXattrs } from '../../files/metadata.ts';
import { removeTree } from '../../files/remove.ts';
import { absolutePath, isDirectoryMode } from '../../files/resolve.ts';
import { splitPath } from '../../paths.ts';
import { type Root, plainRoot } from '../../files/root.ts';
import { scanRoot } from '../../rootfs/scan.ts';
import type { Tree, TreeEntry } from '../../rootfs/scanned-tree.ts';
import { copyTree } from './mount-copy.ts';

/** A copy of a cache. */
export interface CacheCopy {
  readonly path: ByteString;
  /** What it was like before it was changed. */
  readonly before: Tree;
}

/**
 * Puts what is different in the copy into `kept`, file by file; `beside` is a path of nobody's on the same filesystem.
 * @throws SystemError, ERR_ROOTFS
 */
export async function mergeChanges(copy: CacheCopy, kept: ByteString, beside: ByteString, signal: AbortSignal): Promise<void> {
  const [from, to] = [plainRoot(copy.path), plainRoot(kept)];
  const after = await scanRoot(from, signal);
  const names = new Map<string, ByteString>();
  const folders: { readonly path: ByteString; readonly entry: TreeEntry }[] = [];
  for (const change of diffTrees(copy.before, after)) {
    signal.throwIfAborted();
    const { path } = change;
    if (change.kind === 'deleted') {
      removeTree(to, path);
      continue;
    }
    const { entry } = change;
    makeParents(to, path);
    const target = absolutePath(to, path);
    if (isDirectoryMode(entry.mode)) {
      makeFolder(to, path);
      folders.push({ path, entry });
      continue;
    }
    const key = entry.links > 1 ? `${entry.device}:${entry.inode}` : undefined;
    const first = key === undefined ? undefined : names.get(key);
    // Whole and at once: whoever copies the cache after a kill -9 finds no half of a file.
    rmSync(fsPath(beside), { force: true });
    if (first === undefined) await copyTree({ files: diskView(copy.path), label: 'the cache', keepsOwners: true }, path, beside, signal);
    else linkSync(fsPath(first), fsPath(beside));
    if (lstatIfThere(beside) === undefined) continue; // a socket
    if (isFolder(target)) removeTree(to, path);
    renameSync(fsPath(beside), fsPath(target));
    if (key !== undefined) names.set(key, target);
  }
  for (const { path, entry } of folders.toReversed()) giveMetadata(absolutePath(from, path), absolutePath(to, path), entry);
}

// Another builder may have removed a folder, or put a file in its place.
function makeParents(to: Root, path: ByteString): void {
  const { parent } = splitPath(path);
  if (parent === '.' || isFolder(absolutePath(to, parent))) return;
  makeParents(to, parent);
  makeFolder(to, parent);
}

function makeFolder(to: Root, path: ByteString): void {
  const target = absolutePath(to, path);
  if (isFolder(target)) return;
  removeTree(to, path);
  mkdirSync(fsPath(target), 0o755);
}

function giveMetadata(from: ByteString, to: ByteString, entry: TreeEntry): void {
  if (!lstatSync(fsPath(to)).isDirectory()) return;
  const mtime = { seconds: entry.mtimeSeconds, nanoseconds: entry.mtimeNanoseconds };
  applyMetadata(to, { uid: entry.uid, gid: entry.gid, mode: entry.mode & 0o7777, mtime, xattrs: readXattrs(from) }, false, () => undefined);
}
