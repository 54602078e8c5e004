// Small files whose content the kernel has dropped for want of memory come from the disk one by one, each waited for. Where that is
// seen, those to come are asked for together.
import { closeSync, openSync } from 'node:fs';
import { fsPath } from '../bytes.ts';
import { readFlags } from '../files/read-file.ts';
import { absolutePath, isFileMode } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import { willNeed } from '../linux/files.ts';
import type { Change } from './scanned-tree.ts';

/** Longer than reading what is in memory takes, shorter than most disks. */
const slowMs = 0.1;
/** So much is asked for at once, in pages, so that it is still there when its turn comes. */
const bytesAhead = 4 * 1024 * 1024;
const pageBytes = 4096;
/** Of larger files the kernel itself reads ahead. */
const largestBytes = 65_536;

export class FetchAhead {
  readonly #root: Root;
  readonly #changes: Iterator<Change>;
  #asked = 0;
  #wasSlow = false;

  /** `changes` are those that are going to be read, in that order. */
  constructor(root: Root, changes: Iterable<Change>) {
    this.#root = root;
    this.#changes = changes[Symbol.iterator]();
  }

  /** Says how long reading took when `passed` of the changes are done. One that is slow alone had to wait for a processor. */
  noteRead(passed: number, ms: number): void {
    const isSlow = ms > slowMs;
    if (isSlow && this.#wasSlow) this.#ask(passed);
    this.#wasSlow = isSlow;
  }

  #ask(passed: number): void {
    // What was asked for lately may be slow for a while.
    if (passed < this.#asked) return;
    for (let bytes = 0; bytes < bytesAhead; this.#asked++) {
      const { done, value: change } = this.#changes.next();
      if (done === true) return;
      if (this.#asked >= passed && change.kind !== 'deleted') bytes += this.#fetch(change);
    }
  }

  #fetch({ path, entry }: Exclude<Change, { readonly kind: 'deleted' }>): number {
    if (!isFileMode(entry.mode) || entry.size === 0 || entry.size > largestBytes) return 0;
    try {
      const fd = openSync(fsPath(absolutePath(this.#root, path)), readFlags);
      willNeed(fd, entry.size);
      closeSync(fd);
    } catch {
      // Whoever reads it says why.
    }
    return Math.ceil(entry.size / pageBytes) * pageBytes;
  }
}
