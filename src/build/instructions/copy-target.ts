// The root as a place to copy to: destinations resolved inside it, parents made, nothing protected ever written.
import { chmodSync, lchownSync, lstatSync, mkdirSync } from 'node:fs';
import { bytesFromText, fsPath, textFromBytes } from '../../bytes.ts';
import type { ByteString } from '../../bytes.ts';
import { joinPath, pathIn, splitPath, statOf } from '../../context/tree.ts';
import { BuilderError } from '../../errors.ts';
import { setTimes } from '../../linux/files.ts';
import { removeTree } from '../../rootfs/remove.ts';
import { resolvePath } from '../../rootfs/resolve.ts';
import type { Root } from '../../rootfs/root.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What directories get that are made on the way to a destination. */
export interface NewDirectory {
  readonly mode: number;
  /** Where not given: as mkdir(2) makes them, so below a setgid directory of its group. */
  readonly owner?: Owner;
  /** Seconds since 1970; the clock's time where not given. */
  readonly mtimeSeconds?: number;
}

export interface CopyTargetOptions {
  /** As people know the instruction, for errors. */
  readonly instruction: string;
  /** `--link`: links on the way are replaced, never followed, and so is whatever stands where something else must go. */
  readonly replaces?: boolean;
}

/** Writes below a root and remembers what it has touched; paths have no leading slash, the root itself is empty. */
export class CopyTarget {
  readonly root: Root;
  readonly replaces: boolean;
  readonly #instruction: string;
  readonly #touched = new Set<ByteString>();
  readonly #dated: { readonly path: ByteString; readonly seconds: number }[] = [];

  constructor(root: Root, { instruction, replaces = false }: CopyTargetOptions) {
    this.root = root;
    this.replaces = replaces;
    this.#instruction = instruction;
  }

  /** Everything created or changed so far, and the directories whose times that changed. */
  get touched(): readonly ByteString[] {
    return [...this.#touched].toSorted();
  }

  /** As `follow`. @throws BuilderError ERR_UNSAFE_PATH for a place that is not to be written */
  resolve(destination: ByteString): ByteString {
    const path = this.follow(destination);
    this.refuseProtected(path);
    return path;
  }

  /** Where `destination` (absolute) leads inside the root; missing components stay as they are. */
  follow(destination: ByteString): ByteString {
    if (this.replaces) return cleanPath(destination);
    const { path } = resolvePath(this.root, destination, 'follow');
    return path === dot ? cleanPath(path) : path;
  }

  /** The path on disk. */
  onDisk(path: ByteString): ByteString {
    return pathIn(this.root.path, path);
  }

  /** Notes that `path` was created or changed, which changes its directory's times too. */
  touch(path: ByteString): void {
    this.#touched.add(path === '' ? dot : path);
    this.#touched.add(parentOf(path) === '' ? dot : parentOf(path));
  }

  isDirectory(path: ByteString): boolean {
    return statOf(this.onDisk(path))?.isDirectory() === true;
  }

  /** Makes `path` and its parents where missing. @throws BuilderError where something that is no directory is in the way */
  makeDirectories(path: ByteString, attributes: NewDirectory): void {
    const components = splitPath(path);
    for (let depth = 1; depth <= components.length; depth += 1) {
      const each = joinPath(components.slice(0, depth));
      const stats = statOf(this.onDisk(each));
      if (stats?.isDirectory() === true) continue;
      if (stats !== undefined) {
        if (!this.replaces)
          throw this.#error('ERR_ROOTFS', `Cannot make directory '/${textFromBytes(path)}': '/${textFromBytes(each)}' is not a directory`);
        this.remove(each);
      }
      this.makeDirectory(each, attributes);
    }
  }

  /** Makes one directory that is not there. */
  makeDirectory(path: ByteString, { mode, owner, mtimeSeconds }: NewDirectory): void {
    this.refuseProtected(path);
    const place = fsPath(this.onDisk(path));
    mkdirSync(place, 0o700);
    // What a linked layer replaces it can't inherit from.
    const given = owner ?? (this.replaces ? { uid: 0, gid: 0 } : undefined);
    if (given !== undefined) lchownSync(place, given.uid, given.gid);
    chmodSync(place, mode | (this.replaces ? 0 : lstatSync(place).mode & setGid));
    if (mtimeSeconds !== undefined) this.#dated.push({ path, seconds: mtimeSeconds });
    this.touch(path);
  }

  /** Makes way for a file. @throws BuilderError where a directory stands there (and may not be replaced) */
  makeWayForFile(path: ByteString, source: string): void {
    this.refuseProtected(path);
    const stats = path === '' ? undefined : statOf(this.onDisk(path));
    if (path !== '' && stats === undefined) return;
    if (stats === undefined || (stats.isDirectory() && !this.replaces)) {
      throw this.#error(
        'ERR_ROOTFS',
        `Cannot copy '${source}' to '/${textFromBytes(path)}': a directory is there, and a file can't replace it`,
      );
    }
    this.remove(path);
  }

  /** Removes a file, or a whole directory. @throws BuilderError ERR_UNSAFE_PATH where something in it is protected */
  remove(path: ByteString): void {
    this.refuseProtected(path);
    if (this.root.protection.holds(path)) throw this.#protectedError(path);
    removeTree(this.root, path);
    this.touch(path);
  }

  /** Removes what is at `path`, if anything. @throws BuilderError as remove */
  removeIfThere(path: ByteString): void {
    if (statOf(this.onDisk(path)) !== undefined) this.remove(path);
  }

  /** Gives made directories their time, at last: what is put into a directory changes it. */
  finish(): void {
    for (const { path, seconds } of this.#dated) setTimes(this.onDisk(path), seconds, 0);
    this.#dated.length = 0;
  }

  isProtected(path: ByteString): boolean {
    return path !== '' && this.root.protection.covers(path);
  }

  /** @throws BuilderError ERR_UNSAFE_PATH naming the instruction, where `path` belongs to the builder or is mounted */
  refuseProtected(path: ByteString): void {
    if (this.isProtected(path)) throw this.#protectedError(path);
  }

  #protectedError(path: ByteString): BuilderError {
    return this.#error(
      'ERR_UNSAFE_PATH',
      `Cannot write '/${textFromBytes(path)}': it belongs to the builder or is mounted, and so is not part of the image`,
    );
  }

  #error(code: 'ERR_ROOTFS' | 'ERR_UNSAFE_PATH', message: string): BuilderError {
    return new BuilderError(code, `${message} (${this.#instruction})`);
  }
}

const dot = bytesFromText('.');
const setGid = 0o2000; // a directory has it from the one it was made in

/** The directory of a path without leading slash; that of a top-level name is empty. */
export function parentOf(path: ByteString): ByteString {
  return joinPath(splitPath(path).slice(0, -1));
}

/** A path without leading slash, `.` and `..`, as if it were absolute. */
export function cleanPath(path: ByteString): ByteString {
  const kept: ByteString[] = [];
  for (const component of splitPath(path)) {
    if (component === '..') kept.pop();
    else kept.push(component);
  }
  return joinPath(kept);
}
