// A stream as bits, the highest of each byte first, as far as it was brought within reach.
import type { BuilderError } from '../errors.ts';

/** The next bytes of a stream, as bits. */
export class BitWindow {
  readonly #source: AsyncIterator<Buffer>;
  readonly #tooShort: () => BuilderError;
  #bytes = Buffer.alloc(0);
  #bit = 0;
  #isDone = false;

  /** `tooShort` is what to throw where bits are taken that are not there. */
  constructor(source: AsyncIterable<Buffer>, tooShort: () => BuilderError) {
    this.#source = source[Symbol.asyncIterator]();
    this.#tooShort = tooShort;
  }

  /** Whole bytes ahead. */
  get available(): number {
    return this.#bytes.length - Math.ceil(this.#bit / 8);
  }

  /** Brings `size` bytes within reach, or all that are left. */
  async fill(size: number): Promise<void> {
    if (this.available >= size || this.#isDone) return;
    const chunks: Buffer[] = [this.#bytes.subarray(this.#bit >>> 3)];
    this.#bit &= 7;
    let length = chunks[0]?.length ?? 0;
    while (length < size + 1) {
      const next = await this.#source.next();
      if (next.done === true) {
        this.#isDone = true;
        break;
      }
      chunks.push(Buffer.from(next.value)); // it is only lent
      length += next.value.length;
    }
    this.#bytes = Buffer.concat(chunks);
  }

  /** Reads the rest and drops it. */
  async drain(): Promise<void> {
    while (!this.#isDone) this.#isDone = (await this.#source.next()).done === true;
  }

  /** The next `count` bits (up to 24) without taking them; zeros past the end. */
  peek(count: number): number {
    const at = this.#bit >>> 3;
    const bytes = this.#bytes;
    const word = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    return (word << (this.#bit & 7)) >>> (32 - count);
  }

  /** @throws what `tooShort` gives */
  skip(count: number): void {
    this.#bit += count;
    if (this.#bit > this.#bytes.length * 8) throw this.#tooShort();
  }

  /** The next `count` bits (up to 24). */
  bits(count: number): number {
    const value = this.peek(count);
    this.skip(count);
    return value;
  }

  /** The next 32 bits. */
  word(): number {
    return this.bits(16) * 0x10000 + this.bits(16);
  }

  alignToByte(): void {
    this.#bit = (this.#bit + 7) & ~7;
  }
}
