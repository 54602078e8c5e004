// What ADD and contexts may be compressed with: all that a layer may be, and bzip2 and xz besides.
import { BuilderError } from '../errors.ts';
import { Bzip2Stream } from '../linux/bzip2.ts';
import { type XzResult, XzStream, xzFinish } from '../linux/xz.ts';
import { decompress, readHead, resume, sniffCompression } from './decompress.ts';

const outputBytes = 256 * 1024;
const mebibyte = 1024 * 1024;
// xz -9 needs 64 MiB; what a file asks for beyond this would be our memory.
const largestDictionary = 128 * mebibyte;

/**
 * The plain bytes of an archive, told by its first bytes: gzip, zstd, bzip2, xz, or as they are. Chunks are lent, as with `decompress`.
 * @throws BuilderError ERR_LAYER for damaged data, ERR_UNSUPPORTED for rare forms of xz, or where this machine lacks its library
 */
export async function* decompressArchive(source: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  const head = await readHead(iterator);
  const whole = resume(head, iterator, signal);
  const format = sniffCompression(head);
  if (format === 'bzip2') yield* bunzip2(whole);
  else if (format === 'xz') yield* unxz(whole);
  else yield* decompress(whole, signal);
}

/** A bzip2 file may be several streams in a row. */
async function* bunzip2(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  using stream = new Bzip2Stream();
  const output = Buffer.allocUnsafeSlow(outputBytes);
  let streams = 0;
  let isBetween = false;
  let isOver = false;
  for await (const chunk of source) {
    // Read all the same: at its end the source may be verified.
    if (isOver) continue;
    stream.give(chunk);
    while (stream.left.length > 0 && !isOver) {
      if (isBetween) stream.reset();
      const result = yield* stream.pieces(output);
      isBetween = result === 'BZ_STREAM_END';
      // What follows and is no stream of its own is passed over, as bzip2(1) does.
      isOver = result === 'BZ_DATA_ERROR_MAGIC' && streams > 0;
      if (isBetween) streams += 1;
      else if (result !== 'BZ_OK' && !isOver) throw damaged('bzip2', result);
    }
  }
  if (!isBetween && !isOver) throw damaged('bzip2', 'it ends too early');
}

async function* unxz(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  using stream = new XzStream(largestDictionary + mebibyte);
  const output = Buffer.allocUnsafeSlow(outputBytes);
  for await (const chunk of source) {
    stream.give(chunk);
    const result = yield* stream.pieces(output);
    if (result !== 'LZMA_OK') throw xzError(result);
  }
  const result = yield* stream.pieces(output, xzFinish);
  if (result !== 'LZMA_STREAM_END') throw xzError(result);
}

function xzError(result: XzResult): BuilderError {
  if (result === 'LZMA_OK' || result === 'LZMA_BUF_ERROR') return damaged('xz', 'it ends too early');
  if (result === 'LZMA_MEMLIMIT_ERROR') {
    const state = `the xz stream needs a dictionary of more than ${largestDictionary} bytes`;
    return new BuilderError('ERR_UNSUPPORTED', `Cannot decompress data: ${state}`, { hint: "compress with 'xz -9' or less" });
  }
  if (result === 'LZMA_OPTIONS_ERROR' || result === 'LZMA_UNSUPPORTED_CHECK')
    return new BuilderError('ERR_UNSUPPORTED', `Cannot decompress data: this kind of xz stream is unknown (${result})`);
  return damaged('xz', result);
}

function damaged(format: 'bzip2' | 'xz', state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot decompress data: the ${format} stream is damaged (${state})`);
}
