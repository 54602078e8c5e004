// What directories get when all is in them: putting something into one changes its time, and takes a mode that it may not be to have.
import { chmodSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import type { Entry, Timestamp } from '../layer/entry.ts';
import { StatField, setTimes, statFieldCount, statInto } from '../linux/files.ts';
import { absolutePath, isDirectoryMode, resolvePath } from './resolve.ts';
import type { Root } from './root.ts';

interface Finish {
  readonly time: Timestamp;
  readonly mode?: number;
}

export class DirectoryFinish {
  readonly #root: Root;
  readonly #finishes = new Map<ByteString, Finish>();

  constructor(root: Root) {
    this.#root = root;
  }

  /** The directory as it has to be while it is filled; its own time and mode come last. Without capabilities even root needs a mode. */
  open(path: ByteString, entry: Entry): Entry {
    const isShut = (entry.mode & 0o300) !== 0o300;
    this.#finishes.set(path, { time: entry.mtime, ...(isShut ? { mode: entry.mode } : {}) });
    return isShut ? { ...entry, mode: entry.mode | 0o700 } : entry;
  }

  /** Says that something is put into a directory or taken out, which changes its time only if an entry says so. */
  keepTime(path: ByteString): void {
    if (this.#finishes.has(path)) return;
    const stat = new Float64Array(statFieldCount);
    if (!statInto(absolutePath(this.#root, path), stat)) return;
    const time = { seconds: stat[StatField.mtimeSeconds] ?? 0, nanoseconds: stat[StatField.mtimeNanoseconds] ?? 0 };
    this.#finishes.set(path, { time });
  }

  /** Says that what was noted of a path is about another directory, which is gone. */
  forget(path: ByteString): void {
    this.#finishes.delete(path);
  }

  /** Gives all of them what they are to have, children first; `mayBeGone` where some were removed since. @throws SystemError */
  finish(mayBeGone: boolean): void {
    for (const [path, { time, mode }] of [...this.#finishes].reverse()) {
      if (mayBeGone && !this.#isStillDirectory(path)) continue;
      const place = absolutePath(this.#root, path);
      if (mode !== undefined) chmodSync(fsPath(place), mode);
      setTimes(place, time.seconds, time.nanoseconds);
    }
  }

  // The path may have been removed since, or lead through a link now.
  #isStillDirectory(path: ByteString): boolean {
    const found = resolvePath(this.#root, path, 'keep');
    return found.path === path && isDirectoryMode(found.mode);
  }
}
