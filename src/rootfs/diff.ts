// Two trees to what changed between them. GREEN: values only.
import type { ByteString } from '../bytes.ts';
import { grown } from '../tree/rows.ts';
import { ChangeList } from './change-list.ts';
import { type Change, type Tree, type TreeEntry } from './scanned-tree.ts';
import { StatField, statFieldCount } from '../linux/files.ts';

/**
 * What must be in a layer to make `after` of `before`, in walk order: a directory before what is in it. A tree that went
 * away is one deletion at its top; where something else took a directory's place there is none. A directory counts as
 * modified when its own metadata or time changed, which every added or removed child does.
 */
export function diffTrees(before: Tree, after: Tree): ChangeList {
  const changes = new Found(before, after);
  const frames: Frame[] = [{ left: 0, leftEnd: before.size, right: 0, rightEnd: after.size }];
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const { left, right } = frame;
    const order = orderOf(frame, before, after);
    if (order === undefined) {
      frames.pop();
      continue;
    }
    if (order <= 0) frame.left = before.end(left);
    if (order >= 0) frame.right = after.end(right);
    if (order < 0) changes.add(left, Flag.deleted);
    else if (order > 0) addAll(changes, right, after.end(right));
    else {
      if (!isSameRow(before, left, after, right)) compare(changes, before.entry(left), after, right);
      const below = { left: left + 1, leftEnd: before.end(left), right: right + 1, rightEnd: after.end(right) };
      if (isDirectoryAt(before, left) && isDirectoryAt(after, right)) frames.push(below);
      else addAll(changes, below.right, below.rightEnd);
    }
  }
  return changes.list();
}

/** Siblings in a directory of both trees that are still to be compared, as positions. */
interface Frame {
  left: number;
  readonly leftEnd: number;
  right: number;
  readonly rightEnd: number;
}

/** Which tree's name comes first; undefined at the end of both. */
function orderOf({ left, leftEnd, right, rightEnd }: Frame, before: Tree, after: Tree): number | undefined {
  if (left === leftEnd) return right === rightEnd ? undefined : 1;
  if (right === rightEnd) return -1;
  return before.table.compareNames(before.row(left), after.table, after.row(right));
}

// Nothing is different in nearly all of them.
function isSameRow(before: Tree, left: number, after: Tree, right: number): boolean {
  if (before.table === after.table && before.row(left) === after.row(right)) return true;
  for (let field = 0; field < statFieldCount; field++) if (before.number(left, field) !== after.number(right, field)) return false;
  return true;
}

function compare(changes: Found, was: TreeEntry, after: Tree, position: number): void {
  const entry = after.entry(position);
  if (isModified(was, entry)) changes.add(position, Flag.modified | (isSameInode(was, entry) ? Flag.sameFile : 0) | touchOf(was, entry));
}

function addAll(changes: Found, start: number, end: number): void {
  for (let position = start; position < end; position++) changes.add(position, Flag.added);
}

const Flag = { added: 0, modified: 1, deleted: 2, sameFile: 4, ctime: 8, drift: 16 } as const;

/** Positions, of what is deleted in the earlier tree, and what happened there. */
class Found {
  readonly #before: Tree;
  readonly #after: Tree;
  #positions = new Uint32Array(256);
  #flags = new Uint8Array(256);
  #count = 0;

  constructor(before: Tree, after: Tree) {
    this.#before = before;
    this.#after = after;
  }

  add(position: number, flags: number): void {
    const number = this.#count++;
    if (number === this.#flags.length) {
      this.#positions = grown(this.#positions, new Uint32Array(number * 2));
      this.#flags = grown(this.#flags, new Uint8Array(number * 2));
    }
    this.#positions[number] = position;
    this.#flags[number] = flags;
  }

  list(): ChangeList {
    return new ChangeList((number) => this.#change(this.#positions[number] ?? 0, this.#flags[number] ?? 0), this.#count);
  }

  #change(position: number, flags: number): Change {
    return flags === Flag.deleted ? { kind: 'deleted', path: this.#before.path(position) } : new Present(this.#after, position, flags);
  }
}

/** What is there now, decoded when it is asked for. */
class Present {
  readonly #tree: Tree;
  readonly #position: number;
  readonly #flags: number;

  constructor(tree: Tree, position: number, flags: number) {
    this.#tree = tree;
    this.#position = position;
    this.#flags = flags;
  }

  get kind(): 'added' | 'modified' {
    return this.#flags === Flag.added ? 'added' : 'modified';
  }

  get path(): ByteString {
    return this.#tree.path(this.#position);
  }

  get entry(): TreeEntry {
    return this.#tree.entry(this.#position);
  }

  get isSameFile(): boolean {
    return (this.#flags & Flag.sameFile) !== 0;
  }

  get touched(): Touch | undefined {
    if ((this.#flags & Flag.ctime) !== 0) return 'ctime';
    return (this.#flags & Flag.drift) === 0 ? undefined : 'drift';
  }
}

type Touch = NonNullable<Exclude<Change, { readonly kind: 'deleted' }>['touched']>;

// Every change to a file changes its ctime, which nobody can set. The other fields find what a filesystem without a true
// ctime, or a file moved in from elsewhere with an old one, would hide.
function isModified(was: TreeEntry, is: TreeEntry): boolean {
  if (
    !isSameButTimes(was, is) ||
    !isSameTime(was, is) ||
    was.ctimeSeconds !== is.ctimeSeconds ||
    was.ctimeNanoseconds !== is.ctimeNanoseconds
  )
    return true;
  // overlayfs gives a directory another inode at times.
  return !hasSameLinks(was, is) || (!isDirectory(is) && !isSameInode(was, is));
}

function touchOf(was: TreeEntry, is: TreeEntry): number {
  if (!isSameButTimes(was, is) || (!isDirectory(is) && !isSameInode(was, is) && is.links !== 1)) return 0;
  // Another name of the file came or went.
  if (isSameTime(was, is) && (hasSameLinks(was, is) || isSameInode(was, is))) return Flag.ctime;
  const apart = (is.mtimeSeconds - was.mtimeSeconds) * 1e9 + is.mtimeNanoseconds - was.mtimeNanoseconds;
  return Math.abs(apart) < 1e9 ? Flag.drift : 0;
}

// A directory's size and link count are its filesystem's own business.
function hasSameLinks(was: TreeEntry, is: TreeEntry): boolean {
  return isDirectory(is) || was.links === is.links;
}

function isSameTime(was: TreeEntry, is: TreeEntry): boolean {
  return was.mtimeSeconds === is.mtimeSeconds && was.mtimeNanoseconds === is.mtimeNanoseconds;
}

function isSameButTimes(was: TreeEntry, is: TreeEntry): boolean {
  const isSame = was.mode === is.mode && was.uid === is.uid && was.gid === is.gid;
  return isSame && (isDirectory(is) || (was.size === is.size && was.rdev === is.rdev));
}

function isSameInode(was: TreeEntry, is: TreeEntry): boolean {
  return was.inode === is.inode && was.device === is.device;
}

function isDirectory(entry: TreeEntry): boolean {
  return (entry.mode & 0o170000) === 0o040000;
}

function isDirectoryAt(tree: Tree, position: number): boolean {
  return (tree.number(position, StatField.mode) & 0o170000) === 0o040000;
}
