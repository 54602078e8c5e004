// What ADD and contexts may be compressed with: all that a layer may be, and bzip2 and xz besides.
import { decompress, sniffCompression, sniffLength } from './decompress.ts';
import { decompressBzip2 } from './decompress-bzip2.ts';
import { decompressXz } from './decompress-xz.ts';

/**
 * The plain bytes of an archive, told by its first bytes: gzip, zstd, bzip2, xz, or as they are.
 * @throws BuilderError ERR_LAYER for damaged data, ERR_UNSUPPORTED for rare forms of xz
 */
export async function* decompressArchive(source: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < sniffLength) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const whole = resume(head, iterator, signal);
  const format = sniffCompression(head);
  if (format === 'bzip2') yield* decompressBzip2(whole);
  else if (format === 'xz') yield* decompressXz(whole);
  else yield* decompress(whole, signal);
}

async function* resume(head: Buffer, iterator: AsyncIterator<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
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
