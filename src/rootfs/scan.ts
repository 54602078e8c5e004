// The disk as a tree value: one walk, no content.
import { setTimeout as sleep } from 'node:timers/promises';
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { DirectoryReader, type DirectoryVisitor } from '../linux/directory.ts';
import { coarseTime, statFieldCount, statInto } from '../linux/files.ts';
import { diffTrees } from './diff.ts';
import { reach } from './long-path.ts';
import { absolutePath, childPath, isDirectoryMode, splitPath } from './resolve.ts';
import type { Root } from './root.ts';
import { TreeColumns, entryAt } from './tree-columns.ts';
import { type Change, type Tree, type TreeEntry, comparePaths } from './tree.ts';

const entriesPerTurn = 4096;
const top = '.' as ByteString; // ASCII

/**
 * Everything below the root but what is protected, in walk order. No process may be changing the root meanwhile.
 * Before one may again, `settleClock` is due.
 * @throws ERR_ROOTFS when a directory can't be read
 */
export async function scanRoot(root: Root, signal: AbortSignal): Promise<Tree> {
  const columns = new TreeColumns();
  await walk(root, top, columns, signal);
  return columns.build();
}

/** The same of a folder that others may be changing meanwhile: what is gone when we come to it, or may not be read, is left out. */
export async function scanLiving(root: Root, signal: AbortSignal): Promise<Tree> {
  const columns = new TreeColumns();
  await walk(root, top, columns, signal, isPassedOver);
  return columns.build();
}

/** What an instruction that knows the paths it wrote to has changed, and the tree after it. */
export interface TouchedScan {
  readonly changes: readonly Change[];
  readonly tree: Tree;
}

/**
 * Looks again at these paths only. Each counts as changed even if it looks as before; a missing one as deleted. With a tree
 * of before, all below them and the directories above are compared too; without one, the tree is of nothing else.
 * Paths must be resolved: no symbolic link in their directories.
 * @throws ERR_ROOTFS when something can't be read
 */
export async function scanPaths(
  root: Root,
  paths: readonly ByteString[],
  before: Tree | undefined,
  signal: AbortSignal,
): Promise<TouchedScan> {
  const exact = new Set(paths.filter((path) => path !== '.' && !root.protection.covers(path)));
  const tops = topmost(exact);
  const fresh = new Map<ByteString, TreeEntry>();
  for (const path of exact) {
    look(root, path, fresh);
    for (let above = splitPath(path).parent; above !== '.'; above = splitPath(above).parent) look(root, above, fresh);
  }
  if (before === undefined) return { tree: merge(undefined, fresh, tops), changes: forced(exact, undefined, fresh) };
  for (const path of tops) {
    if (!isDirectoryMode(fresh.get(path)?.mode)) continue;
    const columns = new TreeColumns();
    await walk(root, path, columns, signal);
    for (const [below, entry] of columns.build().entries()) fresh.set(below, entry);
  }
  const tree = merge(before, fresh, tops);
  const changes = diffTrees(before, tree);
  const told = new Set(changes.map(({ path }) => path));
  const more = forced(
    [...exact].filter((path) => !told.has(path) && fresh.has(path)),
    before,
    fresh,
  );
  return { tree, changes: more.length === 0 ? changes : [...changes, ...more].sort((a, b) => comparePaths(a.path, b.path)) };
}

/**
 * Waits until a change is sure to get a ctime that the tree does not have: the kernel stamps files by a clock that stands
 * still for up to 10 ms, so a change right after a scan could look like no change.
 */
export async function settleClock(tree: Tree, signal: AbortSignal): Promise<void> {
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
  readonly children: readonly { readonly name: ByteString; readonly row: number }[];
  next: number;
}

// Depth first without recursion, giving way to downloads and uploads now and then.
async function walk(
  root: Root,
  start: ByteString,
  columns: TreeColumns,
  signal: AbortSignal,
  passesOver: PassesOver = isNever,
): Promise<void> {
  const reader = new DirectoryReader();
  const readFrame = (path: ByteString): Frame => readDirectory(root, path, { reader, columns, passesOver });
  const stack: Frame[] = [readFrame(start)];
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
    if (isDirectoryMode(columns.mode(child.row))) stack.push(readFrame(path));
  }
}

interface Reading {
  readonly reader: DirectoryReader;
  readonly columns: TreeColumns;
  readonly passesOver: PassesOver;
}

/** True for the code of an error that only means that a directory is left out. */
type PassesOver = (code: string) => boolean;

const isNever: PassesOver = () => false;
const isPassedOver: PassesOver = (code) => ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM', 'ESTALE'].includes(code);

function readDirectory(root: Root, path: ByteString, { reader, columns, passesOver }: Reading): Frame {
  const children: { name: ByteString; row: number }[] = [];
  // Only directories that lead to something protected need a check of each name.
  const isGuarded = root.protection.holds(path);
  try {
    const visit: DirectoryVisitor = (name, stat) => {
      if (isGuarded && root.protection.covers(childPath(path, name))) return;
      children.push({ name, row: columns.addStat(stat) });
    };
    reach(absolutePath(root, path), (short) => reader.read(short, visit));
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    if (passesOver(code)) return { path, children: [], next: 0 };
    const reason = error instanceof Error ? error.message : 'unknown failure';
    throw new BuilderError('ERR_ROOTFS', `Cannot scan ${JSON.stringify(`/${textFromBytes(path)}`)}: ${reason}`, { cause: error });
  }
  children.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { path, children, next: 0 };
}

function look(root: Root, path: ByteString, fresh: Map<ByteString, TreeEntry>): void {
  if (fresh.has(path)) return;
  const numbers = new Float64Array(statFieldCount);
  if (reach(absolutePath(root, path), (short) => statInto(short, numbers))) fresh.set(path, entryAt(numbers));
}

function forced(paths: Iterable<ByteString>, before: Tree | undefined, fresh: ReadonlyMap<ByteString, TreeEntry>): Change[] {
  const changes: Change[] = [];
  for (const path of paths) {
    const entry = fresh.get(path);
    if (entry === undefined) changes.push({ kind: 'deleted', path });
    else changes.push({ kind: before?.get(path) === undefined ? 'added' : 'modified', path, entry });
  }
  return changes.sort((a, b) => comparePaths(a.path, b.path));
}

function merge(before: Tree | undefined, fresh: ReadonlyMap<ByteString, TreeEntry>, tops: readonly ByteString[]): Tree {
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
  for (const [path, entry] of before?.entries() ?? []) {
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

function topmost(paths: Iterable<ByteString>): ByteString[] {
  const tops: ByteString[] = [];
  for (const path of [...paths].sort(comparePaths)) {
    const last = tops.at(-1);
    if (last === undefined || !path.startsWith(`${last}/`)) tops.push(path);
  }
  return tops;
}
