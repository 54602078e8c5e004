// Things on disk that are known again whatever a command renamed meanwhile: by device and inode, and by a descriptor that stays open.
import { type BigIntStats, chmodSync, closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync, readlinkSync } from 'node:fs';
import { type ByteString, fsPath } from '../../bytes.ts';
import { systemCode } from '../../errors.ts';

/** What no rename changes. */
export interface Identity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** An open descriptor tells whether a thing still has a name anywhere. */
export interface Handle {
  readonly path: ByteString;
  readonly identity: Identity;
  readonly fd: number | undefined;
}

/** Linux's, for both machines: no right to read or write is needed. */
const O_PATH = 0o10000000;

/** Holds what is at `path`, a link itself. @throws SystemError */
export function openHandle(path: ByteString, isWritable: boolean): Handle {
  const stats = lstatSync(fsPath(path), { bigint: true });
  // Neither links nor sockets can be opened, and devices had better not be.
  if (!stats.isFile() && !stats.isDirectory()) return { path, identity: identityOf(stats), fd: undefined };
  const fd = isWritable ? openWritable(path, Number(stats.mode) & 0o7777) : openSync(fsPath(path), O_PATH | constants.O_NOFOLLOW);
  return { path, identity: identityOf(stats), fd };
}

/** Of what only its owner may read: without CAP_DAC_OVERRIDE that binds root, too. */
function openWritable(path: ByteString, mode: number): number {
  const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return openSync(fsPath(path), flags);
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error;
  }
  chmodSync(fsPath(path), 0o600);
  const fd = openSync(fsPath(path), flags);
  fchmodSync(fd, mode);
  return fd;
}

export function closeHandle({ fd }: Handle): void {
  if (fd !== undefined) closeSync(fd);
}

/** True where it has no name any more; what could not be opened counts as gone. */
export function isGone({ fd, path }: Handle): boolean {
  if (fd === undefined) return true;
  const stats = fstatSync(fd);
  if (stats.nlink === 0) return true;
  // Some filesystems never count the links of a folder.
  return stats.isDirectory() && readlinkSync(`/proc/self/fd/${fd}`, 'latin1') === `${path} (deleted)`;
}

export function identityOf(stats: BigIntStats): Identity {
  return { device: stats.dev, inode: stats.ino };
}

export function isSame(a: Identity, b: Identity): boolean {
  return a.device === b.device && a.inode === b.inode;
}

/** The folder of an absolute path. */
export function parentOf(path: ByteString): ByteString {
  return (path.slice(0, path.lastIndexOf('/')) || '/') as ByteString; // a part of one
}
