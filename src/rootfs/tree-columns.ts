// A tree as columns of numbers, and paths that share their folders: a third of the memory of objects and whole paths, and nothing
// for the collector to walk.
import type { ByteString } from '../bytes.ts';
import { StatField, decodeStat, statFieldCount } from '../linux/files.ts';
import { type Tree, type TreeEntry } from './scanned-tree.ts';
import { comparePaths } from '../paths.ts';

/** In place of a position: the entry stands in the root. */
export const inRoot = -1;

type Column = Float64Array | Uint32Array;

const wide: ReadonlySet<number> = new Set([StatField.size, StatField.mtimeSeconds, StatField.ctimeSeconds, StatField.inode]);
const fields = Array.from({ length: statFieldCount }, (_, field) => field);

/** Collects rows in any order, and places in walk order. */
export class TreeColumns {
  readonly #stat = new Float64Array(statFieldCount);
  readonly #columns: Column[] = fields.map((field) => (wide.has(field) ? new Float64Array(1024) : new Uint32Array(1024)));
  #rows = 0;
  readonly #names: ByteString[] = [];
  readonly #parents: number[] = [];
  readonly #rowOf: number[] = [];

  /** Adds what statx says; gives the row. */
  addStat(stat: Uint32Array): number {
    decodeStat(stat, this.#stat, 0);
    return this.addNumbers(this.#stat);
  }

  /** Adds twelve numbers in the order of `StatField`; gives the row. */
  addNumbers(numbers: ArrayLike<number>): number {
    const row = this.#rows++;
    if (row === this.#columns[0]?.length) this.#grow();
    for (let field = 0; field < statFieldCount; field++) {
      const column = this.#columns[field];
      if (column !== undefined) column[row] = numbers[field] ?? 0;
    }
    return row;
  }

  /** Says that the next in walk order is called `name`, stands in the directory at position `parent`, and has that row; its position. */
  place(parent: number, name: ByteString, row: number): number {
    this.#parents.push(parent);
    this.#rowOf.push(row);
    return this.#names.push(name) - 1;
  }

  /** One of the numbers of a row, in the order of `StatField`. */
  number(row: number, field: number): number {
    return this.#columns[field]?.[row] ?? 0;
  }

  /** Forgets the rows from `row` on, none of which was placed. */
  drop(row: number): void {
    this.#rows = row;
  }

  get rows(): number {
    return this.#rows;
  }

  /** The finished tree; nothing may be added any more. */
  build(): Tree {
    return new ColumnTree({
      names: this.#names,
      parents: Int32Array.from(this.#parents),
      rows: Uint32Array.from(this.#rowOf),
      columns: this.#columns,
    });
  }

  #grow(): void {
    for (const [field, column] of this.#columns.entries()) {
      // What is not used yet is no memory yet.
      const grown = wide.has(field) ? new Float64Array(column.length * 2) : new Uint32Array(column.length * 2);
      grown.set(column);
      this.#columns[field] = grown;
    }
  }
}

interface Columns {
  readonly names: readonly ByteString[];
  readonly parents: Int32Array;
  readonly rows: Uint32Array;
  readonly columns: readonly Column[];
}

class ColumnTree implements Tree {
  readonly newestChange: Tree['newestChange'];
  readonly #names: readonly ByteString[];
  readonly #parents: Int32Array;
  readonly #rows: Uint32Array;
  readonly #columns: readonly Column[];
  readonly #ends: Uint32Array;
  /** Paths are asked for in walk order, so most have the parent of the one before. */
  #lastParent = inRoot;
  #lastPrefix = '';

  constructor({ names, parents, rows, columns }: Columns) {
    this.#names = names;
    this.#parents = parents;
    this.#rows = rows;
    this.#columns = columns;
    this.#ends = endsOf(parents);
    this.newestChange = this.#newest();
  }

  get size(): number {
    return this.#names.length;
  }

  number(position: number, field: number): number {
    return this.#columns[field]?.[this.#rows[position] ?? 0] ?? 0;
  }

  name(position: number): ByteString {
    return this.#names[position] ?? ('' as ByteString); // ASCII
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
    return entryOf((field) => this.number(position, field));
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
