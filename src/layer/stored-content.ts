// A file's content as it stands in an archive, read as the archive is.
import type { ByteSource } from './byte-source.ts';
import type { Entry } from './entry.ts';
import { blockSize } from './header.ts';

/** The stored bytes of one entry: whatever the consumer leaves is skipped. */
export class StoredContent implements AsyncIterable<Buffer> {
  readonly #offset: number;
  readonly #bytes: ByteSource;
  #left: number;
  #padding: number;

  constructor(bytes: ByteSource, size: number) {
    this.#offset = bytes.position;
    this.#bytes = bytes;
    this.#left = size;
    this.#padding = (blockSize - (size % blockSize)) % blockSize;
  }

  /** Where they begin, in bytes from the archive's start. */
  get offset(): number {
    return this.#offset;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    while (this.#left > 0) {
      const part = await this.#bytes.takeSome(this.#left);
      this.#left -= part.length;
      yield part;
    }
  }

  /** All of it in one piece, where it is here already and nothing was read of it yet. */
  whole(): Buffer | undefined {
    const all = this.#bytes.takeNow(this.#left);
    if (all !== undefined) this.#left = 0;
    return all;
  }

  async skip(): Promise<void> {
    while (this.#left > 0) this.#left -= (await this.#bytes.takeSome(this.#left)).length;
    if (this.#padding > 0 && this.#bytes.takeNow(this.#padding) === undefined) await this.#bytes.take(this.#padding);
    this.#padding = 0;
  }
}

/** The entry, with its content as a list where that needs no waiting. */
export function takeWhole(entry: Entry): Entry {
  const whole = entry.content instanceof StoredContent ? entry.content.whole() : undefined;
  return whole === undefined ? entry : { ...entry, content: [whole] };
}
