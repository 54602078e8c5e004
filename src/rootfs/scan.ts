// The disk as a tree value: one walk, no content.
import { setTimeout as sleep } from 'node:timers/promises';
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { DirectoryReader, type DirectoryVisitor, NameReader } from '../linux/directory.ts';
import { StatField, coarseTime } from '../linux/files.ts';
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
 * Before one may again, `settleClock` is due. With `before`, an earlier tree of the same root where times are true, a directory that has its
 * times still is not read: its names are known, and only they are looked at.
 * @throws ERR_ROOTFS when a directory can't be read
 */
export async function scanRoot(root: Root, signal: AbortSignal, before?: Tree): Promise<Tree> {
  return await new Walk(root, isNever, before).run(signal);
}

/** The same of a folder that others may be changing meanwhile: what is gone when we come to it, or may not be read, is left out. */
export async function scanLiving(root: Root, signal: AbortSignal): Promise<Tree> {
  return await new Walk(root, isPassedOver).run(signal);
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

interface Child {
  readonly name: ByteString;
  readonly row: number;
}

interface Frame {
  readonly path: ByteString;
  /** Where its own entry stands in the tree. */
  readonly position: number;
  readonly children: readonly Child[];
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
  readonly #columns = new TreeColumns();
  readonly #reader = new DirectoryReader();
  readonly #names = new NameReader();

  constructor(root: Root, passesOver: PassesOver, before?: Tree) {
    this.#root = root;
    this.#passesOver = passesOver;
    this.#before = before;
  }

  /** Depth first without recursion, giving way to downloads and uploads now and then. */
  async run(signal: AbortSignal): Promise<Tree> {
    const columns = this.#columns;
    const stack: Frame[] = [this.#frame(top, inRoot, { at: undefined, start: 0, end: this.#before?.size ?? 0 })];
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
      if (!isDirectoryMode(columns.number(child.row, StatField.mode))) continue;
      stack.push(this.#frame(childPath(frame.path, child.name), position, this.#earlier(frame, child)));
    }
    return columns.build();
  }

  #frame(path: ByteString, position: number, earlier: Earlier): Frame {
    const children = (earlier.at === undefined ? undefined : this.#lookAtNames(path, earlier)) ?? this.#readDirectory(path);
    return { path, position, children, next: 0, earlier: earlier.start, earlierEnd: earlier.end };
  }

  /** Where a directory stood before; children come in the order in which they did then. */
  #earlier(frame: Frame, { name, row }: Child): Earlier {
    const before = this.#before;
    if (before === undefined) return nowhere;
    while (frame.earlier < frame.earlierEnd && before.name(frame.earlier) < name) frame.earlier = before.end(frame.earlier);
    const at = frame.earlier;
    if (at >= frame.earlierEnd || before.name(at) !== name) return nowhere;
    const isSame = timesAndPlace.every((field) => before.number(at, field) === this.#columns.number(row, field));
    return { at: isSame ? at : undefined, start: at + 1, end: before.end(at) };
  }

  #lookAtNames(path: ByteString, { start, end }: Earlier): readonly Child[] | undefined {
    const before = this.#before;
    if (before === undefined || this.#root.protection.holds(path)) return undefined;
    const names: ByteString[] = [];
    for (let at = start; at < end; at = before.end(at)) names.push(before.name(at));
    const children: Child[] = [];
    const first = this.#columns.rows;
    const isWhole = this.#names.read(absolutePath(this.#root, path), names, (name, stat) => {
      children.push({ name, row: this.#columns.addStat(stat) });
    });
    if (isWhole) return children;
    this.#columns.drop(first);
    return undefined;
  }

  #readDirectory(path: ByteString): readonly Child[] {
    const { protection } = this.#root;
    const children: Child[] = [];
    // Only directories that lead to something protected need a check of each name.
    const isGuarded = protection.holds(path);
    try {
      const visit: DirectoryVisitor = (name, stat) => {
        if (isGuarded && protection.covers(childPath(path, name))) return;
        children.push({ name, row: this.#columns.addStat(stat) });
      };
      reach(absolutePath(this.#root, path), (short) => this.#reader.read(short, visit));
    } catch (error) {
      const code = systemCode(error);
      if (code === undefined) throw error;
      if (this.#passesOver(code)) return [];
      const reason = error instanceof Error ? error.message : 'unknown failure';
      throw new BuilderError('ERR_ROOTFS', `Cannot scan ${JSON.stringify(`/${textFromBytes(path)}`)}: ${reason}`, { cause: error });
    }
    return children.sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** A directory of the earlier tree: what was in it, and where it stood itself if it has not changed. */
interface Earlier {
  readonly at: number | undefined;
  readonly start: number;
  readonly end: number;
}

const nowhere: Earlier = { at: undefined, start: 0, end: 0 };
