// What is compressed is told by its first bytes, never by a media type or a file name: both have been wrong in the wild.
import type { Transform } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import { BuilderError, systemCode } from '../errors.ts';
import { gunzip } from './gunzip.ts';

/** How bytes are compressed; the last two are known but can't be read. */
export type CompressionFormat = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

/** Bytes that `sniffCompression` wants to see. */
const sniffLength = 6;

const outputChunkSize = 256 * 1024;

/** Tells the format from the first bytes of a stream. */
export function sniffCompression(head: Buffer): CompressionFormat {
  const magic = head.toString('latin1', 0, sniffLength);
  if (magic.startsWith('\x1f\x8b')) return 'gzip';
  // zstd's own frame, or a skippable one in front of it (RFC 8878, 3.1.2).
  if (magic.startsWith('\x28\xb5\x2f\xfd') || /^[\x50-\x5f]\x2a\x4d\x18/.test(magic)) return 'zstd';
  if (/^BZh[1-9]/.test(magic)) return 'bzip2';
  if (magic === '\xfd7zXZ\0') return 'xz';
  return 'none';
}

/**
 * The plain bytes of a stream, which may be compressed or not. The source is read to its end. Its chunks, and those that come out, are
 * valid until the next is asked for.
 * @throws ERR_LAYER for damaged data, ERR_UNSUPPORTED for a format that can't be read
 */
export async function* decompress(source: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  const head = await readHead(iterator);
  const format = sniffCompression(head);
  const whole = resume(head, iterator, signal);
  if (format === 'none') yield* whole;
  else if (format === 'gzip') yield* gunzip(whole, signal);
  // A window of more than 128 MiB is refused by the default limit, which bounds our memory.
  else if (format === 'zstd') yield* transformed(whole, createZstdDecompress({ chunkSize: outputChunkSize }), format, signal);
  else {
    await iterator.return?.();
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot decompress data: ${format} is not supported`, { hint: 'use gzip or zstd' });
  }
}

/** The first bytes of a stream, enough to sniff at, or all where it has fewer. */
export async function readHead(iterator: AsyncIterator<Buffer>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < sniffLength) {
    const next = await iterator.next();
    if (next.done === true) break;
    // A copy, as what was read is only lent until the next.
    head = Buffer.concat([head, next.value]);
  }
  return head;
}

/** The whole stream, of which `head` was read already. Lets go of it once it was asked for something. */
export async function* resume(head: Buffer, iterator: AsyncIterator<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    if (head.length > 0) yield head;
    for (;;) {
      signal.throwIfAborted();
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

async function* transformed(
  source: AsyncIterable<Buffer>,
  transform: Transform & { readonly bytesWritten: number },
  format: CompressionFormat,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let sourceFailure: unknown;
  let isLeft = false;
  const pumping = pump(source, transform, () => isLeft, signal).catch((error: unknown) => {
    sourceFailure = error;
    transform.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  // Its failure arrives through the transform as well; without this it would count as unhandled.
  pumping.catch(() => undefined);
  try {
    for await (const chunk of transform) yield chunk as Buffer; // zlib streams give buffers
    // Node ends where no further frame begins; engines, by klauspost/compress, refuse what is there.
    if ((await pumping) > transform.bytesWritten)
      throw new BuilderError('ERR_LAYER', `Cannot decompress data: the ${format} stream is damaged (it has other data behind its end)`);
  } catch (error) {
    const code = systemCode(error);
    if (
      sourceFailure !== undefined ||
      error instanceof BuilderError ||
      code === undefined ||
      !/^(?:Z_|ZSTD_|ERR_)/.test(code) ||
      signal.aborted
    )
      throw error;
    if (code === 'ZSTD_error_frameParameter_windowTooLarge') throw largeWindow(error);
    throw new BuilderError('ERR_LAYER', `Cannot decompress data: the ${format} stream is damaged (${code})`, { cause: error });
  } finally {
    // The pump notices at its next chunk and lets go of the source; waiting for it could mean waiting for a network.
    isLeft = true;
    transform.destroy();
  }
}

function largeWindow(cause: unknown): BuilderError {
  const message = 'Cannot decompress data: the zstd stream needs a window of more than 128 MiB';
  return new BuilderError('ERR_UNSUPPORTED', message, { cause, hint: "compress with 'zstd --long=27' or less" });
}

// Gives how many bytes there were. Not pipeline(): a stream may end before its source, which must be read to its end all the same, since
// that is where its digest is verified.
async function pump(source: AsyncIterable<Buffer>, transform: Transform, isLeft: () => boolean, signal: AbortSignal): Promise<number> {
  let given = 0;
  const isDone = (): boolean => transform.readableEnded || transform.destroyed;
  for await (const chunk of source) {
    signal.throwIfAborted();
    // Not told by the transform's own state: that it was destroyed may be seen before that it had ended.
    if (isLeft()) return given;
    given += chunk.length;
    // It may take a while, and the chunk is only lent.
    if (isDone() || transform.write(Buffer.from(chunk))) continue;
    await new Promise<void>((resolve) => {
      const events = ['drain', 'end', 'close'] as const;
      const finish = (): void => {
        for (const event of events) transform.off(event, finish);
        resolve();
      };
      for (const event of events) transform.once(event, finish);
    });
  }
  if (!isDone()) transform.end();
  return given;
}
