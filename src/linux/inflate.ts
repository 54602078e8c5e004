// zlib's inflate on libuv's threads, into memory of the caller's. It is Node's own zlib, whose functions node(1) gives to add-ons;
// Node's streams make a new buffer for each chunk, and clearing those away is a tenth of what unpacking an image costs.
import { load } from 'koffi';
import { NativeStream, type Step } from './native-stream.ts';

/** What one call came to; names as zlib.h has them. */
export type InflateResult = 'Z_OK' | 'Z_STREAM_END' | 'Z_NEED_DICT' | 'Z_DATA_ERROR' | 'Z_MEM_ERROR' | 'Z_BUF_ERROR' | 'Z_STREAM_ERROR';

/** `z_stream` of zlib.h, where pointers and longs have 64 bits. */
const streamBytes = 112;
/** The largest window, and gzip's header and trailer. */
const windowBits = 15 + 16;

const results: ReadonlyMap<number, InflateResult> = new Map([
  [0, 'Z_OK'],
  [1, 'Z_STREAM_END'],
  [2, 'Z_NEED_DICT'],
  [-3, 'Z_DATA_ERROR'],
  [-4, 'Z_MEM_ERROR'],
  [-5, 'Z_BUF_ERROR'],
  [-2, 'Z_STREAM_ERROR'],
]);

const node = load(null);
const initialize: (stream: Buffer, bits: number, version: string, size: number) => number = node.func('inflateInit2_', 'int', [
  'void *',
  'int',
  'str',
  'int',
]);
const inflate: { readonly async: Step } = node.func('inflate', 'int', ['void *', 'int']);
const reset: (stream: Buffer) => number = node.func('inflateReset', 'int', ['void *']);
const finish: (stream: Buffer) => number = node.func('inflateEnd', 'int', ['void *']);

/** One gzip stream being inflated; `end` gives its memory back. */
export class Inflater extends NativeStream<InflateResult> {
  readonly #stream: Buffer;

  constructor() {
    const stream = Buffer.alloc(streamBytes);
    if (initialize(stream, windowBits, process.versions.zlib, streamBytes) !== 0) throw new Error('Cannot start zlib: no memory');
    super(stream, inflate.async, results);
    this.#stream = stream;
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
