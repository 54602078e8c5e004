// Gzip on several cores. The stream is cut into blocks of one size, each deflated on its own with the 32 KiB before it for a
// dictionary, and joined to one member as any gunzip reads it. The bytes depend on content and level, never on the cores.
import { constants, crc32, deflateRaw } from 'node:zlib';

/** Plain bytes of one block; part of what decides the compressed bytes, so a change changes digests. */
const blockBytes = 512 * 1024;
const windowBytes = 32 * 1024;
/** One more than two cores, so that reading goes on; libuv has four threads, and one must stay free for files. */
const defaultParallel = 3;

/** RFC 1952: no name, no time, and an unknown system, so that the bytes say nothing of us. */
const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
/** RFC 1951: an empty block that says it is the last. */
const ending = Buffer.from([0x03, 0x00]);

export interface GzipOptions {
  /** 0–9. */
  readonly level: number;
  /** Blocks that are deflated at once; 3 where left out. */
  readonly parallel?: number;
}

/** One gzip member of the chunks. Up to `parallel` blocks of 512 KiB and what they become are held in memory. */
export async function* gzip(chunks: AsyncIterable<Buffer>, options: GzipOptions): AsyncGenerator<Buffer> {
  const { level, parallel = defaultParallel } = options;
  const underWay: Promise<Buffer>[] = [];
  let dictionary: Buffer | undefined;
  let checksum = 0;
  let size = 0;
  yield header;
  for await (const block of blocks(chunks)) {
    checksum = crc32(block, checksum);
    size += block.length;
    const deflating = deflateBlock(block, level, dictionary);
    // Awaited in order; if an earlier one fails, nobody asks for this one.
    deflating.catch(() => undefined);
    underWay.push(deflating);
    dictionary = block.subarray(-windowBytes);
    if (underWay.length < parallel) continue;
    const [first] = underWay.splice(0, 1);
    if (first !== undefined) yield await first;
  }
  for (const deflating of underWay) yield await deflating;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(checksum, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield Buffer.concat([ending, trailer]);
}

/** The same bytes in blocks of one size, the last one shorter. */
async function* blocks(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let block = Buffer.allocUnsafeSlow(blockBytes);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const count = chunk.copy(block, filled, at);
      at += count;
      filled += count;
      if (filled < blockBytes) continue;
      yield block;
      block = Buffer.allocUnsafeSlow(blockBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

// Ends on a byte without ending the stream (RFC 1951's empty stored block), so that the next block can follow.
function deflateBlock(block: Buffer, level: number, dictionary: Buffer | undefined): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const options = {
    level,
    finishFlush: constants.Z_SYNC_FLUSH,
    // One trip to the pool for one block: what comes out is hardly ever longer than what went in.
    chunkSize: block.length + 1024,
    ...(dictionary === undefined ? {} : { dictionary }),
  };
  deflateRaw(block, options, (error, deflated) => {
    if (error === null) resolve(deflated);
    else reject(error);
  });
  return promise;
}
