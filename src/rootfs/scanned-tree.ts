// What a scan of the root saw, and how two of them differ. Values only: no I/O.
import type { ByteString } from '../bytes.ts';
import type { EntryType } from '../layer/entry.ts';
import type { ScanTable } from './scan-table.ts';
import type { TreeMemory } from './tree-columns.ts';

/** lstat of one path, enough to notice any change without reading content (ctime can't be forged by a RUN). */
export interface TreeEntry {
  /** File type and permission bits, as st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  /** st_ino; overlayfs's top bits are folded into a double's 53. */
  readonly inode: number;
  /** st_dev of the filesystem that holds it. */
  readonly device: number;
  /** st_rdev of a device node, else 0. */
  readonly rdev: number;
  readonly links: number;
}

/** Paths below the root without leading slash (`etc/passwd`) to what they are; the root itself is not in it. */
export interface Tree {
  readonly size: number;
  /** Where its files stand, maybe with those of trees before it. */
  readonly table: ScanTable;
  readonly memory: TreeMemory;
  /** The latest ctime in it. */
  readonly newestChange: { readonly seconds: number; readonly nanoseconds: number };
  get(path: ByteString): TreeEntry | undefined;
  /** In walk order: a directory right before what is in it, siblings by byte. See `comparePaths`. */
  entries(): Iterable<readonly [path: ByteString, entry: TreeEntry]>;
  /** By position in that order, from 0: its row in the table. */
  row(position: number): number;
  /** One of its twelve numbers, in the order of `StatField`. */
  number(position: number, field: number): number;
  /** The last part of its path. */
  name(position: number): ByteString;
  path(position: number): ByteString;
  entry(position: number): TreeEntry;
  /** The position behind all that is below it. */
  end(position: number): number;
}

/** One difference. A removed tree is one change, at its top; a directory replaced by a file has no child deletions. */
export type Change =
  | {
      readonly kind: 'added' | 'modified';
      readonly path: ByteString;
      readonly entry: TreeEntry;
      /** The very inode that was there before: it was written to or its metadata changed, but not replaced. */
      readonly isSameFile?: boolean;
      /**
       * What it holds may be as before: `ctime` and nothing else is different (but the inode of a file with one name, or how many other
       * names the very file has), or also the mtime, by less than a second, which drifts where a filesystem caches it for each name.
       */
      readonly touched?: 'ctime' | 'drift' | undefined;
    }
  | { readonly kind: 'deleted'; readonly path: ByteString };

/** The entry type that a st_mode stands for; undefined for a socket. */
export function typeOfMode(mode: number): EntryType | undefined {
  const types: Readonly<Record<number, EntryType>> = {
    0o100000: 'file',
    0o040000: 'directory',
    0o120000: 'symlink',
    0o020000: 'character',
    0o060000: 'block',
    0o010000: 'fifo',
  };
  return types[mode & 0o170000];
}
