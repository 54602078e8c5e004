// A root filesystem as a value: where it is, and what in it is not to be touched.
import type { ByteString } from '../bytes.ts';

export interface Root {
  /** `/` in a container and in the sandbox; a directory elsewhere. No trailing slash except for `/`. */
  readonly path: ByteString;
  /** Answers for paths below the root, without leading slash. */
  readonly protection: Protection;
}

/** What is never unpacked into, captured, moved or deleted: our own folder, mounts, the context, --ignore-path. */
export interface Protection {
  /** True for a protected path and everything below it. */
  readonly covers: (path: ByteString) => boolean;
  /** True for a directory that has a protected path somewhere below it, so it can't be moved or removed whole. */
  readonly holds: (path: ByteString) => boolean;
  readonly paths: readonly ByteString[];
}

const nothing: Protection = { covers: () => false, holds: () => false, paths: [] };

/** A folder as a root of its own, with nothing protected in it. */
export function plainRoot(path: ByteString): Root {
  return { path, protection: nothing };
}
