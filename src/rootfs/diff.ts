// Two trees to what changed between them. GREEN: values only.
import type { ByteString } from '../bytes.ts';
import { type Change, type Tree, type TreeEntry } from './scanned-tree.ts';
import { StatField, statFieldCount } from '../linux/files.ts';

/**
 * What must be in a layer to make `after` of `before`, in walk order: a directory before what is in it. A tree that went
 * away is one deletion at its top; where something else took a directory's place there is none. A directory counts as
 * modified when its own metadata or time changed, which every added or removed child does.
 */
export function diffTrees(before: Tree, after: Tree): Change[] {
  const changes: Change[] = [];
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
    if (order < 0) changes.push({ kind: 'deleted', path: before.path(left) });
    else if (order > 0) addAll(changes, after, right, after.end(right));
    else {
      if (!isSameRow(before, left, after, right)) compare(changes, before.entry(left), after, right);
      const below = { left: left + 1, leftEnd: before.end(left), right: right + 1, rightEnd: after.end(right) };
      if (isDirectoryAt(before, left) && isDirectoryAt(after, right)) frames.push(below);
      else addAll(changes, after, below.right, below.rightEnd);
    }
  }
  return changes;
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
  const [was, is] = [before.name(left), after.name(right)];
  return was === is ? 0 : was < is ? -1 : 1;
}

// Nothing is different in nearly all of them.
function isSameRow(before: Tree, left: number, after: Tree, right: number): boolean {
  for (let field = 0; field < statFieldCount; field++) if (before.number(left, field) !== after.number(right, field)) return false;
  return true;
}

function compare(changes: Change[], was: TreeEntry, after: Tree, position: number): void {
  const entry = after.entry(position);
  if (!isModified(was, entry)) return;
  changes.push(new PresentChange('modified', after, position, { isSameFile: isSameInode(was, entry), ...touchOf(was, entry) }));
}

function addAll(changes: Change[], after: Tree, start: number, end: number): void {
  for (let position = start; position < end; position++) changes.push(new PresentChange('added', after, position));
}

/** What is there now, decoded when it is asked for: a RUN may have made a million files. */
class PresentChange {
  readonly kind: 'added' | 'modified';
  readonly path: ByteString;
  readonly isSameFile?: boolean;
  readonly touched?: 'ctime' | 'drift';
  readonly #tree: Tree;
  readonly #position: number;

  constructor(kind: 'added' | 'modified', tree: Tree, position: number, more: Touch & { readonly isSameFile?: boolean } = {}) {
    this.kind = kind;
    this.path = tree.path(position);
    this.#tree = tree;
    this.#position = position;
    if (more.isSameFile !== undefined) this.isSameFile = more.isSameFile;
    if (more.touched !== undefined) this.touched = more.touched;
  }

  get entry(): TreeEntry {
    return this.#tree.entry(this.#position);
  }
}

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

interface Touch {
  readonly touched?: 'ctime' | 'drift';
}

function touchOf(was: TreeEntry, is: TreeEntry): Touch {
  if (!isSameButTimes(was, is) || (!isDirectory(is) && !isSameInode(was, is) && is.links !== 1)) return {};
  if (isSameTime(was, is) && hasSameLinks(was, is)) return { touched: 'ctime' };
  const apart = (is.mtimeSeconds - was.mtimeSeconds) * 1e9 + is.mtimeNanoseconds - was.mtimeNanoseconds;
  return Math.abs(apart) < 1e9 ? { touched: 'drift' } : {};
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
