// Files that can be read from, wherever they are: a folder on disk, or the tree of an image. What COPY, mounts and FROM read
// from is one of these, with paths that are below its root (`.`), links never followed.
import type { ByteString } from '../bytes.ts';
import type { EntryType, Timestamp } from '../layer/entry.ts';

export type FileType = Exclude<EntryType, 'hardlink'> | 'socket';

/** lstat of one path. */
export interface FileStat {
  readonly type: FileType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file's content; 0 for everything else. */
  readonly size: number;
  readonly mtime: Timestamp;
  readonly device?: { readonly major: number; readonly minor: number };
  /** How many names the file has. */
  readonly links: number;
  /** The same for all names of one file, and for no other file of the view. */
  readonly identity: string;
}

/** A file's content, until `close`. */
export interface OpenContent {
  readonly size: number;
  /**
   * Exactly `size` bytes, each piece valid until the next is asked for, and until `close`; a list where all are in memory.
   * @throws ERR_ROOTFS, on reading, when the file changes meanwhile
   */
  readonly chunks: Iterable<Buffer>;
  readonly close: () => void;
}

export interface FileView {
  /** Undefined where there is nothing. @throws SystemError for anything but absence */
  readonly stat: (path: ByteString) => FileStat | undefined;
  /** The names in a directory, sorted by byte. @throws SystemError */
  readonly names: (path: ByteString) => readonly ByteString[];
  /** The target of a symbolic link, verbatim. @throws SystemError */
  readonly linkTarget: (path: ByteString) => ByteString;
  readonly xattrs: (path: ByteString) => ReadonlyMap<string, Buffer>;
  /** A file's content as it is now, as often as wanted. @throws SystemError, ERR_ROOTFS when it is no regular file */
  readonly open: (path: ByteString) => OpenContent;
  /** Gets the content of these files ready, in one go where that is cheaper than one by one; before `open`. */
  readonly gather: (paths: readonly ByteString[], signal: AbortSignal) => Promise<void>;
  /** The folder where all of the view is on disk as it is; undefined where it is not. */
  readonly folder: ByteString | undefined;
  /** Where all of a folder is on the disk, outside of the root, that may be moved from there: nobody reads it after the next RUN. */
  readonly spare?: (path: ByteString) => ByteString | undefined;
}
