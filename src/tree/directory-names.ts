// Which node each name in each directory is of: a few numbers a name, found by a hash of both, and the names of a directory in a chain.
import type { ByteString } from '../bytes.ts';
import { Names } from './names.ts';
import { grown } from './rows.ts';

/** What a row has. A row is never taken away: its name may come again. */
const [parent, name, node, next, width] = [0, 1, 2, 3, 4];
/** In place of a row, and of the node of a name that is gone. */
const none = 0xffffffff;
// Nobody can make names for a layer that all fall on one place.
const seed = Math.trunc(Math.random() * 2 ** 32);

export class DirectoryNames {
  #names = new Names();
  #rows = new Uint32Array(256 * width);
  #count = 0;
  /** Rows, found by hash. */
  #slots = new Uint32Array(512).fill(none);
  /** The first row of each directory. */
  #first = new Map<number, number>();

  isDirectory(directory: number): boolean {
    return this.#first.has(directory);
  }

  /** Says that a node is a directory, with nothing in it. */
  make(directory: number): void {
    this.#first.set(directory, none);
  }

  /** Says that a node is none any more. */
  drop(directory: number): void {
    this.#first.delete(directory);
  }

  /** The node of the name that is that part of `text`. */
  get(directory: number, text: ByteString, start = 0, end = text.length): number | undefined {
    if (!this.#first.has(directory)) return undefined;
    const row = this.#slots[this.#slotOf(directory, text, start, end)] ?? none;
    const found = row === none ? none : this.#at(row, node);
    return found === none ? undefined : found;
  }

  /** Makes the name that is that part of `text` one of `value`. */
  set(directory: number, text: ByteString, start: number, value: number): void {
    const slot = this.#slotOf(directory, text, start, text.length);
    const row = this.#slots[slot] ?? none;
    if (row === none) this.#add([directory, this.#names.addText(text, start), value, this.#first.get(directory) ?? none], slot);
    else this.#rows[row * width + node] = value;
  }

  delete(directory: number, text: ByteString, start: number): void {
    const row = this.#slots[this.#slotOf(directory, text, start, text.length)] ?? none;
    if (row !== none) this.#rows[row * width + node] = none;
  }

  /** The rows of a directory, in no order. */
  rows(directory: number): number[] {
    const rows: number[] = [];
    for (let row = this.#first.get(directory) ?? none; row !== none; row = this.#at(row, next))
      if (this.#at(row, node) !== none) rows.push(row);
    return rows;
  }

  /** The rows of a directory, sorted by byte. */
  sorted(directory: number): number[] {
    return this.rows(directory).sort((a, b) => this.#names.compare(this.#at(a, name), this.#names, this.#at(b, name)));
  }

  nameOf(row: number): ByteString {
    return this.#names.get(this.#at(row, name));
  }

  nodeOf(row: number): number {
    return this.#at(row, node);
  }

  clone(): DirectoryNames {
    const copy = new DirectoryNames();
    copy.#names = this.#names.clone();
    copy.#rows = this.#rows.slice(0, Math.max(this.#count, 1) * width);
    copy.#count = this.#count;
    copy.#slots = this.#slots.slice();
    copy.#first = new Map(this.#first);
    return copy;
  }

  #at(row: number, field: number): number {
    return this.#rows[row * width + field] ?? none;
  }

  #slotOf(directory: number, text: ByteString, start: number, end: number): number {
    let hash = directory ^ seed;
    for (let index = start; index < end; index++) hash = mixed(hash, text.charCodeAt(index));
    const mask = this.#slots.length - 1;
    for (let slot = finished(hash) & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot] ?? none;
      if (row === none || (this.#at(row, parent) === directory && this.#names.is(this.#at(row, name), text, start, end))) return slot;
    }
  }

  #add(row: readonly [directory: number, name: number, node: number, next: number], slot: number): void {
    const number = this.#count++;
    if (this.#count * width > this.#rows.length) this.#rows = grown(this.#rows, new Uint32Array(this.#rows.length * 2));
    this.#rows.set(row, number * width);
    this.#first.set(row[0], number);
    this.#slots[slot] = number;
    if (this.#count * 4 > this.#slots.length * 3) this.#spread();
  }

  // The old places go first: none of them is needed for the new ones.
  #spread(): void {
    const length = this.#slots.length * 2;
    this.#slots.buffer.transfer(0);
    this.#slots = new Uint32Array(length).fill(none);
    const { bytes } = this.#names;
    for (let row = 0; row < this.#count; row++) {
      let hash = this.#at(row, parent) ^ seed;
      const end = this.#names.end(this.#at(row, name));
      for (let index = this.#names.start(this.#at(row, name)); index < end; index++) hash = mixed(hash, bytes[index] ?? 0);
      let slot = finished(hash) & (length - 1);
      while (this.#slots[slot] !== none) slot = (slot + 1) & (length - 1);
      this.#slots[slot] = row;
    }
  }
}

function mixed(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

// The lower bits choose the place.
function finished(hash: number): number {
  const spread = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return spread ^ (spread >>> 13);
}
