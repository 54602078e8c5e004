// The disk as a tree value: one walk, no content. Kernel clocks stamp files in ticks of up to 10 ms, so a scan only ends
// when the next change is sure to get a ctime that it has not seen.
import type { ByteString } from '../bytes.ts';
import { textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { DirectoryReader } from '../linux/directory.ts';
import { coarseTime, statFieldCount, statInto } from '../linux/files.ts';
import { absolutePath, childPath, isDirectoryMode, splitPath } from './resolve.ts';
import type { Root } from './root.ts';
import { TreeColumns, entryAt } from './tree-columns.ts';
import { type Tree, type TreeEntry, comparePaths } from './tree.ts';

const entriesPerTurn = 4096;
const top = '.' as ByteString; // ASCII

/**
 * Everything below the root but what is protected, in walk order. No process may be changing the root meanwhile.
 * @throws ERR_ROOTFS when a directory can't be read
 */
export async function scanRoot(root: Root, signal: AbortSignal): Promise<Tree> {
  const columns = new TreeColumns();
  const clock = new NewestChange();
  await walk(root, top, columns, clock, signal);
  await clock.settle(signal);
  return columns.build();
}

/**
 * The tree after a change that can only have touched these paths: they, all below them, and the directories above them are
 * looked at again. Paths must be resolved (no symbolic link in them) and may be missing on disk.
 * @throws ERR_ROOTFS when a directory can't be read
 */
export async function rescanPaths(root: Root, before: Tree, paths: readonly ByteString[], signal: AbortSignal): Promise<Tree> {
  const tops = topmost(paths);
  if (tops.includes(top)) return await scanRoot(root, signal);
  const clock = new NewestChange();
  const fresh = new Map<ByteString, TreeEntry>();
  for (const path of tops) {
    for (let above = splitPath(path).parent; above !== '.'; above = splitPath(above).parent) look(root, above, fresh, clock);
    if (root.protection.covers(path) || !look(root, path, fresh, clock)) continue;
    if (!isDirectoryMode(fresh.get(path)?.mode)) continue;
    const columns = new TreeColumns();
    await walk(root, path, columns, clock, signal);
    for (const [below, entry] of columns.build().entries()) fresh.set(below, entry);
  }
  await clock.settle(signal);
  return merge(before, fresh, tops);
}

interface Frame {
  readonly path: ByteString;
  readonly children: readonly { readonly name: ByteString; readonly row: number }[];
  next: number;
}

// Depth first without recursion, giving way to downloads and uploads now and then.
async function walk(root: Root, start: ByteString, columns: TreeColumns, clock: NewestChange, signal: AbortSignal): Promise<void> {
  const reader = new DirectoryReader();
  const stack: Frame[] = [readFrame(root, start, reader, columns, clock)];
  for (let frame = stack.at(-1), count = 1; frame !== undefined; frame = stack.at(-1), count++) {
    if (count % entriesPerTurn === 0) {
      signal.throwIfAborted();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const child = frame.children[frame.next++];
    if (child === undefined) {
      stack.pop();
      continue;
    }
    const path = childPath(frame.path, child.name);
    columns.place(path, child.row);
    if (isDirectoryMode(columns.mode(child.row))) stack.push(readFrame(root, path, reader, columns, clock));
  }
}

function readFrame(root: Root, path: ByteString, reader: DirectoryReader, columns: TreeColumns, clock: NewestChange): Frame {
  const children: { name: ByteString; row: number }[] = [];
  // Only directories that lead to something protected need a check of each name.
  const isGuarded = root.protection.holds(path);
  try {
    reader.read(absolutePath(root, path), (name, stat) => {
      if (isGuarded && root.protection.covers(childPath(path, name))) return;
      children.push({ name, row: columns.addStat(stat) });
      clock.see(stat[24] ?? 0, stat[26] ?? 0);
    });
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    const reason = error instanceof Error ? error.message : 'unknown failure';
    throw new BuilderError('ERR_ROOTFS', `Cannot scan ${JSON.stringify(`/${textFromBytes(path)}`)}: ${reason}`, { cause: error });
  }
  children.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { path, children, next: 0 };
}

function look(root: Root, path: ByteString, fresh: Map<ByteString, TreeEntry>, clock: NewestChange): boolean {
  if (fresh.has(path)) return true;
  const numbers = new Float64Array(statFieldCount);
  if (!statInto(absolutePath(root, path), numbers)) return false;
  const entry = entryAt(numbers);
  fresh.set(path, entry);
  clock.see(entry.ctimeSeconds, entry.ctimeNanoseconds);
  return true;
}

function merge(before: Tree, fresh: ReadonlyMap<ByteString, TreeEntry>, tops: readonly ByteString[]): Tree {
  const columns = new TreeColumns();
  const added = [...fresh].sort(([a], [b]) => comparePaths(a, b));
  const isBelowTop = createCover(tops);
  let next = 0;
  const addUpTo = (limit: ByteString | undefined): void => {
    for (let item = added[next]; item !== undefined; item = added[next]) {
      if (limit !== undefined && comparePaths(item[0], limit) > 0) return;
      columns.place(item[0], columns.addEntry(item[1]));
      next++;
    }
  };
  for (const [path, entry] of before.entries()) {
    addUpTo(path);
    if (!fresh.has(path) && !isBelowTop(path)) columns.place(path, columns.addEntry(entry));
  }
  addUpTo(undefined);
  return columns.build();
}

// In walk order, what is below a path comes right after it: one cursor is enough.
function createCover(tops: readonly ByteString[]): (path: ByteString) => boolean {
  let cursor = 0;
  return (path) => {
    for (let each = tops[cursor]; each !== undefined; each = tops[cursor]) {
      if (path === each || path.startsWith(`${each}/`)) return true;
      if (comparePaths(each, path) > 0) return false;
      cursor++;
    }
    return false;
  };
}

function topmost(paths: readonly ByteString[]): ByteString[] {
  const tops: ByteString[] = [];
  for (const path of [...new Set(paths)].sort(comparePaths)) {
    const last = tops.at(-1);
    if (last === undefined || !path.startsWith(`${last}/`)) tops.push(path);
  }
  return tops;
}

/** The latest ctime that a scan has met. */
class NewestChange {
  #seconds = 0;
  #nanoseconds = 0;

  see(seconds: number, nanoseconds: number): void {
    if (seconds < this.#seconds || (seconds === this.#seconds && nanoseconds <= this.#nanoseconds)) return;
    // A ctime from the future (a clock that was set back) is no tick to wait for: a change now gets another time anyway.
    if (seconds > Date.now() / 1000 + 1) return;
    this.#seconds = seconds;
    this.#nanoseconds = nanoseconds;
  }

  /** Waits until the clock that stamps files has moved past it. */
  async settle(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const now = coarseTime();
      if (now.seconds > this.#seconds || (now.seconds === this.#seconds && now.nanoseconds > this.#nanoseconds)) return;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}
