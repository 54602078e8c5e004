// Two trees to what changed between them. GREEN: values only.
import type { ByteString } from '../bytes.ts';
import { type Change, type Tree, type TreeEntry } from './scanned-tree.ts';
import { comparePaths } from '../paths.ts';

/**
 * What must be in a layer to make `after` of `before`, in walk order: a directory before what is in it. A tree that went
 * away is one deletion at its top; where something else took a directory's place there is none. A directory counts as
 * modified when its own metadata or time changed, which every added or removed child does.
 */
export function diffTrees(before: Tree, after: Tree): Change[] {
  const changes: Change[] = [];
  const old = before.entries()[Symbol.iterator]();
  const now = after.entries()[Symbol.iterator]();
  // Below it, nothing of `before` needs mentioning.
  let gone: ByteString | undefined;
  let left = old.next();
  let right = now.next();
  while (left.done !== true || right.done !== true) {
    const order = left.done === true ? 1 : right.done === true ? -1 : comparePaths(left.value[0], right.value[0]);
    if (order < 0 && left.done !== true) {
      const [path] = left.value;
      const isBelowGone = gone !== undefined && path.startsWith(`${gone}/`);
      if (!isBelowGone) {
        changes.push({ kind: 'deleted', path });
        gone = path;
      }
      left = old.next();
    } else if (order > 0 && right.done !== true) {
      const [path, entry] = right.value;
      changes.push({ kind: 'added', path, entry });
      right = now.next();
    } else if (left.done !== true && right.done !== true) {
      const [path, was] = left.value;
      const entry = right.value[1];
      if (isDirectory(was) && !isDirectory(entry)) gone = path;
      if (isModified(was, entry)) {
        const isSameFile = isSameInode(was, entry);
        changes.push({ kind: 'modified', path, entry, isSameFile, ...touchOf(was, entry) });
      }
      left = old.next();
      right = now.next();
    }
  }
  return changes;
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

function touchOf(was: TreeEntry, is: TreeEntry): { readonly touched?: 'ctime' | 'drift' } {
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
