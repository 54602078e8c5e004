// A regular file's content with the size that it really has. Opened without following a link or waiting: a FIFO or a device under a
// known name must not stop or feed us.
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { type ByteString, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { reach } from './long-path.ts';
import { StatField, statFieldCount, statOpenFile } from '../linux/files.ts';

/** For a regular file under a name that something else may have by now. */
export const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
const chunkSize = 256 * 1024;
const wholeReadLimit = 1024 * 1024;
const attempts = 3;

/** An open file. What `close` is not called for stays open unless `chunks` was read to its end. */
export interface OpenFile {
  /** Twelve numbers of fstat, in the order of `StatField`; the size among them is that of `chunks`. */
  readonly numbers: Float64Array;
  /** Exactly as many bytes as the size says. @throws ERR_ROOTFS, on reading, when a large file changes meanwhile */
  readonly chunks: AsyncIterable<Buffer>;
  readonly close: () => void;
}

/** @throws SystemError, ERR_ROOTFS when it is no regular file or its size keeps changing; `name` is for the message */
export function openFile(path: ByteString, name: ByteString = path): OpenFile {
  const fd = reach(path, (short) => openSync(fsPath(short), readFlags));
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  try {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const numbers = statFile(fd, name);
      const size = numbers[StatField.size] ?? 0;
      if (size > wholeReadLimit) return { numbers, chunks: readChunks(fd, name, size, close), close };
      const content = readWhole(fd, size);
      if (content === undefined) continue;
      close();
      return { numbers, chunks: single(content), close };
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

function statFile(fd: number, name: ByteString): Float64Array {
  const numbers = new Float64Array(statFieldCount);
  statOpenFile(fd, numbers);
  if (((numbers[StatField.mode] ?? 0) & 0o170000) === 0o100000) return numbers;
  throw new BuilderError('ERR_ROOTFS', `Cannot read ${show(name)}: it is no longer a regular file`);
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

async function* readChunks(fd: number, name: ByteString, size: number, close: () => void): AsyncGenerator<Buffer> {
  try {
    for (let position = 0; ;) {
      const buffer = Buffer.allocUnsafe(chunkSize);
      const count = readSync(fd, buffer, 0, chunkSize, position);
      position += count;
      // What was handed out can't be taken back, so a large file gets no second chance.
      if (position > size || (count === 0 && position < size)) throw changing(name);
      if (count === 0) return;
      yield buffer.subarray(0, count);
    }
  } finally {
    close();
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
