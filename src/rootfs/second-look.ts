// Another thread that looks at the files of an earlier tree while a walk does: it begins with the last, the walk with the first. What one
// has seen to be as it was, the other need not look at. Whether anything is to be made of it the walk alone decides, which has seen
// that the directories above are what they were.
import type { ByteString } from '../bytes.ts';
import type { Root } from '../files/root.ts';
import { NameReader } from '../linux/directory.ts';
import type { Bytes, Integers } from '../tree/rows.ts';
import { ScanTable } from './scan-table.ts';
import type { Tree } from './scanned-tree.ts';
import { type TreeMemory, inRoot } from './tree-columns.ts';

/** What the other thread gets: memory of both, and no copy. */
export interface LookRequest {
  readonly root: ByteString;
  readonly tree: TreeMemory;
  /** One number: the position that the walk has come to. */
  readonly reached: Integers;
  /** By position, 1 where the file has been seen to be as it was. */
  readonly same: Bytes;
}

const blockEntries = 256;

/** The walk's side. Nothing may change the root from its beginning to its end. */
export class SecondLook {
  readonly #reached = new Int32Array(new SharedArrayBuffer(4));
  readonly #same: Bytes;

  constructor(root: Root, tree: Tree, ask: (request: LookRequest) => void) {
    this.#same = new Uint8Array(new SharedArrayBuffer(tree.size));
    ask({ root: root.path, tree: tree.memory, reached: this.#reached, same: this.#same });
  }

  /** The walk has come to a position. */
  come(position: number): void {
    Atomics.store(this.#reached, 0, position);
  }

  /** True where what is at this place is what the tree says. */
  isSame(position: number): boolean {
    return this.#same[position] === 1;
  }

  /** The other thread looks at one file more at most. */
  end(): void {
    this.come(this.#same.length);
  }
}

/** The other thread's side. What it can't look at it leaves to the walk. */
export function lookAgain({ root, tree, reached, same }: LookRequest): void {
  const table = ScanTable.reading(tree.table);
  const names = new NameReader();
  const { parents, rows } = tree;
  let parent: number | undefined;
  let isNear = false;
  for (let start = rows.length; start > Atomics.load(reached, 0);) {
    const end = start;
    start = Math.max(0, end - blockEntries);
    for (let position = start; position < end && position >= Atomics.load(reached, 0); position++) {
      const at = parents[position] ?? inRoot;
      if (at !== parent) isNear = names.enter(folderOf(root, tree, table, at));
      parent = at;
      if (isNear && isAs(names, table, rows[position] ?? 0)) same[position] = 1;
    }
  }
}

function isAs(names: NameReader, table: ScanTable, row: number): boolean {
  try {
    const stat = names.look((target, place) => table.copyName(row, target, place));
    return stat !== undefined && table.isAs(row, stat);
  } catch {
    return false;
  }
}

function folderOf(root: ByteString, { parents, rows }: TreeMemory, table: ScanTable, directory: number): ByteString {
  const names: string[] = [];
  for (let at = directory; at !== inRoot; at = parents[at] ?? inRoot) names.push(table.name(rows[at] ?? 0));
  return [root === '/' ? '' : root, ...names.reverse()].join('/') as ByteString; // bytes joined
}
