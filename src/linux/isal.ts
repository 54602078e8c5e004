// Intel's ISA-L, which deflates several times as fast as zlib. It is optional: the image has it beside Node's libraries, a
// development machine may. Called on libuv's threads; its structures (igzip_lib.h of 2.30) are buffers written by offset.
import { createHash } from 'node:crypto';
import { address, load } from 'koffi';

/** Deflates one block at a time, in memory of its own that serves for the next. */
export interface IsalDeflater {
  /**
   * A raw deflate stream of `block` that ends on a byte and goes on: the same bytes wherever `isalDeflater` is given. Valid
   * until the next call. Takes up to `largestIsalBlock` bytes.
   */
  readonly deflate: (block: Buffer) => Promise<Buffer>;
}

/** ISA-L goes wrong with input of more than a mebibyte in one call. */
export const largestIsalBlock = 1024 * 1024;

const streamBytes = 82_384;
const at = {
  nextIn: 0,
  availIn: 8,
  nextOut: 16,
  availOut: 24,
  totalOut: 28,
  level: 40,
  levelSize: 44,
  levelBuffer: 48,
  flush: 58,
} as const;
/** Levels 1 and 2 come out alike with every instruction set from SSE4.2 on; 3 does not. */
const level = 2;
/** ISAL_DEF_LVL2_LARGE. */
const levelBytes = 331_776;
/** The next block needs nothing of this one; in between stands an empty stored block. */
const fullFlush = 2;
/** What does not compress is stored: five bytes for each 64 KiB, and the empty block. */
const spareBytes = 1024;

const knownChecksum = 375583395;
const knownDigest = '688b30ec863697bf295b6d39260813fd55b3932032f3b37a0946ef2ded141215';

type Call = ((stream: Buffer) => number) & {
  readonly async: (stream: Buffer, done: (error: Error | null | undefined, result: number) => void) => void;
};

interface Library {
  readonly init: (stream: Buffer) => void;
  readonly deflate: Call;
  readonly crc32: (before: number, bytes: Buffer, length: number) => number;
}

/** A new deflater, or undefined where ISA-L is not installed or makes other bytes than it should. */
export function isalDeflater(): IsalDeflater | undefined {
  return library === undefined ? undefined : new Deflater(library);
}

/** Whether `isalDeflater` gives one. */
export function hasIsal(): boolean {
  return library !== undefined;
}

/** gzip's checksum of `bytes` after what `before` is of; ten times as fast as zlib's. Undefined where ISA-L is not there. */
export function isalCrc32(): ((bytes: Buffer, before: number) => number) | undefined {
  return library === undefined ? undefined : (bytes, before) => library.crc32(before, bytes, bytes.length);
}

class Deflater implements IsalDeflater {
  readonly #library: Library;
  readonly #stream = Buffer.alloc(streamBytes);
  readonly #level = Buffer.alloc(levelBytes);
  #out = Buffer.alloc(0);

  constructor(used: Library) {
    this.#library = used;
  }

  async deflate(block: Buffer): Promise<Buffer> {
    this.#prepare(block);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#library.deflate.async(this.#stream, (error, result) => {
      if (error === null || error === undefined) resolve(result);
      else reject(error);
    });
    const result = await promise;
    // The library has bare addresses only: naming the block here keeps it alive until it has been read.
    return this.#finish(result, block);
  }

  deflateSync(block: Buffer): Buffer {
    this.#prepare(block);
    return this.#finish(this.#library.deflate(this.#stream), block);
  }

  #prepare(block: Buffer): void {
    if (block.length > largestIsalBlock) throw new RangeError(`Cannot deflate ${block.length} bytes at once`);
    const room = block.length + spareBytes;
    if (this.#out.length < room) this.#out = Buffer.allocUnsafeSlow(room);
    const stream = this.#stream;
    this.#library.init(stream);
    stream.writeBigUInt64LE(address(block), at.nextIn);
    stream.writeUInt32LE(block.length, at.availIn);
    stream.writeBigUInt64LE(address(this.#out), at.nextOut);
    stream.writeUInt32LE(this.#out.length, at.availOut);
    stream.writeUInt32LE(level, at.level);
    stream.writeUInt32LE(levelBytes, at.levelSize);
    stream.writeBigUInt64LE(address(this.#level), at.levelBuffer);
    stream.writeUInt16LE(fullFlush, at.flush);
  }

  #finish(result: number, block: Buffer): Buffer {
    const left = this.#stream.readUInt32LE(at.availIn);
    if (result !== 0 || left !== 0) throw new Error(`Cannot deflate ${block.length} bytes: ISA-L says ${result} with ${left} left`);
    return this.#out.subarray(0, this.#stream.readUInt32LE(at.totalOut));
  }
}

const library = openLibrary();

// By its name alone: in the image the loader looks beside Node's libraries and nowhere else.
function openLibrary(): Library | undefined {
  if (process.arch !== 'x64') return undefined;
  const opened = bindLibrary();
  return opened !== undefined && isKnown(opened) ? opened : undefined;
}

function bindLibrary(): Library | undefined {
  try {
    const file = load('libisal.so.2');
    return {
      init: file.func('isal_deflate_stateless_init', 'void', ['void *']),
      deflate: file.func('isal_deflate_stateless', 'int', ['void *']),
      crc32: file.func('crc32_gzip_refl', 'uint32', ['uint32', 'void *', 'uint64']),
    };
  } catch {
    return undefined; // not there, or another one of that name
  }
}

// Another version, or a processor without SSE4.2, could find other matches: then the digests of layers would depend on it.
function isKnown(opened: Library): boolean {
  const input = knownInput();
  const deflated = new Deflater(opened).deflateSync(input);
  return createHash('sha256').update(deflated).digest('hex') === knownDigest && opened.crc32(0, input, input.length) === knownChecksum;
}

/** Noise, letters, and pieces of both again at all distances: enough to tell one way of finding matches from another. */
function knownInput(): Buffer {
  const noise = Buffer.alloc(2048);
  let state = 1;
  for (let index = 0; index < noise.length; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    noise[index] = state >>> 16;
  }
  const letters = noise.map((byte) => 97 + (byte % 7));
  const pieces = Array.from({ length: 80 }, (_, index) => [
    letters.subarray(index * 17, index * 18 + 100),
    noise.subarray(index * 5, index * 5 + 3 + (index % 7)),
  ]);
  return Buffer.concat([noise, letters, ...pieces.flat()]);
}
