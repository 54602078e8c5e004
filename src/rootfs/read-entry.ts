// One path of the root as an entry with its content.
import type { ByteString } from '../bytes.ts';
import type { FileAhead } from '../files/read-ahead.ts';
import { openFile, openFileWith } from '../files/read-file.ts';
import type { LocalEntry, Metadata } from '../layer/entry.ts';
import { splitDevice, statFieldCount, statInto } from '../linux/files.ts';
import { readXattrs } from '../files/metadata.ts';
import { reach } from '../files/long-path.ts';
import { absolutePath, readLink } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import { entryAt } from './tree-columns.ts';
import { type TreeEntry, typeOfMode } from './scanned-tree.ts';

const noXattrs: Metadata['xattrs'] = new Map();

/** An entry whose file stays open until `close`. */
export interface OpenEntry {
  readonly entry: LocalEntry;
  readonly close: () => void;
}

/**
 * Reads what `stat` saw at `path`; undefined for a socket, which no layer can hold.
 * @throws ERR_ROOTFS when it is no longer that, or its size keeps changing
 */
export function openEntry(root: Root, path: ByteString, stat: TreeEntry): OpenEntry | undefined {
  if (typeOfMode(stat.mode) === 'file') return openRegular(root, path);
  const entry = closedEntry(root, path, stat);
  return entry === undefined ? undefined : { entry, close: () => undefined };
}

/** The same of a file that was read already. */
export function readEntry(path: ByteString, { stat, content }: FileAhead): OpenEntry {
  const chunks = content.length === 0 ? [] : [content];
  const entry: LocalEntry = { type: 'file', path, ...metadataOf(entryAt(stat), noXattrs), size: content.length, content: chunks };
  return { entry, close: () => undefined };
}

/** The same, of which a file is only opened when its content is asked for: it has to stay as it is until then. @throws ERR_ROOTFS then */
export function closedEntry(root: Root, path: ByteString, stat: TreeEntry): LocalEntry | undefined {
  const type = typeOfMode(stat.mode);
  if (type === undefined) return undefined;
  const place = absolutePath(root, path);
  const common = { type, path, ...metadataOf(stat, reach(place, readXattrs)), size: 0 };
  if (type === 'file') return { ...common, size: stat.size, content: { [Symbol.iterator]: () => readContent(place, path) } };
  if (type === 'symlink') return { ...common, linkTarget: readLink(place) };
  if (type === 'character' || type === 'block') return { ...common, device: splitDevice(stat.rdev) };
  return common;
}

function* readContent(place: ByteString, path: ByteString): Generator<Buffer> {
  const { chunks, close } = openFile(place, path);
  try {
    yield* chunks;
  } finally {
    close();
  }
}

/** What is at `path`, however long that is; undefined for nothing. @throws SystemError */
export function statOf(root: Root, path: ByteString): TreeEntry | undefined {
  const numbers = new Float64Array(statFieldCount);
  return reach(absolutePath(root, path), (short) => statInto(short, numbers)) ? entryAt(numbers) : undefined;
}

/** What a stat says of metadata, with the extended attributes. */
export function metadataOf(stat: TreeEntry, xattrs: Metadata['xattrs']): Metadata {
  const mtime = { seconds: stat.mtimeSeconds, nanoseconds: stat.mtimeNanoseconds };
  return { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime, xattrs };
}

function openRegular(root: Root, path: ByteString): OpenEntry {
  const { size, found, chunks, close } = openFileWith(absolutePath(root, path), path, (fd, stat) =>
    metadataOf(entryAt(stat), readXattrs(fd)),
  );
  return { entry: { type: 'file', path, ...found, size, content: chunks }, close };
}
