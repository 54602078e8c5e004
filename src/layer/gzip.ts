// Gzip on several cores. The stream is cut into blocks of one size, each deflated on its own, and joined to one member as any
// gunzip reads it. The bytes depend on content and level, never on the cores.
import { constants, crc32, deflateRaw } from 'node:zlib';
import { isIncompressible } from './incompressible.ts';
import { isalCrc32, isalDeflater } from '../linux/isal.ts';

/** Plain bytes of one block; part of what decides the compressed bytes, so a change changes digests. */
export const gzipBlockBytes = 512 * 1024;
const windowBytes = 32 * 1024;
/** One more than two cores, so that reading goes on; libuv has four threads, and one must stay free for files. */
export const gzipBlocksAtOnce = 3;

/** RFC 1952: no name, no time, and an unknown system, so that the bytes say nothing of us. */
const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
/** RFC 1951: an empty block that says it is the last. */
const ending = Buffer.from([0x03, 0x00]);

/**
 * zlib's level where ISA-L is not there or not wanted. Measured on a copy of Debian's /usr/share: 1.5 % larger than level 6 in
 * two thirds of its time.
 */
export const defaultZlibLevel = 4;

export interface GzipOptions {
  /** 0–9, by zlib. Left out: by ISA-L where it is there, six times as fast and 2 to 3 % of the plain size larger; else zlib's 4. */
  readonly level?: number;
  /** Blocks that are deflated at once; 3 where left out. */
  readonly parallel?: number;
  /** A chunk that is a whole block stays as it is until `parallel` more were asked for: it needs not be copied. */
  readonly takesBlocks?: boolean;
}

/** What deflates a block. */
interface Slot {
  /** Where chunks become one; made when it is needed. */
  block?: Buffer;
  /** `before` is what stood in front of the block, valid only during the call; what comes out is valid until the next. */
  readonly deflate: (block: Buffer, before: Buffer) => Promise<Buffer>;
}

/**
 * One gzip member of the chunks. Up to `parallel` blocks of 512 KiB and what they become are held, in memory that is used
 * again: a chunk that comes out is valid until the next is asked for, and none that goes in is kept.
 */
export async function* gzip(chunks: AsyncIterable<Buffer>, options: GzipOptions): AsyncGenerator<Buffer> {
  const { level, parallel = gzipBlocksAtOnce, takesBlocks = false } = options;
  const free: Slot[] = [];
  const underWay: { readonly slot: Slot; readonly deflating: Promise<Buffer> }[] = [];
  const checksumOf = isalCrc32() ?? crc32;
  const window = Buffer.alloc(windowBytes);
  let checksum = 0;
  let size = 0;
  const start = (slot: Slot, block: Buffer): void => {
    checksum = checksumOf(block, checksum);
    const deflating = slot.deflate(block, window.subarray(0, size));
    // Awaited in order; if an earlier one fails, nobody asks for this one.
    deflating.catch(() => undefined);
    underWay.push({ slot, deflating });
    size += block.length;
    block.subarray(-windowBytes).copy(window);
  };
  yield header;
  let slot = newSlot(level);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const isBlock = takesBlocks && filled === 0 && chunk.length === gzipBlockBytes;
      const block = isBlock ? chunk : (slot.block ??= Buffer.allocUnsafeSlow(gzipBlockBytes));
      const count = isBlock ? gzipBlockBytes : chunk.copy(block, filled, at);
      at += count;
      filled += count;
      if (filled < gzipBlockBytes) continue;
      start(slot, block);
      const first = underWay.length < parallel ? undefined : underWay.shift();
      if (first !== undefined) {
        yield await first.deflating;
        free.push(first.slot);
      }
      slot = free.pop() ?? newSlot(level);
      filled = 0;
    }
  }
  if (slot.block !== undefined && filled > 0) start(slot, slot.block.subarray(0, filled));
  for (const { deflating } of underWay) yield await deflating;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(checksum, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield Buffer.concat([ending, trailer]);
}

function newSlot(level: number | undefined): Slot {
  const isal = level === undefined ? isalDeflater() : undefined;
  // ISA-L does without what stood before, which costs 0.1 % of the plain size and lets it be a single call.
  if (isal !== undefined) return { deflate: (plain) => isal.deflate(plain) };
  return { deflate: (plain, before) => deflateByZlib(plain, level ?? defaultZlibLevel, before) };
}

// Ends on a byte without ending the stream (RFC 1951's empty stored block), so that the next block can follow.
async function deflateByZlib(block: Buffer, level: number, before: Buffer): Promise<Buffer> {
  const dictionary = Buffer.from(before);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const options = {
    level: level > 0 && (await isIncompressible(block)) ? 0 : level,
    finishFlush: constants.Z_SYNC_FLUSH,
    // One trip to the pool for one block: what comes out is hardly ever longer than what went in.
    chunkSize: block.length + 1024,
    ...(dictionary.length === 0 ? {} : { dictionary }),
  };
  deflateRaw(block, options, (error, deflated) => {
    if (error === null) resolve(deflated);
    else reject(error);
  });
  return await promise;
}
