// One record of a layer or archive: the only currency between `layer`, `rootfs` and `context`.
import type { ByteString } from '../bytes.ts';

export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';

/** Seconds and nanoseconds since 1970; `seconds` may be negative, `nanoseconds` is 0–999,999,999. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What stat, chown and friends know of a file. */
export interface Metadata {
  /** Permission bits with setuid, setgid and sticky: 0–07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  /** Extended attributes by name; values are raw bytes. */
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

export interface Entry extends Metadata {
  readonly type: EntryType;
  /** As in the archive but cleaned: no leading `/` or `./`, no trailing `/`, never empty (the root is `.`). */
  readonly path: ByteString;
  /** Bytes of content; 0 for everything but a file. */
  readonly size: number;
  /** Symlink: the target, verbatim. Hard link: the path of the first name, cleaned like `path`. */
  readonly linkTarget?: ByteString;
  readonly device?: { readonly major: number; readonly minor: number };
  /**
   * A file's bytes, in order, each piece valid until the next is asked for. When reading, all only until the next entry is asked for;
   * what is left is skipped.
   */
  readonly content?: Iterable<Buffer> | AsyncIterable<Buffer>;
}

/** An entry that is at hand: nothing of it is waited for, which is most of the speed with small files. */
export interface LocalEntry extends Entry {
  /** A list where all of it is in memory. */
  readonly content?: Iterable<Buffer>;
}
