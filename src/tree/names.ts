// Many names in one piece of memory: a name is a number, and costs its bytes and one more.
import type { ByteString } from '../bytes.ts';
import { type Bytes, column, longer } from './rows.ts';

/** In place of a length that doesn't fit into its byte: four more bytes say it. */
const long = 255;
const mostBytes = 2 ** 32;

/** Names are only added. The number of one is where it begins, below 2^32. */
export class Names {
  #bytes = column<Bytes>(Uint8Array, 4096);
  #view: Buffer<SharedArrayBuffer> = Buffer.from(this.#bytes.buffer);
  #end = 0;

  /** Names of another thread, to be read only. */
  static reading(bytes: Bytes): Names {
    const names = new Names();
    names.#bytes = bytes;
    names.#view = Buffer.from(bytes.buffer);
    return names;
  }

  /** Where the bytes of names are; another array whenever some were added. */
  get bytes(): Bytes {
    return this.#bytes;
  }

  /** How many bytes there are. */
  get size(): number {
    return this.#end;
  }

  /** Adds a name that stands in `from`. */
  add(from: Uint8Array, start: number, end: number): number {
    const at = this.#begin(end - start);
    const target = this.#bytes;
    for (let index = start, to = this.start(at); index < end; index++, to++) target[to] = from[index] ?? 0;
    return at;
  }

  /** Adds a name that stands at the end of `text`. */
  addText(text: ByteString, start = 0): number {
    const at = this.#begin(text.length - start);
    const target = this.#bytes;
    for (let index = start, to = this.start(at); index < text.length; index++, to++) target[to] = text.charCodeAt(index);
    return at;
  }

  get(name: number): ByteString {
    return this.#view.toString('latin1', this.start(name), this.end(name)) as ByteString; // latin1 by construction
  }

  /** The place of a name's first byte. */
  start(name: number): number {
    return name + (this.#bytes[name] === long ? 5 : 1);
  }

  /** The place behind its last one. */
  end(name: number): number {
    const length = this.#bytes[name] ?? 0;
    return length === long ? name + 5 + this.#view.readUInt32LE(name + 1) : name + 1 + length;
  }

  /** True where the name is that part of `text`. */
  is(name: number, text: ByteString, start: number, end: number): boolean {
    const bytes = this.#bytes;
    const first = this.start(name);
    if (this.end(name) - first !== end - start) return false;
    for (let index = start; index < end; index++) if (bytes[first + index - start] !== text.charCodeAt(index)) return false;
    return true;
  }

  /** Below 0 where the name comes before one of `others` by byte, above it where it comes after it, 0 where they are the same. */
  compare(name: number, others: Names, other: number): number {
    if (this === others && name === other) return 0;
    const [a, b] = [this.#bytes, others.#bytes];
    const [start, end, otherStart, otherEnd] = [this.start(name), this.end(name), others.start(other), others.end(other)];
    const least = Math.min(end - start, otherEnd - otherStart);
    for (let index = 0; index < least; index++) {
      const difference = (a[start + index] ?? 0) - (b[otherStart + index] ?? 0);
      if (difference !== 0) return difference;
    }
    return end - start - (otherEnd - otherStart);
  }

  /** Forgets all names. */
  clear(): void {
    this.#end = 0;
  }

  clone(): Names {
    const copy = new Names();
    copy.#bytes = column<Bytes>(Uint8Array, Math.max(this.#end, 64));
    copy.#bytes.set(this.#bytes.subarray(0, this.#end));
    copy.#view = Buffer.from(copy.#bytes.buffer);
    copy.#end = this.#end;
    return copy;
  }

  // Makes room, and writes the length.
  #begin(length: number): number {
    const at = this.#end;
    const end = at + length + (length < long ? 1 : 5);
    if (end > this.#bytes.length) {
      if (end > mostBytes) throw new RangeError('there are more than 4 GiB of names');
      this.#bytes = longer(Uint8Array, this.#bytes, Math.min(Math.max(end, this.#bytes.length * 2), mostBytes));
      this.#view = Buffer.from(this.#bytes.buffer);
    }
    this.#bytes[at] = Math.min(length, long);
    if (length >= long) this.#view.writeUInt32LE(length, at + 1);
    this.#end = end;
    return at;
  }
}
