// bzip2 by its own library, which Debian has on every machine and the image takes along.
import { BuilderError } from '../errors.ts';
import { NativeStream, type Step, findLibrary } from './native-stream.ts';

/** What one call came to; names as bzlib.h has them. */
export type Bzip2Result = 'BZ_OK' | 'BZ_STREAM_END' | 'BZ_PARAM_ERROR' | 'BZ_MEM_ERROR' | 'BZ_DATA_ERROR' | 'BZ_DATA_ERROR_MAGIC';

const results: ReadonlyMap<number, Bzip2Result> = new Map([
  [0, 'BZ_OK'],
  [4, 'BZ_STREAM_END'],
  [-2, 'BZ_PARAM_ERROR'],
  [-3, 'BZ_MEM_ERROR'],
  [-4, 'BZ_DATA_ERROR'],
  [-5, 'BZ_DATA_ERROR_MAGIC'],
]);

/** `bz_stream`, where pointers have 64 bits. */
const streamBytes = 80;

// The second name is Fedora's.
const library = findLibrary('libbz2.so.1.0', 'libbz2.so.1');
const start: ((stream: Buffer, verbosity: number, isSmall: number) => number) | undefined = library?.func('BZ2_bzDecompressInit', 'int', [
  'void *',
  'int',
  'int',
]);
const decode: { readonly async: (stream: Buffer, done: Parameters<Step>[2]) => void } | undefined = library?.func(
  'BZ2_bzDecompress',
  'int',
  ['void *'],
);
const finish: ((stream: Buffer) => number) | undefined = library?.func('BZ2_bzDecompressEnd', 'int', ['void *']);

/** One bzip2 stream being decoded, checksums verified; disposing of it gives its memory back. */
export class Bzip2Stream extends NativeStream<Bzip2Result> {
  readonly #stream: Buffer;

  /** @throws ERR_UNSUPPORTED where libbz2 is not installed */
  constructor() {
    if (decode === undefined) {
      throw new BuilderError('ERR_UNSUPPORTED', 'Cannot decompress data: for bzip2 libbz2.so.1.0 is needed, and this machine has none', {
        hint: "install the package 'libbz2-1.0' or 'bzip2-libs', or use gzip or zstd",
      });
    }
    const stream = Buffer.alloc(streamBytes);
    super(stream, (each, _action, done) => decode.async(each, done), results);
    this.#stream = stream;
    this.#start();
  }

  /** Begins anew with another stream, behind the end of one. */
  reset(): void {
    finish?.(this.#stream);
    this.#stream.fill(0);
    this.#start();
  }

  /** Must not be called while `next` is under way; afterwards nothing may be. */
  [Symbol.dispose](): void {
    finish?.(this.#stream);
  }

  #start(): void {
    if (start?.(this.#stream, 0, 0) !== 0) throw new Error('Cannot start libbz2: no memory');
  }
}
