// All entries of a directory with their stat, by getdents64 and statx into reused buffers: a third of the time of
// readdir and lstat of node:fs over a whole root.
import { type ByteString, bytesFromBuffer } from '../bytes.ts';
import { statBufferSize } from './files.ts';
import { addressOf, attempt, call, errnoOf, lendCString, systemError } from './libc.ts';
import { constants } from 'node:fs';

const currentDirectory = -100; // AT_FDCWD
const noFollow = 0x100; // AT_SYMLINK_NOFOLLOW
const basicStats = 0x7ff; // STATX_BASIC_STATS
const dot = 0x2e;
/** Bytes of the longest name. */
const longestName = 255;

/**
 * Told of each entry but `.` and `..`, in the directory's own order: its stat, and its name, which is `bytes` from `start` up to `end`.
 * All of it is only valid during the call.
 */
export type DirectoryVisitor = (stat: Uint32Array, bytes: Uint8Array, start: number, end: number) => void;

/** Reads directories one after another into the same buffers; not to be used from within its own visitor. */
export class DirectoryReader {
  readonly #entries = Buffer.alloc(65536);
  readonly #start = addressOf(this.#entries);
  readonly #stat = new Uint32Array(statBufferSize / 4);
  readonly #statBytes = new Uint8Array(this.#stat.buffer);

  /**
   * Visits every entry of the directory, never through a symbolic link.
   * @throws SystemError as opendir; an entry that vanishes while we look is left out.
   */
  read(path: ByteString, visit: DirectoryVisitor): void {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | 0o2000000; // O_CLOEXEC
    const fd = call('openat', [currentDirectory, lendCString(path), flags, 0], path);
    try {
      for (;;) {
        const length = attempt('getdents64', fd, this.#entries, this.#entries.length);
        if (length < 0) throw systemError(-length, 'getdents64', path);
        if (length === 0) return;
        this.#visitEntries(fd, length, path, visit);
      }
    } finally {
      call('close', [fd], path);
    }
  }

  #isDots(start: number, end: number): boolean {
    return end - start <= 2 && this.#entries[start] === dot && (end - start === 1 || this.#entries[start + 1] === dot);
  }

  // struct linux_dirent64: inode 8, offset 8, record length 2, type 1, name.
  #visitEntries(fd: number, length: number, path: ByteString, visit: DirectoryVisitor): void {
    for (let at = 0; at < length;) {
      const recordLength = this.#entries.readUInt16LE(at + 16);
      const nameAt = at + 19;
      at += recordLength;
      const end = this.#entries.indexOf(0, nameAt);
      if (this.#isDots(nameAt, end)) continue;
      const result = attempt('statx', fd, this.#start + BigInt(nameAt), noFollow, basicStats, this.#statBytes);
      if (result === 0) visit(this.#stat, this.#entries, nameAt, end);
      else if (result !== -2) throw systemError(-result, 'statx', path);
    }
  }
}

/** lstat of names that are known: no directory is opened or read. */
export class NameReader {
  readonly #path = Buffer.alloc(4096);
  readonly #stat = new Uint32Array(statBufferSize / 4);
  readonly #statBytes = new Uint8Array(this.#stat.buffer);
  #nameAt = 0;

  /** Goes to a directory; false where the paths of its names may be too long for the kernel. */
  enter(directory: ByteString): boolean {
    // Between it and a name stands a slash, behind that a NUL.
    if (directory.length > this.#path.length - longestName - 2) return false;
    this.#nameAt = this.#path.write(`${directory}/`, 0, 'latin1');
    return true;
  }

  /** The stat of the name that `put` writes at a place, giving the place behind it, valid until the next; undefined where there is none. @throws SystemError */
  look(put: (target: Uint8Array, at: number) => number): Uint32Array | undefined {
    this.#path[put(this.#path, this.#nameAt)] = 0;
    const result = attempt('statx', currentDirectory, this.#path, noFollow, basicStats, this.#statBytes);
    if (result === -errnoOf('ENOENT')) return undefined;
    if (result < 0) throw systemError(-result, 'statx', bytesFromBuffer(this.#path, 0, this.#path.indexOf(0)));
    return this.#stat;
  }
}
