// Content that can be had only once (a download, an archive, a layer that is read front to back), kept until it is written where
// it belongs: in one open file without a name, out of a RUN's reach.
import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { BuilderError, systemCode } from '../errors.ts';
import type { OpenContent } from './file-view.ts';
import { giveBack, lendBuffer, pieceBytes } from './lent-buffers.ts';

/** A stretch of the spool. */
export interface Spooled {
  readonly offset: number;
  readonly size: number;
}

export class Spool implements Disposable {
  readonly folder: string;
  #fd: number | undefined;
  #end = 0;

  /** `folder` must exist once something is added. */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** Keeps all of `content`. Only one may be added at a time. @throws ERR_ROOTFS where there is no room, and what `content` throws */
  async add(content: AsyncIterable<Buffer> | Iterable<Buffer>, signal: AbortSignal): Promise<Spooled> {
    const fd = (this.#fd ??= openUnnamed(this.folder));
    const offset = this.#end;
    for await (const chunk of content) {
      signal.throwIfAborted();
      this.#write(fd, chunk);
    }
    return { offset, size: this.#end - offset };
  }

  /** What was added, as often as wanted. */
  open({ offset, size }: Spooled): OpenContent {
    const buffer = lendBuffer();
    let isOpen = true;
    const close = (): void => {
      if (isOpen) giveBack(buffer);
      isOpen = false;
    };
    return { size, chunks: this.#read(offset, size, buffer), close };
  }

  /** Gives the space back. */
  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #write(fd: number, chunk: Buffer): void {
    try {
      for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done, chunk.length - done, this.#end + done);
    } catch (error) {
      const reason = systemCode(error) === 'ENOSPC' ? 'no space is left' : 'writing failed';
      throw new BuilderError('ERR_ROOTFS', `Cannot keep content in ${this.folder}: ${reason}`, { cause: error });
    }
    this.#end += chunk.length;
  }

  *#read(offset: number, size: number, buffer: Buffer): Generator<Buffer> {
    for (let at = 0; at < size;) {
      const count = this.#fd === undefined ? 0 : readSync(this.#fd, buffer, 0, Math.min(pieceBytes, size - at), offset + at);
      if (count === 0) throw new BuilderError('ERR_INTERNAL', 'Cannot read kept content: it ends early');
      at += count;
      yield buffer.subarray(0, count);
    }
  }
}

function openUnnamed(folder: string): number {
  const path = `${folder}/${randomUUID()}`;
  try {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    unlinkSync(path);
    return fd;
  } catch (error) {
    throw new BuilderError('ERR_ROOTFS', `Cannot keep content in ${folder}: no file can be made there`, { cause: error });
  }
}
