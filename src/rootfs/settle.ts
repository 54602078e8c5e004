// Changes that may be none: `chown -R` to the owner a file has, `mv` there and back, and what some file systems do to times by
// themselves. What was noted of the content decides; where nothing was, the change stands.
import { closeSync, openSync, readSync, readlinkSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { beginDigest, type ContentNotes, digestOf } from './content-notes.ts';
import { readXattrs } from '../files/metadata.ts';
import { reach } from '../files/long-path.ts';
import { readFailure, readFlags } from '../files/read-file.ts';
import { absolutePath, isDirectoryMode, isFileMode } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import type { ChangeList } from './change-list.ts';
import { type Change, type TreeEntry, typeOfMode } from './scanned-tree.ts';

const chunkBytes = 1024 * 1024;

export interface Settling {
  readonly notes: ContentNotes;
  /** The filesystem gives files other times and link counts by itself. */
  readonly timesDrift: boolean;
}

/**
 * The changes without those that only touched a file, reading no others. No process may be changing the root meanwhile.
 * @throws ERR_ROOTFS for a file that can't be read
 */
export async function settleTouched(root: Root, changes: ChangeList, settling: Settling, signal: AbortSignal): Promise<ChangeList> {
  const isNone = new Uint8Array(changes.length);
  const names = new Map<string, Buffer>();
  let index = -1;
  for (const change of changes) {
    index++;
    if (!mayBeNone(change, settling)) continue;
    const noted = settling.notes.get(change.path);
    if (noted !== undefined && noted.compare(await digestAt(root, change, names, signal), 0, noted.length) === 0) isNone[index] = 1;
  }
  return isNone.includes(1) ? changes.filter((_, at) => isNone[at] === 0) : changes;
}

type Present = Exclude<Change, { readonly kind: 'deleted' }>;

function mayBeNone(change: Change, { timesDrift }: Settling): change is Present {
  if (change.kind !== 'modified') return false;
  return change.touched === 'ctime' || (timesDrift && change.touched === 'drift');
}

async function digestAt(root: Root, { path, entry: stat }: Present, names: Map<string, Buffer>, signal: AbortSignal): Promise<Buffer> {
  const key = stat.links > 1 && !isDirectoryMode(stat.mode) ? `${stat.device}:${stat.inode}` : undefined;
  const known = key === undefined ? undefined : names.get(key);
  if (known !== undefined) return known;
  try {
    const digest = await readDigest(absolutePath(root, path), stat, signal);
    if (key !== undefined) names.set(key, digest);
    return digest;
  } catch (error) {
    throw readFailure(error, path);
  }
}

async function readDigest(path: ByteString, stat: TreeEntry, signal: AbortSignal): Promise<Buffer> {
  const xattrs = reach(path, readXattrs);
  if (typeOfMode(stat.mode) === 'symlink')
    return digestOf(
      xattrs,
      reach(path, (short) => readlinkSync(fsPath(short), 'buffer')),
    );
  if (!isFileMode(stat.mode)) return digestOf(xattrs);
  const digest = beginDigest(xattrs);
  const fd = reach(path, (short) => openSync(fsPath(short), readFlags));
  try {
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, stat.size + 1));
    for (;;) {
      const count = readSync(fd, buffer);
      if (count === 0) return digest.digest();
      digest.update(buffer.subarray(0, count));
      signal.throwIfAborted();
      if (count === chunkBytes) await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    closeSync(fd);
  }
}
