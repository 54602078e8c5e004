// Files as scans saw them: some 40 bytes for each, its name with it. Trees of scans that follow each other share a table, and a file
// that is as it was is the same row in all of them.
import type { ByteString } from '../bytes.ts';
import { StatField, decodeStat, statFieldCount } from '../linux/files.ts';
import { Names } from '../tree/names.ts';
import { type Bytes, Rows, type RowsMemory, type SharedTuples, type Words, column, longer } from '../tree/rows.ts';

const ownFields = [
  StatField.size,
  StatField.mtimeSeconds,
  StatField.mtimeNanoseconds,
  StatField.ctimeSeconds,
  StatField.ctimeNanoseconds,
  StatField.inode,
];

/** What another thread needs to read a table. */
export interface TableMemory {
  readonly rows: RowsMemory;
  readonly names: Bytes;
  readonly nameOf: Words;
}

export class ScanTable {
  readonly #numbers = new Float64Array(statFieldCount);
  #rows: Rows;
  #names = new Names();
  #nameOf = column<Words>(Uint32Array, 256);

  constructor(shared?: SharedTuples) {
    this.#rows = new Rows(statFieldCount, ownFields, shared);
  }

  /** A table of another thread, to be read only. */
  static reading({ rows, names, nameOf }: TableMemory): ScanTable {
    const table = new ScanTable();
    table.#rows = Rows.reading(statFieldCount, ownFields, rows);
    table.#names = Names.reading(names);
    table.#nameOf = nameOf;
    return table;
  }

  get memory(): TableMemory {
    return { rows: this.#rows.memory, names: this.#names.bytes, nameOf: this.#nameOf };
  }

  /** How many rows there are. */
  get count(): number {
    return this.#rows.count;
  }

  /** An empty table whose rows can be compared with this one's, and be added to it. */
  scratch(): ScanTable {
    return new ScanTable(this.#rows.shared);
  }

  /** Adds what statx says, and a name in bytes. */
  addStat(stat: Uint32Array, bytes: Uint8Array, start: number, end: number): number {
    return this.#add(this.#decode(stat), this.#names.add(bytes, start, end));
  }

  /** Adds twelve numbers in the order of `StatField`. */
  add(numbers: ArrayLike<number>, name: ByteString): number {
    return this.#add(numbers, this.#names.addText(name));
  }

  /** Adds a row of a scratch table of this one, as long as there is no row `known` that is the same; the row. */
  take(scratch: ScanTable, row: number, known: number | undefined): number {
    if (known !== undefined && this.#rows.isSame(known, scratch.#rows, row)) return known;
    const from = scratch.#names;
    const named = scratch.#nameOf[row] ?? 0;
    const name = known === undefined ? this.#names.add(from.bytes, from.start(named), from.end(named)) : (this.#nameOf[known] ?? 0);
    this.#setName(this.#rows.count, name);
    return this.#rows.addFrom(scratch.#rows, row);
  }

  /** The same file as `row`, as statx says that it is now: that row itself where nothing is different. */
  look(row: number, stat: Uint32Array): number {
    return this.isAs(row, stat) ? row : this.#add(this.#numbers, this.#nameOf[row] ?? 0);
  }

  /** True where statx says what the row says. */
  isAs(row: number, stat: Uint32Array): boolean {
    const numbers = this.#decode(stat);
    for (let field = 0; field < statFieldCount; field++) if (this.#rows.get(row, field) !== numbers[field]) return false;
    return true;
  }

  /** One of the numbers of a row, in the order of `StatField`. */
  number(row: number, field: number): number {
    return this.#rows.get(row, field);
  }

  name(row: number): ByteString {
    return this.#names.get(this.#nameOf[row] ?? 0);
  }

  /** Copies a name to `target`, where there is room; the place behind it. */
  copyName(row: number, target: Uint8Array, at: number): number {
    const name = this.#nameOf[row] ?? 0;
    const { bytes } = this.#names;
    const [start, end] = [this.#names.start(name), this.#names.end(name)];
    for (let index = start; index < end; index++) target[at + index - start] = bytes[index] ?? 0;
    return at + end - start;
  }

  /** Below 0 where the row's name comes before that of a row of `others` by byte, above 0 where it comes after it. */
  compareNames(row: number, others: ScanTable, other: number): number {
    return this.#names.compare(this.#nameOf[row] ?? 0, others.#names, others.#nameOf[other] ?? 0);
  }

  /** Forgets all rows. */
  clear(): void {
    this.#rows.clear();
    this.#names.clear();
  }

  #add(numbers: ArrayLike<number>, name: number): number {
    this.#setName(this.#rows.count, name);
    return this.#rows.add(numbers);
  }

  #setName(row: number, name: number): void {
    if (row === this.#nameOf.length) this.#nameOf = longer(Uint32Array, this.#nameOf, row * 2);
    this.#nameOf[row] = name;
  }

  #decode(stat: Uint32Array): Float64Array {
    decodeStat(stat, this.#numbers);
    return this.#numbers;
  }
}
