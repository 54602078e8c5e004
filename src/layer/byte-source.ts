// A stream of chunks read by count. Hands out views of the chunks as they came; copies only where one ends too early.
import { BuilderError } from '../errors.ts';

const nothing = Buffer.alloc(0);

/** Reads a stream piece by piece. A buffer that it gives is valid until the next call. */
export class ByteSource {
  readonly #iterator: AsyncIterator<Buffer>;
  readonly #signal: AbortSignal;
  #chunk: Buffer = nothing;
  #at = 0;
  /** Bytes of the chunks before this one. */
  #passed = 0;

  constructor(source: AsyncIterable<Buffer>, signal: AbortSignal) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  /** Bytes that were taken so far. */
  get position(): number {
    return this.#passed + this.#at;
  }

  /** The next `length` bytes if they are here already: no waiting, which is most of the speed with small files. */
  takeNow(length: number): Buffer | undefined {
    const end = this.#at + length;
    if (end > this.#chunk.length) return undefined;
    const part = this.#chunk.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  /** @throws ERR_LAYER when the stream ends before */
  async take(length: number): Promise<Buffer> {
    return (await this.takeOrEnd(length)) ?? this.#cut();
  }

  /** The next `length` bytes, or undefined when the stream has ended just here. @throws ERR_LAYER when it ends within them */
  async takeOrEnd(length: number): Promise<Buffer | undefined> {
    const now = this.takeNow(length);
    if (now !== undefined) return now;
    const whole = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      if (this.#at === this.#chunk.length && !(await this.#fill())) return filled === 0 ? undefined : this.#cut();
      const count = this.#chunk.copy(whole, filled, this.#at, this.#at + length - filled);
      filled += count;
      this.#at += count;
    }
    return whole;
  }

  /** Up to `length` bytes, at least one. @throws ERR_LAYER when the stream has ended */
  async takeSome(length: number): Promise<Buffer> {
    if (this.#at === this.#chunk.length && !(await this.#fill())) return this.#cut();
    return this.takeNow(Math.min(length, this.#chunk.length - this.#at)) ?? this.#cut();
  }

  /** Reads the rest, so that whoever verifies the stream sees its end; tells whether there was anything but zeros. */
  async drain(): Promise<boolean> {
    let hasData = false;
    do {
      for (; this.#at < this.#chunk.length && !hasData; this.#at++) hasData = this.#chunk[this.#at] !== 0;
    } while (await this.#fill());
    return hasData;
  }

  /** Lets go of the stream, however far it was read. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  #cut(): never {
    throw new BuilderError('ERR_LAYER', 'Cannot read archive: it ends too early');
  }

  async #fill(): Promise<boolean> {
    this.#signal.throwIfAborted();
    this.#passed += this.#chunk.length;
    this.#at = 0;
    this.#chunk = nothing;
    while (this.#chunk.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
    }
    return true;
  }
}
