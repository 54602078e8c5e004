// A path inside the root, whatever symbolic links say: as a chroot would see it. Whoever opens, writes or removes something
// by a name from outside asks here first. RED: an error here is a file written outside of the root.
import { lstatSync, readlinkSync } from 'node:fs';
import { type ByteString, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { reach } from './long-path.ts';
import type { Root } from './root.ts';

/** Where a path really is. */
export interface Resolution {
  /** Below the root, no symbolic link in any directory of it; `.` is the root. */
  readonly path: ByteString;
  /** st_mode of what is there (of the link itself where the leaf is kept); undefined for nothing. */
  readonly mode: number | undefined;
  /** Below our folder, a mount, or another path that isn't the image's. */
  readonly isProtected: boolean;
}

const maximumHops = 40;
const typeMask = 0o170000;
const linkType = 0o120000;
const directoryType = 0o040000;

/**
 * Resolves `path` (absolute or below the root; `..` stops at the root). Missing parts stay as they are written.
 * `leaf: 'keep'` gives the last name itself even where it is a symbolic link.
 * @throws ERR_UNSAFE_PATH after 40 symbolic links
 */
export function resolvePath(root: Root, path: ByteString, leaf: 'keep' | 'follow'): Resolution {
  const pending = path.split('/').reverse();
  const done: string[] = [];
  const modes: (number | undefined)[] = [];
  let hops = 0;
  while (pending.length > 0) {
    const name = pending.pop();
    if (name === undefined || name === '' || name === '.') continue;
    if (name === '..') {
      done.pop();
      modes.pop();
      continue;
    }
    done.push(name);
    const here = done.join('/') as ByteString; // names of bytes
    const isParentGone = modes.length > 0 && !isDirectoryMode(modes.at(-1));
    const mode = isParentGone ? undefined : modeOf(root, here);
    const isLeaf = pending.every((rest) => rest === '' || rest === '.');
    if (mode !== undefined && (mode & typeMask) === linkType && !(isLeaf && leaf === 'keep')) {
      hops++;
      if (hops > maximumHops) throw tooManyLinks(path);
      const target = readLink(root, here);
      done.pop();
      if (target.startsWith('/')) {
        done.length = 0;
        modes.length = 0;
      }
      pending.push(...target.split('/').reverse());
      continue;
    }
    modes.push(mode);
  }
  const found = (done.length === 0 ? '.' : done.join('/')) as ByteString; // names of bytes
  const mode = done.length === 0 ? directoryType : modes.at(-1);
  return { path: found, mode, isProtected: root.protection.covers(found) };
}

/** The absolute path of a resolved one, for system calls. */
export function absolutePath(root: Root, path: ByteString): ByteString {
  if (path === '.') return root.path;
  return (root.path === '/' ? `/${path}` : `${root.path}/${path}`) as ByteString; // bytes joined
}

/** True for the mode of a directory. */
export function isDirectoryMode(mode: number | undefined): boolean {
  return mode !== undefined && (mode & typeMask) === directoryType;
}

/** True for the mode of a regular file. */
export function isFileMode(mode: number | undefined): boolean {
  return mode !== undefined && (mode & typeMask) === 0o100000;
}

/** lstat's mode below the root; undefined for nothing. @throws SystemError for anything but absence */
export function modeOf(root: Root, path: ByteString): number | undefined {
  try {
    return reach(absolutePath(root, path), (short) => lstatSync(fsPath(short), { throwIfNoEntry: false })?.mode);
  } catch (error) {
    if (systemCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

function readLink(root: Root, path: ByteString): ByteString {
  return readlinkSync(fsPath(absolutePath(root, path)), { encoding: 'latin1' }) as ByteString; // latin1 is bytes
}

function tooManyLinks(path: ByteString): BuilderError {
  return new BuilderError(
    'ERR_UNSAFE_PATH',
    `Cannot resolve ${JSON.stringify(textFromBytes(path))}: more than ${maximumHops} symbolic links`,
  );
}
