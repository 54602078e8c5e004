// The disk as a tree value: one walk, no content.
import { setTimeout as sleep } from 'node:timers/promises';
import { type ByteString, bytesFromBuffer, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { DirectoryReader, type DirectoryVisitor, NameReader } from '../linux/directory.ts';
import { StatField, coarseTime } from '../linux/files.ts';
import { reach } from '../files/long-path.ts';
import { absolutePath, isDirectoryMode } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import { ScanTable } from './scan-table.ts';
import type { Tree } from './scanned-tree.ts';
import { type LookRequest, SecondLook } from './second-look.ts';
import { TreeColumns, inRoot } from './tree-columns.ts';
import { childPath, rootPath } from '../paths.ts';

const entriesPerTurn = 4096;
/** Files for which waking another thread pays. */
const leastForTwo = 1000;

/** An earlier tree of the same root. */
export interface EarlierTree {
  readonly tree: Tree;
  /** A directory that has its times still has the names that it had: it is not read, only they are looked at. */
  readonly hasTrueTimes: boolean;
  /** Has another thread look at its files too. */
  readonly lookAgain?: ((request: LookRequest) => void) | undefined;
}

/**
 * Everything below the root but what is protected, in walk order. No process may be changing the root meanwhile.
 * Before one may again, `settleClock` is due. What is as it was in the earlier tree takes no memory again.
 * @throws ERR_ROOTFS when a directory can't be read
 */
export async function scanRoot(root: Root, signal: AbortSignal, earlier?: EarlierTree): Promise<Tree> {
  using walk = new Walk(root, isNever, earlier);
  return await walk.run(signal);
}

/** The same of a folder that others may be changing meanwhile: what is gone when we come to it, or may not be read, is left out. */
export async function scanLiving(root: Root, signal: AbortSignal): Promise<Tree> {
  using walk = new Walk(root, isPassedOver);
  return await walk.run(signal);
}

/**
 * Waits until a change is sure to get a ctime that the tree does not have: the kernel stamps files by a clock that stands
 * still for up to 10 ms, so a change right after a scan could look like no change.
 */
export async function settleClock(tree: Pick<Tree, 'newestChange'>, signal: AbortSignal): Promise<void> {
  const { seconds, nanoseconds } = tree.newestChange;
  for (;;) {
    const now = coarseTime();
    if (now.seconds > seconds || (now.seconds === seconds && now.nanoseconds > nanoseconds)) return;
    // From the future, as the clock was set back: what changes now gets another time, but one tick must pass all the same.
    const isFuture = seconds > now.seconds + 1;
    await sleep(isFuture ? 20 : 1, undefined, { signal });
    if (isFuture) return;
  }
}

interface Frame {
  readonly path: ByteString;
  /** Where its own entry stands in the tree. */
  readonly position: number;
  /** Rows of what is in it, sorted by name. */
  readonly children: ArrayLike<number>;
  next: number;
  /** The children that it had in the earlier tree: those from `earlier` on are still to be met. */
  earlier: number;
  readonly earlierEnd: number;
}

/** True for the code of an error that only means that a directory is left out. */
type PassesOver = (code: string) => boolean;

const isNever: PassesOver = () => false;
const isPassedOver: PassesOver = (code) => ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM', 'ESTALE'].includes(code);

/** What tells that a directory has the names that it had: whoever makes or removes one changes its times, and ctime can't be set. */
const timesAndPlace = [
  StatField.inode,
  StatField.device,
  StatField.mtimeSeconds,
  StatField.mtimeNanoseconds,
  StatField.ctimeSeconds,
  StatField.ctimeNanoseconds,
];

class Walk {
  readonly #root: Root;
  readonly #passesOver: PassesOver;
  readonly #before: Tree | undefined;
  readonly #hasTrueTimes: boolean;
  readonly #second: SecondLook | undefined;
  readonly #table: ScanTable;
  readonly #columns: TreeColumns;
  /** What is in the directory that is being read. */
  readonly #found: ScanTable;
  readonly #reader = new DirectoryReader();
  readonly #names = new NameReader();

  constructor(root: Root, passesOver: PassesOver, earlier?: EarlierTree) {
    this.#root = root;
    this.#passesOver = passesOver;
    this.#before = earlier?.tree;
    this.#hasTrueTimes = earlier?.hasTrueTimes === true;
    // Rows that no tree has any more stay in the table: one that is mostly of those is left.
    const isWorn = earlier !== undefined && earlier.tree.table.count > 2 * earlier.tree.size + entriesPerTurn;
    this.#table = earlier === undefined || isWorn ? new ScanTable() : earlier.tree.table;
    this.#columns = new TreeColumns(this.#table);
    this.#found = this.#table.scratch();
    const { tree, lookAgain } = earlier ?? {};
    const isForTwo = tree !== undefined && tree.size >= leastForTwo && this.#hasTrueTimes && !isWorn;
    this.#second = isForTwo && lookAgain !== undefined ? new SecondLook(root, tree, lookAgain) : undefined;
  }

  [Symbol.dispose](): void {
    this.#second?.end();
  }

  /** Depth first without recursion, giving way to downloads and uploads now and then. */
  async run(signal: AbortSignal): Promise<Tree> {
    const [columns, table] = [this.#columns, this.#table];
    const stack: Frame[] = [this.#frame(rootPath, inRoot, { at: undefined, start: 0, end: this.#before?.size ?? 0 })];
    for (let frame = stack.at(-1), count = 1; frame !== undefined; frame = stack.at(-1), count++) {
      if (count % entriesPerTurn === 0) {
        signal.throwIfAborted();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const row = frame.children[frame.next++];
      if (row === undefined) {
        stack.pop();
        continue;
      }
      const position = columns.place(frame.position, row);
      if (!isDirectoryMode(table.number(row, StatField.mode))) continue;
      stack.push(this.#frame(childPath(frame.path, table.name(row)), position, this.#earlier(frame, row)));
    }
    return columns.build();
  }

  #frame(path: ByteString, position: number, earlier: Earlier): Frame {
    const children = (earlier.at === undefined ? undefined : this.#lookAtNames(path, earlier)) ?? this.#readDirectory(path, earlier);
    return { path, position, children, next: 0, earlier: earlier.start, earlierEnd: earlier.end };
  }

  /** Where a directory stood before; children come in the order in which they did then. */
  #earlier(frame: Frame, row: number): Earlier {
    const before = this.#before;
    if (before === undefined) return nowhere;
    frame.earlier = this.#passTo(before, frame.earlier, frame.earlierEnd, this.#table, row);
    const at = frame.earlier;
    if (!this.#isNamed(before, at, frame.earlierEnd, this.#table, row)) return nowhere;
    const isSame = this.#hasTrueTimes && timesAndPlace.every((field) => before.number(at, field) === this.#table.number(row, field));
    return { at: isSame ? at : undefined, start: at + 1, end: before.end(at) };
  }

  /** The first sibling of the earlier tree, from `at` on, whose name does not come before that of a row. */
  #passTo(before: Tree, at: number, end: number, table: ScanTable, row: number): number {
    let found = at;
    while (found < end && before.table.compareNames(before.row(found), table, row) < 0) found = before.end(found);
    return found;
  }

  #isNamed(before: Tree, at: number, end: number, table: ScanTable, row: number): boolean {
    return at < end && before.table.compareNames(before.row(at), table, row) === 0;
  }

  #lookAtNames(path: ByteString, { start, end }: Earlier): readonly number[] | undefined {
    const before = this.#before;
    if (before === undefined || this.#root.protection.holds(path)) return undefined;
    if (before.table !== this.#table || !this.#names.enter(absolutePath(this.#root, path))) return undefined;
    const rows: number[] = [];
    this.#second?.come(start);
    for (let at = start; at < end; at = before.end(at)) {
      const row = before.row(at);
      if (this.#second?.isSame(at) === true) {
        rows.push(row);
        continue;
      }
      const stat = this.#names.look((target, place) => before.table.copyName(row, target, place));
      if (stat === undefined) return undefined;
      rows.push(this.#table.look(row, stat));
    }
    return rows;
  }

  #readDirectory(path: ByteString, { start, end }: Earlier): ArrayLike<number> {
    const { protection } = this.#root;
    const found = this.#found;
    found.clear();
    // Only directories that lead to something protected need a check of each name.
    const isGuarded = protection.holds(path);
    try {
      const visit: DirectoryVisitor = (stat, bytes, from, to) => {
        if (isGuarded && protection.covers(childPath(path, bytesFromBuffer(bytes, from, to)))) return;
        found.addStat(stat, bytes, from, to);
      };
      reach(absolutePath(this.#root, path), (short) => this.#reader.read(short, visit));
    } catch (error) {
      const code = systemCode(error);
      if (code === undefined) throw error;
      if (this.#passesOver(code)) return [];
      const reason = error instanceof Error ? error.message : 'unknown failure';
      throw new BuilderError('ERR_ROOTFS', `Cannot scan ${JSON.stringify(`/${textFromBytes(path)}`)}: ${reason}`, { cause: error });
    }
    const sorted = new Uint32Array(found.count).map((_, row) => row).sort((a, b) => found.compareNames(a, found, b));
    let at = start;
    return sorted.map((row) => {
      const before = this.#before;
      if (before?.table !== this.#table) return this.#table.take(found, row, undefined);
      at = this.#passTo(before, at, end, found, row);
      return this.#table.take(found, row, this.#isNamed(before, at, end, found, row) ? before.row(at) : undefined);
    });
  }
}

/** A directory of the earlier tree: what was in it, and where it stood itself if it has not changed. */
interface Earlier {
  readonly at: number | undefined;
  readonly start: number;
  readonly end: number;
}

const nowhere: Earlier = { at: undefined, start: 0, end: 0 };
