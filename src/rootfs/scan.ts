// The disk as a tree value: one walk, no content.
import { setTimeout as sleep } from 'node:timers/promises';
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { DirectoryReader, type DirectoryVisitor } from '../linux/directory.ts';
import { coarseTime } from '../linux/files.ts';
import { reach } from '../files/long-path.ts';
import { absolutePath, isDirectoryMode } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import { TreeColumns, inRoot } from './tree-columns.ts';
import type { Tree } from './scanned-tree.ts';
import { childPath } from '../paths.ts';

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
  /** Where its own entry stands in the tree. */
  readonly position: number;
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
  const readFrame = (path: ByteString, position: number): Frame => ({
    path,
    position,
    children: readDirectory(root, path, { reader, columns, passesOver }),
    next: 0,
  });
  const stack: Frame[] = [readFrame(start, inRoot)];
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
    const position = columns.place(frame.position, child.name, child.row);
    if (isDirectoryMode(columns.mode(child.row))) stack.push(readFrame(childPath(frame.path, child.name), position));
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

function readDirectory(root: Root, path: ByteString, { reader, columns, passesOver }: Reading): Frame['children'] {
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
    if (passesOver(code)) return [];
    const reason = error instanceof Error ? error.message : 'unknown failure';
    throw new BuilderError('ERR_ROOTFS', `Cannot scan ${JSON.stringify(`/${textFromBytes(path)}`)}: ${reason}`, { cause: error });
  }
  return children.sort((a, b) => (a.name < b.name ? -1 : 1));
}
