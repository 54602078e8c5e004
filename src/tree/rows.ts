// Rows of whole numbers in few bytes. What many rows have alike (owner, mode, device, the upper half of a size or a time) stands in
// a table once; a row has the number of that, and the lower halves of what is its own.

type Column = Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** Numbers in memory that grows in its place and that another thread may read. */
export type Bytes = Uint8Array<SharedArrayBuffer>;
export type Words = Uint32Array<SharedArrayBuffer>;
export type Integers = Int32Array<SharedArrayBuffer>;
type Doubles = Float64Array<SharedArrayBuffer>;

interface ColumnOf<Kind> {
  new (memory: SharedArrayBuffer, start: number, length: number): Kind;
  readonly BYTES_PER_ELEMENT: number;
}
const mostColumnBytes = 2 ** 32;

/** A column of zeros; see `longer`. */
export function column<Kind>(of: ColumnOf<Kind>, length: number): Kind {
  return new of(new SharedArrayBuffer(length * of.BYTES_PER_ELEMENT, { maxByteLength: mostColumnBytes }), 0, length);
}

/** The same column with room for more: what is not used yet of it is no memory. Other threads see what it was when they got it. */
export function longer<Kind extends Bytes | Words | Integers | Doubles>(of: ColumnOf<NoInfer<Kind>>, from: Kind, length: number): Kind {
  from.buffer.grow(length * of.BYTES_PER_ELEMENT);
  return new of(from.buffer, 0, length);
}

/**
 * Fills a longer column from the start. The memory of the old one, which nobody may use any more, goes back at once: V8's collector
 * would leave it for long. What is not used yet of the new one is no memory yet.
 */
export function grown<Kind extends Column>(from: Kind, to: Kind): Kind {
  to.set(from);
  from.buffer.transfer(0);
  return to;
}

const half = 2 ** 32;
const free = -1;

/** Tuples of numbers, each once. */
export class SharedTuples {
  readonly #width: number;
  #values: Doubles;
  #slots = new Int32Array(64).fill(free);
  #count = 0;
  #last = 0;

  constructor(width: number) {
    this.#width = width;
    this.#values = column<Doubles>(Float64Array, 32 * width);
  }

  /** Tuples of another thread, to be read only. */
  static reading(width: number, values: Doubles): SharedTuples {
    const tuples = new SharedTuples(width);
    tuples.#values = values;
    return tuples;
  }

  get values(): Doubles {
    return this.#values;
  }

  /** The number of a tuple; equal ones have the same. */
  numberOf(tuple: Float64Array): number {
    // Most rows are like the one before.
    if (this.#count > 0 && this.#is(this.#last, tuple)) return this.#last;
    const mask = this.#slots.length - 1;
    for (let slot = this.#hash(tuple, 0) & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot] ?? free;
      if (number === free) return (this.#last = this.#add(tuple, slot));
      if (this.#is(number, tuple)) return (this.#last = number);
    }
  }

  at(number: number, field: number): number {
    return this.#values[number * this.#width + field] ?? 0;
  }

  clone(): SharedTuples {
    const copy = new SharedTuples(this.#width);
    copy.#values = column<Doubles>(Float64Array, this.#values.length);
    copy.#values.set(this.#values);
    copy.#slots = this.#slots.slice();
    copy.#count = this.#count;
    return copy;
  }

  #is(number: number, tuple: Float64Array): boolean {
    const start = number * this.#width;
    for (let field = 0; field < this.#width; field++) if (this.#values[start + field] !== tuple[field]) return false;
    return true;
  }

  #hash(values: Float64Array, start: number): number {
    let hash = 0;
    for (let field = 0; field < this.#width; field++) {
      hash = Math.imul(hash ^ (values[start + field] ?? 0), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash;
  }

  #add(tuple: Float64Array, slot: number): number {
    const number = this.#count++;
    if (this.#count * this.#width > this.#values.length) this.#values = longer(Float64Array, this.#values, this.#values.length * 2);
    this.#values.set(tuple, number * this.#width);
    this.#slots[slot] = number;
    if (this.#count * 2 > this.#slots.length) this.#spread();
    return number;
  }

  #spread(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(free);
    for (let number = 0; number < this.#count; number++) {
      let slot = this.#hash(this.#values, number * this.#width) & (slots.length - 1);
      while (slots[slot] !== free) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = number;
    }
    this.#slots = slots;
  }
}

/** What another thread needs to read rows. */
export interface RowsMemory {
  readonly data: Words;
  readonly values: Doubles;
}

/** Rows by number, from 0. Every number is whole, and less than 2^53 away from 0. */
export class Rows {
  readonly #fields: number;
  readonly #own: readonly number[];
  /** Where in a row the lower half of a field is; 0 for a field that all of is shared. */
  readonly #places: Uint8Array<ArrayBuffer>;
  readonly #width: number;
  readonly #tuple: Float64Array;
  readonly #row: Float64Array;
  #shared: SharedTuples;
  #data: Words;
  #count = 0;

  /** Rows of so many fields, of which `own` are seldom alike. Those that are compared with others' have the same `shared`. */
  constructor(fields: number, own: readonly number[], shared = new SharedTuples(fields)) {
    this.#fields = fields;
    this.#own = own;
    this.#places = new Uint8Array(fields);
    for (const [index, field] of own.entries()) this.#places[field] = index + 1;
    this.#width = own.length + 1;
    this.#tuple = new Float64Array(fields);
    this.#row = new Float64Array(fields);
    this.#shared = shared;
    this.#data = column<Words>(Uint32Array, 256 * this.#width);
  }

  /** Rows of another thread, to be read only. */
  static reading(fields: number, own: readonly number[], { data, values }: RowsMemory): Rows {
    const rows = new Rows(fields, own, SharedTuples.reading(fields, values));
    rows.#data = data;
    return rows;
  }

  get memory(): RowsMemory {
    return { data: this.#data, values: this.#shared.values };
  }

  get count(): number {
    return this.#count;
  }

  get shared(): SharedTuples {
    return this.#shared;
  }

  /** Adds a row. */
  add(numbers: ArrayLike<number>): number {
    this.#makeRoom();
    this.#write(this.#count, numbers);
    return this.#count++;
  }

  /** Adds a row of others that have the same `shared`. */
  addFrom(others: Rows, other: number): number {
    this.#makeRoom();
    const [to, from] = [this.#count * this.#width, other * this.#width];
    for (let place = 0; place < this.#width; place++) this.#data[to + place] = others.#data[from + place] ?? 0;
    return this.#count++;
  }

  get(row: number, field: number): number {
    const start = row * this.#width;
    const place = this.#places[field] ?? 0;
    const shared = this.#shared.at(this.#data[start] ?? 0, field);
    return place === 0 ? shared : shared * half + (this.#data[start + place] ?? 0);
  }

  set(row: number, field: number, value: number): void {
    const numbers = this.#row;
    for (let each = 0; each < this.#fields; each++) numbers[each] = each === field ? value : this.get(row, each);
    this.#write(row, numbers);
  }

  /** True where a row is the same as one of others that have the same `shared`. */
  isSame(row: number, others: Rows, other: number): boolean {
    const [start, otherStart] = [row * this.#width, other * this.#width];
    for (let place = 0; place < this.#width; place++) if (this.#data[start + place] !== others.#data[otherStart + place]) return false;
    return true;
  }

  /** Forgets all rows. */
  clear(): void {
    this.#count = 0;
  }

  clone(): Rows {
    const copy = new Rows(this.#fields, this.#own, this.#shared.clone());
    const used = this.#data.subarray(0, Math.max(this.#count, 1) * this.#width);
    copy.#data = column<Words>(Uint32Array, used.length);
    copy.#data.set(used);
    copy.#count = this.#count;
    return copy;
  }

  #write(row: number, numbers: ArrayLike<number>): void {
    const start = row * this.#width;
    for (let field = 0; field < this.#fields; field++) {
      const value = numbers[field] ?? 0;
      const place = this.#places[field] ?? 0;
      this.#tuple[field] = place === 0 ? value : Math.floor(value / half);
      // The lower half, of what is below 0 too.
      if (place !== 0) this.#data[start + place] = value % half;
    }
    this.#data[start] = this.#shared.numberOf(this.#tuple);
  }

  #makeRoom(): void {
    if ((this.#count + 1) * this.#width > this.#data.length) this.#data = longer(Uint32Array, this.#data, this.#data.length * 2);
  }
}
