// A tree as columns of numbers: twelve bytes for each file, and a row of a table that the trees of many scans share.
import type { ByteString } from '../bytes.ts';
import { StatField } from '../linux/files.ts';
import { comparePaths } from '../paths.ts';
import { type Integers, type Words, column, longer } from '../tree/rows.ts';
import { ScanTable, type TableMemory } from './scan-table.ts';
import type { Tree, TreeEntry } from './scanned-tree.ts';

/** In place of a position: the entry stands in the root. */
export const inRoot = -1;

/** What another thread needs to read a tree. */
export interface TreeMemory {
  readonly table: TableMemory;
  /** Of each position that of its directory, and its row. */
  readonly parents: Integers;
  readonly rows: Words;
}

/** Collects files in walk order. */
export class TreeColumns {
  readonly table: ScanTable;
  #parents = column<Integers>(Int32Array, 256);
  #rows = column<Words>(Uint32Array, 256);
  #size = 0;

  constructor(table = new ScanTable()) {
    this.table = table;
  }

  /** Says that the next in walk order stands in the directory at position `parent`, and is that row of the table; its position. */
  place(parent: number, row: number): number {
    const position = this.#size++;
    if (position === this.#rows.length) {
      this.#parents = longer(Int32Array, this.#parents, position * 2);
      this.#rows = longer(Uint32Array, this.#rows, position * 2);
    }
    this.#parents[position] = parent;
    this.#rows[position] = row;
    return position;
  }

  /** The finished tree; nothing may be added any more. */
  build(): Tree {
    return new ColumnTree(this.table, this.#parents.subarray(0, this.#size), this.#rows.subarray(0, this.#size));
  }
}

class ColumnTree implements Tree {
  readonly table: ScanTable;
  readonly newestChange: Tree['newestChange'];
  readonly #parents: Integers;
  readonly #rows: Words;
  readonly #ends: Uint32Array;
  /** Paths are asked for in walk order, so most have the parent of the one before. */
  #lastParent = inRoot;
  #lastPrefix = '';

  constructor(table: ScanTable, parents: Integers, rows: Words) {
    this.table = table;
    this.#parents = parents;
    this.#rows = rows;
    this.#ends = endsOf(parents);
    this.newestChange = this.#newest();
  }

  get size(): number {
    return this.#rows.length;
  }

  get memory(): TreeMemory {
    return { table: this.table.memory, parents: this.#parents, rows: this.#rows };
  }

  row(position: number): number {
    return this.#rows[position] ?? 0;
  }

  number(position: number, field: number): number {
    return this.table.number(this.row(position), field);
  }

  name(position: number): ByteString {
    return this.table.name(this.row(position));
  }

  path(position: number): ByteString {
    const parent = this.#parents[position] ?? inRoot;
    if (parent !== this.#lastParent) {
      this.#lastPrefix = this.#prefixOf(parent);
      this.#lastParent = parent;
    }
    return `${this.#lastPrefix}${this.name(position)}` as ByteString; // bytes joined
  }

  entry(position: number): TreeEntry {
    const row = this.row(position);
    return entryOf((field) => this.table.number(row, field));
  }

  end(position: number): number {
    return this.#ends[position] ?? 0;
  }

  get(path: ByteString): TreeEntry | undefined {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = comparePaths(this.path(middle), path);
      if (order === 0) return this.entry(middle);
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  *entries(): Generator<readonly [path: ByteString, entry: TreeEntry]> {
    for (let position = 0; position < this.size; position++) yield [this.path(position), this.entry(position)];
  }

  #prefixOf(directory: number): string {
    const names: string[] = [];
    for (let at = directory; at !== inRoot; at = this.#parents[at] ?? inRoot) names.push(this.name(at));
    return names.length === 0 ? '' : `${names.reverse().join('/')}/`;
  }

  #newest(): Tree['newestChange'] {
    let seconds = 0;
    let nanoseconds = 0;
    for (let position = 0; position < this.size; position++) {
      const second = this.number(position, StatField.ctimeSeconds);
      if (second < seconds) continue;
      const nanosecond = this.number(position, StatField.ctimeNanoseconds);
      if (second === seconds && nanosecond <= nanoseconds) continue;
      seconds = second;
      nanoseconds = nanosecond;
    }
    return { seconds, nanoseconds };
  }
}

// A directory comes before what is in it, so from the back each end is known before it is needed.
function endsOf(parents: Int32Array): Uint32Array {
  const ends = new Uint32Array(parents.length);
  for (let position = parents.length - 1; position >= 0; position--) {
    const end = Math.max(ends[position] ?? 0, position + 1);
    ends[position] = end;
    const parent = parents[position] ?? inRoot;
    if (parent !== inRoot) ends[parent] = Math.max(ends[parent] ?? 0, end);
  }
  return ends;
}

/** Twelve numbers in the order of `StatField`, as an entry. */
export function entryAt(numbers: Float64Array): TreeEntry {
  return entryOf((field) => numbers[field] ?? 0);
}

function entryOf(at: (field: number) => number): TreeEntry {
  return {
    mode: at(StatField.mode),
    uid: at(StatField.uid),
    gid: at(StatField.gid),
    size: at(StatField.size),
    mtimeSeconds: at(StatField.mtimeSeconds),
    mtimeNanoseconds: at(StatField.mtimeNanoseconds),
    ctimeSeconds: at(StatField.ctimeSeconds),
    ctimeNanoseconds: at(StatField.ctimeNanoseconds),
    inode: at(StatField.inode),
    device: at(StatField.device),
    rdev: at(StatField.rdev),
    links: at(StatField.links),
  };
}
