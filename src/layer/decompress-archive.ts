// What ADD and contexts may be compressed with: all that a layer may be, and bzip2 and xz besides.
import { decompress, readHead, resume, sniffCompression } from './decompress.ts';
import { decompressBzip2 } from './decompress-bzip2.ts';
import { decompressXz } from './decompress-xz.ts';

/**
 * The plain bytes of an archive, told by its first bytes: gzip, zstd, bzip2, xz, or as they are. Chunks are lent, as with `decompress`.
 * @throws BuilderError ERR_LAYER for damaged data, ERR_UNSUPPORTED for rare forms of xz
 */
export async function* decompressArchive(source: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  const head = await readHead(iterator);
  const whole = resume(head, iterator, signal);
  const format = sniffCompression(head);
  try {
    if (format === 'bzip2') yield* decompressBzip2(whole);
    else if (format === 'xz') yield* decompressXz(whole, signal);
    else yield* decompress(whole, signal);
  } finally {
    // The others let go by themselves, without waiting for what is under way.
    if (format === 'bzip2' || format === 'xz') await iterator.return?.();
  }
}
