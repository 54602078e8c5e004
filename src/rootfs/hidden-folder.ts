// A folder in a folder, so deep that no path from outside reaches it: the kernel takes no path of more than 4,095 bytes, and its
// directories have names of 255. Whoever walks by path stops before it; we hold it open. Who walks by descriptors (GNU's rm, find and
// tar) does get in: see `borrowed-folder.ts`. Where there is nothing to hide it is one directory, which no command stumbles over. RED: it
// holds what is a user's.
import { closeSync, constants, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { type ByteString, bytesFromText, fsPath, joinBytes } from '../bytes.ts';
import { ifCode, orElse } from '../errors.ts';
import type { Timestamp } from '../layer/entry.ts';

const levels = 17;
const nameBytes = 255;
const filler = bytesFromText('_'.repeat(nameBytes));
// For who finds it after a build was killed.
const mark = '.yadokari.has.the.files.of.this.folder.while.it.builds.start.it.again.with.this.context.to.get.them.back';
// In a folder that is empty but for it.
const shallowMark = '.yadokari.works.here';

/** The name of its first directory. It says what the outer folder's time was before there was one, and whether the folder was empty. */
export function hiddenName(time: Timestamp, isEmpty: boolean): ByteString {
  const times = `.${time.seconds}.${time.nanoseconds}.`;
  return bytesFromText(isEmpty ? `${shallowMark}${times}` : `${mark}${times}`.padEnd(nameBytes, '_'));
}

export function isHiddenName(name: ByteString): boolean {
  return name.startsWith(mark) || name.startsWith(shallowMark);
}

/** True for a line of output about it. */
export function isAboutHidden(line: string): boolean {
  return line.includes(mark);
}

/** The time that is in such a name. */
export function timeOfHiddenName(name: ByteString): Timestamp | undefined {
  const [, seconds, nanoseconds] = /\.(-?\d+)\.(\d+)\._*$/.exec(name) ?? [];
  return seconds === undefined ? undefined : { seconds: Number(seconds), nanoseconds: Number(nanoseconds) };
}

export class HiddenFolder {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Makes what is missing of it. @throws SystemError */
  static make(folder: ByteString, name: ByteString): HiddenFolder {
    const hidden = descend(folder, name, (path) => {
      orElse(() => mkdirSync(fsPath(path), 0o700), ifCode(['EEXIST']));
    });
    if (hidden === undefined) throw new Error('a directory that was just made is gone');
    return hidden;
  }

  /** Undefined where it is not there, or not whole. @throws SystemError */
  static open(folder: ByteString, name: ByteString): HiddenFolder | undefined {
    return descend(folder, name);
  }

  static of(fd: number): HiddenFolder {
    return new HiddenFolder(fd);
  }

  /** For our own system calls, until it is closed. */
  get path(): ByteString {
    return bytesFromText(`/proc/self/fd/${this.#fd}`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Removes it, which must be empty but for its own directories. @throws SystemError */
export function removeHidden(folder: ByteString, name: ByteString): void {
  const fds: number[] = [];
  try {
    for (let level = 0; level <= levelsOf(name); level++) {
      const fd = openFolder(level === 0 ? folder : below(fds.at(-1), level === 1 ? name : filler));
      if (fd === undefined) break;
      fds.push(fd);
    }
    for (let level = fds.length - 1; level >= 1; level--) rmdirSync(fsPath(below(fds[level - 1], level === 1 ? name : filler)));
  } finally {
    fds.forEach((fd) => closeSync(fd));
  }
}

function descend(folder: ByteString, name: ByteString, make?: (path: ByteString) => void): HiddenFolder | undefined {
  let fd = openFolder(folder);
  for (let level = 1; level <= levelsOf(name) && fd !== undefined; level++) {
    const path = below(fd, level === 1 ? name : filler);
    const outer = fd;
    try {
      make?.(path);
      fd = openFolder(path);
    } finally {
      closeSync(outer);
    }
  }
  return fd === undefined ? undefined : HiddenFolder.of(fd);
}

function levelsOf(name: ByteString): number {
  return name.startsWith(shallowMark) ? 1 : levels;
}

function below(fd: number | undefined, name: ByteString): ByteString {
  return joinBytes(bytesFromText(`/proc/self/fd/${fd ?? -1}`), name);
}

function openFolder(path: ByteString): number | undefined {
  return orElse(() => openSync(fsPath(path), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW), ifCode(['ENOENT']));
}
