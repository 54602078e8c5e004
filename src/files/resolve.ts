// A path inside the root, whatever symbolic links say: as a chroot would see it. Whoever opens, writes or removes something
// by a name from outside asks here first. RED: an error here is a file written outside of the root.
import { lstatSync, readlinkSync } from 'node:fs';
import { type ByteString, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { type Nodes, followPath, pathIn, tooManyLinks } from '../paths.ts';
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

const typeMask = 0o170000;
const directoryType = 0o040000;

/**
 * Resolves `path` (absolute or below the root; `..` stops at the root). Missing parts stay as they are written.
 * `leaf: 'keep'` gives the last name itself even where it is a symbolic link.
 * @throws ERR_UNSAFE_PATH after 40 symbolic links, and for a NUL, which a variable or setting of a base can hold
 */
export function resolvePath(root: Root, path: ByteString, leaf: 'keep' | 'follow'): Resolution {
  if (path.includes('\0'))
    throw new BuilderError('ERR_UNSAFE_PATH', `Cannot use path ${JSON.stringify(textFromBytes(path))}: it contains a NUL byte`);
  const nodes: Nodes<number> = {
    root: directoryType,
    child: (directory, _, below) => (isDirectoryMode(directory) ? modeOf(root, below) : undefined),
    linkTarget: (mode, below) => ((mode & typeMask) === 0o120000 ? readLink(absolutePath(root, below)) : undefined),
  };
  const found = followPath(nodes, path, leaf);
  if (found.isLoop) throw tooManyLinks(path);
  return { path: found.path, mode: found.node, isProtected: root.protection.covers(found.path) };
}

/** The target of the symbolic link at an absolute path, verbatim. @throws SystemError */
export function readLink(path: ByteString): ByteString {
  return reach(path, (short) => readlinkSync(fsPath(short), 'latin1')) as ByteString; // latin1 is bytes
}

/** The absolute path of a resolved one, for system calls. */
export function absolutePath(root: Root, path: ByteString): ByteString {
  return pathIn(root.path, path);
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
