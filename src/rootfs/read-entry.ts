// One path of the root as an entry with its content. Opens nothing but regular files, and those without following a link
// or waiting: a FIFO or a device under a known name must not stop or feed us.
import { closeSync, constants, openSync, readSync, readlinkSync } from 'node:fs';
import { type ByteString, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import type { Entry } from '../layer/entry.ts';
import { splitDevice, statFieldCount, statOpenFile } from '../linux/files.ts';
import { readXattrs } from './metadata.ts';
import { reach } from './long-path.ts';
import { absolutePath } from './resolve.ts';
import type { Root } from './root.ts';
import { entryAt } from './tree-columns.ts';
import { type TreeEntry, typeOfMode } from './tree.ts';

/** For a regular file under a name that something else may have by now. */
export const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
const chunkSize = 256 * 1024;
const wholeReadLimit = 1024 * 1024;
const attempts = 3;

/** An entry whose file stays open until `close`. */
export interface OpenEntry {
  readonly entry: Entry;
  readonly close: () => void;
}

/**
 * Reads what `stat` saw at `path`; undefined for a socket, which no layer can hold.
 * @throws ERR_ROOTFS when it is no longer that, or its size keeps changing
 */
export function openEntry(root: Root, path: ByteString, stat: TreeEntry): OpenEntry | undefined {
  const type = typeOfMode(stat.mode);
  if (type === undefined) return undefined;
  if (type === 'file') return openFile(root, path);
  const common = { type, path, ...metadataOf(root, path, stat), size: 0 };
  const close = (): void => undefined;
  if (type === 'symlink') {
    const target = reach(absolutePath(root, path), (short) => readlinkSync(fsPath(short), 'latin1')) as ByteString; // latin1 is bytes
    return { entry: { ...common, linkTarget: target }, close };
  }
  if (type === 'character' || type === 'block') return { entry: { ...common, device: splitDevice(stat.rdev) }, close };
  return { entry: common, close };
}

function metadataOf(root: Root, path: ByteString, stat: TreeEntry): Pick<Entry, 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs'> {
  return {
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: { seconds: stat.mtimeSeconds, nanoseconds: stat.mtimeNanoseconds },
    xattrs: reach(absolutePath(root, path), readXattrs),
  };
}

function openFile(root: Root, path: ByteString): OpenEntry {
  const fd = reach(absolutePath(root, path), (short) => openSync(fsPath(short), readFlags));
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  try {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const stat = fileStat(fd, path);
      if (stat.size > wholeReadLimit) return { entry: { ...fileEntry(root, path, stat), content: readChunks(fd, path, stat.size) }, close };
      const content = readWhole(fd, stat.size);
      if (content === undefined) continue;
      close();
      return { entry: { ...fileEntry(root, path, stat), content: single(content) }, close };
    }
    throw changing(path);
  } catch (error) {
    close();
    throw error;
  }
}

function fileEntry(root: Root, path: ByteString, stat: TreeEntry): Entry {
  return { type: 'file', path, ...metadataOf(root, path, stat), size: stat.size };
}

function fileStat(fd: number, path: ByteString): TreeEntry {
  const numbers = new Float64Array(statFieldCount);
  statOpenFile(fd, numbers);
  const stat = entryAt(numbers);
  if (typeOfMode(stat.mode) === 'file') return stat;
  throw new BuilderError('ERR_ROOTFS', `Cannot read ${show(path)}: it is no longer a regular file`);
}

// Undefined where the file is longer or shorter than it just was.
function readWhole(fd: number, size: number): Buffer | undefined {
  // One byte more than expected, to notice growth.
  const buffer = Buffer.allocUnsafe(size + 1);
  let filled = 0;
  while (filled < buffer.length) {
    const count = readSync(fd, buffer, filled, buffer.length - filled, filled);
    if (count === 0) break;
    filled += count;
  }
  return filled === size ? buffer.subarray(0, size) : undefined;
}

async function* single(content: Buffer): AsyncGenerator<Buffer> {
  if (content.length > 0) yield content;
}

async function* readChunks(fd: number, path: ByteString, size: number): AsyncGenerator<Buffer> {
  let position = 0;
  for (;;) {
    const buffer = Buffer.allocUnsafe(chunkSize);
    const count = readSync(fd, buffer, 0, chunkSize, position);
    position += count;
    // What was handed out can't be taken back, so a large file gets no second chance.
    if (position > size || (count === 0 && position < size)) throw changing(path);
    if (count === 0) return;
    yield buffer.subarray(0, count);
  }
}

/** Adds the path to a failure of the filesystem; others pass as they are. */
export function readFailure(error: unknown, path: ByteString): unknown {
  if (error instanceof BuilderError || systemCode(error) === undefined) return error;
  const reason = error instanceof Error ? error.message : 'unknown failure';
  return new BuilderError('ERR_ROOTFS', `Cannot read ${show(path)}: ${reason}`, { cause: error });
}

function changing(path: ByteString): BuilderError {
  return new BuilderError('ERR_ROOTFS', `Cannot read ${show(path)}: its size keeps changing`, {
    hint: 'a process of an earlier RUN may still be writing to it',
  });
}

function show(path: ByteString): string {
  return JSON.stringify(`/${textFromBytes(path)}`);
}
