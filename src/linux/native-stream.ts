// A stream that a C library decodes on libuv's threads, into memory of the caller's.
import { type LibraryHandle, address, load } from 'koffi';

/** How z_stream, bz_stream and lzma_stream all begin where pointers have 64 bits; each must be zeros before it is started. */
const at = { nextIn: 0, availIn: 8, nextOut: 24, availOut: 32 } as const;

type Done = (error: Error | null | undefined, code: number) => void;

/** What a library is asked for again and again. */
export type Step = (stream: Buffer, action: number, done: Done) => void;

/** One stream being decoded; results have the names of the library's header file. */
export class NativeStream<Result extends string> {
  readonly #stream: Buffer;
  readonly #step: Step;
  readonly #results: ReadonlyMap<number, Result>;
  #input: Buffer = Buffer.alloc(0);

  /** `stream` was started by the library. */
  constructor(stream: Buffer, step: Step, results: ReadonlyMap<number, Result>) {
    this.#stream = stream;
    this.#step = step;
    this.#results = results;
  }

  /** Bytes of what was given that were not taken yet. */
  get left(): Buffer {
    return this.#input;
  }

  /** Hands over the next bytes, all former ones being taken. They must stay as they are until these are. */
  give(input: Buffer): void {
    this.#input = input;
  }

  /** Decodes into `output`, which has room, until that is full or all that was given is taken. `written` bytes of it are new. */
  async next(output: Buffer, action = 0): Promise<{ readonly result: Result; readonly written: number }> {
    const stream = this.#stream;
    const input = this.#input;
    stream.writeBigUInt64LE(input.length === 0 ? 0n : address(input), at.nextIn);
    stream.writeUInt32LE(input.length, at.availIn);
    stream.writeBigUInt64LE(address(output), at.nextOut);
    stream.writeUInt32LE(output.length, at.availOut);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#step(stream, action, (error, code) => {
      if (error === null || error === undefined) resolve(code);
      else reject(error);
    });
    const code = await promise;
    const result = this.#results.get(code);
    if (result === undefined) throw new Error(`Cannot decode a stream: the library says ${code}`);
    // The library has bare addresses only: naming the buffers here keeps them alive until it is done.
    this.#input = input.subarray(input.length - stream.readUInt32LE(at.availIn));
    return { result, written: output.length - stream.readUInt32LE(at.availOut) };
  }

  /** What comes of all that was given, piece by piece in `output`; returns the first result but success, or that of the last piece. */
  async *pieces(output: Buffer, action?: number): AsyncGenerator<Buffer, Result> {
    for (;;) {
      const { result, written } = await this.next(output, action);
      if (written > 0) yield output.subarray(0, written);
      if (result !== this.#results.get(0) || (this.#input.length === 0 && written < output.length)) return result;
    }
  }
}

/** The library of that name, if it is there. In the image the loader looks beside Node's libraries and nowhere else. */
export function findLibrary(...names: readonly string[]): LibraryHandle | undefined {
  for (const name of names) {
    try {
      return load(name);
    } catch {
      // not there, or of another machine
    }
  }
  return undefined;
}
