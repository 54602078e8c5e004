// A regular file's content with the size that it really has. Opened without following a link or waiting: a FIFO or a device under a
// known name must not stop or feed us.
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { type ByteString, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { reach } from './long-path.ts';
import { StatField, statFieldCount, statOpenFile } from '../linux/files.ts';
import { giveBack, lendBuffer, lentBytes, pieceBytes } from './lent-buffers.ts';

/** For a regular file under a name that something else may have by now. */
export const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
/** One byte more than expected is read, to notice growth. */
const wholeReadLimit = lentBytes - 1;
const attempts = 3;

/** An open file, until `close`. */
export interface OpenFile<Found> {
  readonly size: number;
  /** What was found out about it when it was opened. */
  readonly found: Found;
  /**
   * Exactly as many bytes as the size says, each piece valid until the next is asked for, and until `close`; a list where the file is
   * small. @throws ERR_ROOTFS, on reading, when a large file changes meanwhile
   */
  readonly chunks: Iterable<Buffer>;
  readonly close: () => void;
}

/** Twelve numbers of the file that was opened last, in the order of `StatField`. */
const stat = new Float64Array(statFieldCount);

/** @throws SystemError, ERR_ROOTFS when it is no regular file or its size keeps changing; `name` is for the message */
export function openFile(path: ByteString, name: ByteString = path): OpenFile<undefined> {
  return openFileWith(path, name, () => undefined);
}

/** The same, and what `look` finds out by the descriptor and twelve numbers in the order of `StatField`, valid only during the call. */
export function openFileWith<Found>(path: ByteString, name: ByteString, look: (fd: number, stat: Float64Array) => Found): OpenFile<Found> {
  const fd = reach(path, (short) => openSync(fsPath(short), readFlags));
  const buffer = lendBuffer();
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    giveBack(buffer);
    closeSync(fd);
  };
  try {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const size = sizeOf(fd, name);
      if (size > wholeReadLimit) return { size, found: look(fd, stat), chunks: readChunks(fd, name, size, buffer), close };
      if (readUpTo(fd, buffer, size + 1) !== size) continue;
      return { size, found: look(fd, stat), chunks: size === 0 ? [] : [buffer.subarray(0, size)], close };
    }
    throw changing(name);
  } catch (error) {
    close();
    throw error;
  }
}

/** Adds the path to a failure of the filesystem; others pass as they are. */
export function readFailure(error: unknown, path: ByteString): unknown {
  if (error instanceof BuilderError || systemCode(error) === undefined) return error;
  const reason = error instanceof Error ? error.message : 'unknown failure';
  return new BuilderError('ERR_ROOTFS', `Cannot read ${show(path)}: ${reason}`, { cause: error });
}

function sizeOf(fd: number, name: ByteString): number {
  statOpenFile(fd, stat);
  if (((stat[StatField.mode] ?? 0) & 0o170000) === 0o100000) return stat[StatField.size] ?? 0;
  throw new BuilderError('ERR_ROOTFS', `Cannot read ${show(name)}: it is no longer a regular file`);
}

/** Reads as many bytes as there are from the start, up to `limit`, and gives their number. */
export function readUpTo(fd: number, buffer: Buffer, limit: number): number {
  let filled = 0;
  while (filled < limit) {
    const count = readSync(fd, buffer, filled, limit - filled, filled);
    filled += count;
    // What stops just short of it has come to the end, with no need to ask again.
    if (count === 0 || filled === limit - 1) break;
  }
  return filled;
}

function* readChunks(fd: number, name: ByteString, size: number, buffer: Buffer): Generator<Buffer> {
  for (let position = 0; ;) {
    const count = readSync(fd, buffer, 0, pieceBytes, position);
    position += count;
    // What was handed out can't be taken back, so a large file gets no second chance.
    if (position > size || (count === 0 && position < size)) throw changing(name);
    if (count === 0) return;
    yield buffer.subarray(0, count);
  }
}

function changing(name: ByteString): BuilderError {
  return new BuilderError('ERR_ROOTFS', `Cannot read ${show(name)}: its size keeps changing`, {
    hint: 'a process of an earlier RUN may still be writing to it',
  });
}

function show(path: ByteString): string {
  const text = textFromBytes(path);
  return JSON.stringify(text.startsWith('/') ? text : `/${text}`);
}
