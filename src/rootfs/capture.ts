// Changes to the entries of a layer. Docker's conventions: explicit whiteouts in front of their siblings, each path once,
// hard links by their first name.
import { type ByteString } from '../bytes.ts';
import type { LocalEntry } from '../layer/entry.ts';
import { mustBeStorable, whiteoutEntry } from '../layer/whiteout.ts';
import { FetchAhead } from './fetch-ahead.ts';
import { type OpenEntry, closedEntry, openEntry, readEntry } from './read-entry.ts';
import { ReadAhead, type ReadAheadRequest, type WantedFile, largestAhead } from '../files/read-ahead.ts';
import { absolutePath, isFileMode } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import { type Change, type TreeEntry, typeOfMode } from './scanned-tree.ts';
import { splitPath } from '../paths.ts';
import { readFailure } from '../files/read-file.ts';

type Present = Exclude<Change, { readonly kind: 'deleted' }>;

export interface CaptureOptions {
  /** Where it is false, no file is opened before somebody asks for what it holds. */
  readonly isRead?: boolean;
  /** Has another thread read small files. */
  readonly readAhead?: ((request: ReadAheadRequest) => void) | undefined;
}

/** Files for which waking another thread pays. */
const leastForTwo = 200;

/**
 * Reads the changes, in the order of `diffTrees`, from the root. Content is valid until the next entry is asked for.
 * A directory above a change is among them only where it changed itself: the layers below have it.
 * Names of one file stay links of each other where all are new or all were there before, as BuildKit has it.
 * @throws ERR_LAYER for a name that would be taken for a whiteout, ERR_ROOTFS for a file that can't be read
 */
export function* captureChanges(
  root: Root,
  changes: Iterable<Change>,
  signal: AbortSignal,
  { isRead = true, readAhead }: CaptureOptions = {},
): Generator<LocalEntry> {
  const deletions = deletionsByParent(changes);
  const firstNames = new Map<string, ByteString>();
  const directories = new Set<ByteString>();
  const ahead = new FetchAhead(root, changes);
  using reading = isRead && readAhead !== undefined && isMany(changes) ? new ReadAhead(smallFiles(root, changes), readAhead) : undefined;
  let number = 0;
  for (const change of changes) {
    number++;
    signal.throwIfAborted();
    if (deletions.size > 0) yield* whiteoutsAbove(change.path, directories, deletions);
    if (change.kind === 'deleted') continue;
    mustBeStorable(change.path);
    const key = linkKey(change);
    const first = key === undefined ? undefined : firstNames.get(key);
    if (first !== undefined) {
      yield hardlink(change.path, change.entry, first);
      continue;
    }
    if (key !== undefined) firstNames.set(key, change.path);
    const started = performance.now();
    const read = isSmall(change) ? reading?.take(number) : undefined;
    const opened = read === undefined ? open(root, change, isRead) : readEntry(change.path, read);
    if (isRead) ahead.noteRead(number, read?.ms ?? performance.now() - started);
    if (opened === undefined) continue;
    try {
      yield opened.entry;
    } finally {
      opened.close();
    }
  }
}

function isMany(changes: Iterable<Change>): boolean {
  let count = 0;
  for (const _ of changes) if (++count === leastForTwo) return true;
  return false;
}

function* smallFiles(root: Root, changes: Iterable<Change>): Generator<WantedFile> {
  let number = 0;
  for (const change of changes) {
    number++;
    if (change.kind !== 'deleted' && isSmall(change)) yield { number, path: absolutePath(root, change.path) };
  }
}

function isSmall({ entry }: Present): boolean {
  return isFileMode(entry.mode) && entry.size <= largestAhead;
}

function open(root: Root, { path, entry }: Present, isRead: boolean): OpenEntry | undefined {
  try {
    if (isRead) return openEntry(root, path, entry);
    const closed = closedEntry(root, path, entry);
    return closed === undefined ? undefined : { entry: closed, close: () => undefined };
  } catch (error) {
    throw readFailure(error, path);
  }
}

// A link between an old name and a new one is not told: the old file's content is in a lower layer, under a name whose
// entry need not be in this one.
function linkKey(change: Present): string | undefined {
  const { entry } = change;
  const type = typeOfMode(entry.mode);
  if (entry.links < 2 || type === undefined || type === 'directory') return undefined;
  return `${entry.device}:${entry.inode}:${change.isSameFile === true ? 'old' : 'new'}`;
}

function hardlink(path: ByteString, stat: TreeEntry, first: ByteString): LocalEntry {
  const mtime = { seconds: stat.mtimeSeconds, nanoseconds: stat.mtimeNanoseconds };
  return {
    type: 'hardlink',
    path,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime,
    xattrs: new Map(),
    size: 0,
    linkTarget: first,
  };
}

function deletionsByParent(changes: Iterable<Change>): Map<ByteString, ByteString[]> {
  const byParent = new Map<ByteString, ByteString[]>();
  for (const { kind, path } of changes) {
    if (kind !== 'deleted') continue;
    const { parent } = splitPath(path);
    const siblings = byParent.get(parent);
    if (siblings === undefined) byParent.set(parent, [path]);
    else siblings.push(path);
  }
  return byParent;
}

// The whiteouts in each directory above `path`, outermost first, as far as they have not been given yet.
function* whiteoutsAbove(path: ByteString, directories: Set<ByteString>, deletions: Map<ByteString, ByteString[]>): Generator<LocalEntry> {
  const parents: ByteString[] = [];
  for (let above = splitPath(path).parent; !directories.has(above); above = splitPath(above).parent) {
    parents.push(above);
    directories.add(above);
    if (above === '.') break;
  }
  for (const parent of parents.reverse()) {
    for (const deleted of deletions.get(parent) ?? []) yield whiteoutEntry(deleted);
    deletions.delete(parent);
  }
}
