// zlib's inflate on libuv's threads, into memory of the caller's. It is Node's own zlib, whose functions node(1) gives to add-ons;
// Node's streams make a new buffer for each chunk, and clearing those away is a tenth of what unpacking an image costs.
import { address, load } from 'koffi';

/** What one call came to; names as zlib.h has them. */
export type InflateResult = 'Z_OK' | 'Z_STREAM_END' | 'Z_NEED_DICT' | 'Z_DATA_ERROR' | 'Z_MEM_ERROR' | 'Z_BUF_ERROR' | 'Z_STREAM_ERROR';

/** `z_stream` of zlib.h, where pointers and longs have 64 bits. */
const streamBytes = 112;
const at = { nextIn: 0, availIn: 8, nextOut: 24, availOut: 32 } as const;
/** The largest window, and gzip's header and trailer. */
const windowBits = 15 + 16;

const results: ReadonlyMap<number, InflateResult> = new Map([
  [0, 'Z_OK'],
  [1, 'Z_STREAM_END'],
  [2, 'Z_NEED_DICT'],
  [-3, 'Z_DATA_ERROR'],
  [-4, 'Z_MEM_ERROR'],
  [-5, 'Z_BUF_ERROR'],
]);

const node = load(null);
const initialize: (stream: Buffer, bits: number, version: string, size: number) => number = node.func('inflateInit2_', 'int', [
  'void *',
  'int',
  'str',
  'int',
]);
const inflate: {
  readonly async: (stream: Buffer, flush: number, done: (error: Error | null | undefined, result: number) => void) => void;
} = node.func('inflate', 'int', ['void *', 'int']);
const reset: (stream: Buffer) => number = node.func('inflateReset', 'int', ['void *']);
const finish: (stream: Buffer) => number = node.func('inflateEnd', 'int', ['void *']);

/** One gzip stream being inflated; `end` gives its memory back. */
export class Inflater {
  readonly #stream = Buffer.alloc(streamBytes);
  #input: Buffer = Buffer.alloc(0);

  constructor() {
    if (initialize(this.#stream, windowBits, process.versions.zlib, streamBytes) !== 0) throw new Error('Cannot start zlib: no memory');
  }

  /** Bytes of what was given that were not taken yet. */
  get left(): Buffer {
    return this.#input;
  }

  /** Hands over the next bytes, all former ones being taken. They must stay as they are until these are. */
  give(input: Buffer): void {
    this.#input = input;
  }

  /** Inflates into `output`, which has room, until that is full or all that was given is taken. `written` bytes of it are new. */
  async next(output: Buffer): Promise<{ readonly result: InflateResult; readonly written: number }> {
    const stream = this.#stream;
    const input = this.#input;
    stream.writeBigUInt64LE(input.length === 0 ? 0n : address(input), at.nextIn);
    stream.writeUInt32LE(input.length, at.availIn);
    stream.writeBigUInt64LE(address(output), at.nextOut);
    stream.writeUInt32LE(output.length, at.availOut);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    inflate.async(stream, 0, (error, code) => {
      if (error === null || error === undefined) resolve(code);
      else reject(error);
    });
    const code = await promise;
    // zlib has bare addresses only: naming the buffers here keeps them alive until it is done.
    this.#input = input.subarray(input.length - stream.readUInt32LE(at.availIn));
    return { result: results.get(code) ?? 'Z_STREAM_ERROR', written: output.length - stream.readUInt32LE(at.availOut) };
  }

  /** Begins anew with another member, behind the end of one. */
  reset(): void {
    reset(this.#stream);
  }

  /** Must not be called while `next` is under way; afterwards nothing may be. */
  end(): void {
    finish(this.#stream);
  }
}
