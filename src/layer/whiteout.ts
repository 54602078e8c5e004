// The names that say "gone": image-spec layer.md#whiteouts. What they do to a root is rootfs/unpack.ts.
import type { ByteString } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { LocalEntry } from './entry.ts';
import { show } from './show.ts';

const prefix = '.wh.';
const opaqueName = '.wh..wh..opq';

/**
 * What an entry's path means to the layers below: hide one name, or all children of a directory; below a whiteout that is a directory
 * in its archive: nothing, and it is no file either.
 */
export type Whiteout =
  | { readonly kind: 'removes'; readonly path: ByteString }
  | { readonly kind: 'opaque'; readonly directory: ByteString }
  | { readonly kind: 'below' };

/**
 * Reads a cleaned path; undefined for an ordinary one. The directory of an entry at the top is `.`.
 * @throws ERR_LAYER for a whiteout that names nothing.
 */
export function whiteoutOf(path: ByteString): Whiteout | undefined {
  if (!path.includes(prefix)) return undefined;
  const slash = path.lastIndexOf('/');
  if (!path.startsWith(prefix, slash + 1)) return path.startsWith(prefix) || path.includes(`/${prefix}`) ? { kind: 'below' } : undefined;
  const parent = (slash === -1 ? '.' : path.slice(0, slash)) as ByteString; // a part of bytes
  const name = path.slice(slash + 1);
  if (name === opaqueName) return { kind: 'opaque', directory: parent };
  const hidden = name.slice(prefix.length);
  if (hidden === '' || hidden === '.' || hidden === '..') {
    throw new BuilderError('ERR_LAYER', `Cannot apply whiteout ${show(path)}: it names nothing`);
  }
  // AUFS keeps its own bookkeeping under these names (.wh..wh.plnk, .wh..wh.orph, .wh..wh.aufs); no file is meant.
  return { kind: 'removes', path: (slash === -1 ? hidden : `${parent}/${hidden}`) as ByteString }; // bytes joined
}

/** The path of the whiteout that hides `path`. */
export function whiteoutPath(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  return `${path.slice(0, slash + 1)}${prefix}${path.slice(slash + 1)}` as ByteString; // bytes joined
}

/** The entry that says that `path` of the layers below is gone. */
export function whiteoutEntry(path: ByteString): LocalEntry {
  const mtime = { seconds: 0, nanoseconds: 0 };
  return { type: 'file', path: whiteoutPath(path), mode: 0, uid: 0, gid: 0, mtime, xattrs: new Map(), size: 0 };
}

const longestName = 255; // NAME_MAX of every file system that a root is on

/** @throws ERR_LAYER for a name that readers of a layer would take for a whiteout, or that none of them can make */
export function mustBeStorable(path: ByteString): void {
  const isLong = path.length - path.lastIndexOf('/') - 1 > longestName;
  if (!isLong && !isReservedName(path)) return;
  const state = isLong ? `names end at ${longestName} bytes` : 'names that begin with .wh. mark deletions';
  const hint = isLong ? 'give it a shorter name' : 'remove the file in the same RUN';
  throw new BuilderError('ERR_LAYER', `Cannot store ${show(`/${path}` as ByteString)} in a layer: ${state}`, { hint });
}

/** True where a path's last name can't be stored in a layer, as readers would take it for a whiteout. */
export function isReservedName(path: ByteString): boolean {
  return path.startsWith(prefix, path.lastIndexOf('/') + 1);
}
