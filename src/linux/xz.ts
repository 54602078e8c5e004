// .xz files by xz's own library, which Debian has on every machine and the image takes along.
import { BuilderError } from '../errors.ts';
import { NativeStream, type Step, findLibrary } from './native-stream.ts';

/** What one call came to; names as lzma/base.h has them. */
export type XzResult =
  | 'LZMA_OK'
  | 'LZMA_STREAM_END'
  | 'LZMA_UNSUPPORTED_CHECK'
  | 'LZMA_MEM_ERROR'
  | 'LZMA_MEMLIMIT_ERROR'
  | 'LZMA_FORMAT_ERROR'
  | 'LZMA_OPTIONS_ERROR'
  | 'LZMA_DATA_ERROR'
  | 'LZMA_BUF_ERROR';

const results: ReadonlyMap<number, XzResult> = new Map([
  [0, 'LZMA_OK'],
  [1, 'LZMA_STREAM_END'],
  [3, 'LZMA_UNSUPPORTED_CHECK'],
  [5, 'LZMA_MEM_ERROR'],
  [6, 'LZMA_MEMLIMIT_ERROR'],
  [7, 'LZMA_FORMAT_ERROR'],
  [8, 'LZMA_OPTIONS_ERROR'],
  [9, 'LZMA_DATA_ERROR'],
  [10, 'LZMA_BUF_ERROR'],
]);

/** `lzma_stream`, where pointers and longs have 64 bits. */
const streamBytes = 136;
/** LZMA_TELL_UNSUPPORTED_CHECK: what can't be verified is not read. LZMA_CONCATENATED: streams in a row, and zeros between them. */
const flags = 0x02 | 0x08;

const library = findLibrary('liblzma.so.5');
const start: ((stream: Buffer, memoryBytes: number, flags: number) => number) | undefined = library?.func('lzma_stream_decoder', 'int', [
  'void *',
  'uint64',
  'uint32',
]);
const code: { readonly async: Step } | undefined = library?.func('lzma_code', 'int', ['void *', 'int']);
const finish: ((stream: Buffer) => void) | undefined = library?.func('lzma_end', 'void', ['void *']);

/** LZMA_FINISH, the action for `next` once all was given. */
export const xzFinish = 3;

/** An .xz file being decoded, every check verified; disposing of it gives its memory back. */
export class XzStream extends NativeStream<XzResult> {
  readonly #stream: Buffer;

  /** Asks for no more memory than `memoryBytes`. @throws ERR_UNSUPPORTED where liblzma is not installed */
  constructor(memoryBytes: number) {
    if (start === undefined || code === undefined) {
      throw new BuilderError('ERR_UNSUPPORTED', 'Cannot decompress data: for xz liblzma.so.5 is needed, and this machine has none', {
        hint: "install the package 'liblzma5' or 'xz-libs', or use gzip or zstd",
      });
    }
    const stream = Buffer.alloc(streamBytes);
    if (start(stream, memoryBytes, flags) !== 0) throw new Error('Cannot start liblzma: no memory');
    super(stream, code.async, results);
    this.#stream = stream;
  }

  /** Must not be called while `next` is under way; afterwards nothing may be. */
  [Symbol.dispose](): void {
    finish?.(this.#stream);
  }
}
