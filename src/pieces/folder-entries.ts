// A folder as the entries of a layer: what is in it, and what it takes away of the layers below.
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { isDirectoryMode } from '../files/resolve.ts';
import { plainRoot } from '../files/root.ts';
import type { LocalEntry } from '../layer/entry.ts';
import type { Warn } from '../layer/read.ts';
import { isReservedName, whiteoutEntry, whiteoutOf } from '../layer/whiteout.ts';
import { childPath, comparePaths, rootPath } from '../paths.ts';
import { captureChanges } from '../rootfs/capture.ts';
import { scanRoot } from '../rootfs/scan.ts';
import { type Change, typeOfMode } from '../rootfs/scanned-tree.ts';

/**
 * Everything below `folder`, sorted by path, hard links by their first name; the folder itself is not in it. `removed`, and files that
 * are called `.wh.NAME`, become whiteouts in front of their siblings. Sockets, which no layer can hold, are left out and told.
 * @throws ERR_ROOTFS for what can't be read, ERR_LAYER for a `.wh.` name that says nothing
 */
export async function folderEntries(
  folder: ByteString,
  { removed, warn }: { readonly removed: readonly ByteString[]; readonly warn: Warn },
  signal: AbortSignal,
): Promise<Generator<LocalEntry>> {
  const root = plainRoot(folder);
  const tree = await scanRoot(root, signal);
  const changes: Change[] = removed.map((path) => ({ kind: 'deleted', path }));
  const opaque = new Set<ByteString>();
  for (const [path, entry] of tree.entries()) {
    if (typeOfMode(entry.mode) === undefined) warn(`/${textFromBytes(path)} is a socket, which no layer can hold: left out`);
    else if (!isReservedName(path)) changes.push({ kind: 'added', path, entry });
    else if (isDirectoryMode(entry.mode)) throw noFolder(path);
    else {
      const whiteout = whiteoutOf(path);
      if (whiteout?.kind === 'removes') changes.push({ kind: 'deleted', path: whiteout.path });
      if (whiteout?.kind === 'opaque') opaque.add(whiteout.directory);
    }
  }
  changes.sort((a, b) => comparePaths(a.path, b.path));
  return withOpaque(captureChanges(root, changes, signal), opaque);
}

/** Each directory's mark comes before anything else in it. */
function* withOpaque(entries: Iterable<LocalEntry>, opaque: ReadonlySet<ByteString>): Generator<LocalEntry> {
  const mark = (directory: ByteString): LocalEntry => whiteoutEntry(childPath(directory, '.wh..opq' as ByteString)); // ASCII
  if (opaque.has(rootPath)) yield mark(rootPath);
  for (const entry of entries) {
    yield entry;
    if (entry.type === 'directory' && opaque.has(entry.path)) yield mark(entry.path);
  }
}

function noFolder(path: ByteString): BuilderError {
  return new BuilderError(
    'ERR_LAYER',
    `Cannot make a layer with the folder /${textFromBytes(path)}: names that begin with .wh. mark deletions`,
  );
}
