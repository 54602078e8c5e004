// What node:fs can't do to one file: times to the nanosecond, device nodes, a stat that says everything without bigints.
import { type BigIntStats, constants, lstatSync, renameSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { isMissing } from '../errors.ts';
import { attempt, call, cString, errnoOf, lendCString, systemError } from './libc.ts';

const currentDirectory = -100; // AT_FDCWD
const noFollow = 0x100; // AT_SYMLINK_NOFOLLOW
const emptyPath = 0x1000; // AT_EMPTY_PATH
const basicStats = 0x7ff; // STATX_BASIC_STATS
const noReplace = 1; // RENAME_NOREPLACE
const omitTime = 0x3ffffffen; // UTIME_OMIT
const newFileFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | 0o2000000; // O_CLOEXEC
const coarseRealtime = 5; // CLOCK_REALTIME_COARSE

/** Numbers of one stat, in the order that `decodeStat` writes them. */
export const StatField = {
  mode: 0,
  uid: 1,
  gid: 2,
  size: 3,
  mtimeSeconds: 4,
  mtimeNanoseconds: 5,
  ctimeSeconds: 6,
  ctimeNanoseconds: 7,
  inode: 8,
  device: 9,
  rdev: 10,
  links: 11,
} as const;

/** How many numbers `decodeStat` writes. */
export const statFieldCount = 12;
/** Bytes of a `struct statx`. */
export const statBufferSize = 256;

const noPath = Buffer.alloc(1);
// Filled and read at once: one for each call would keep V8's collector busy.
const statWords = new Uint32Array(statBufferSize / 4);
const statBytes = new Uint8Array(statWords.buffer);
const timesBuffer = new BigInt64Array(4);
const timesBytes = new Uint8Array(timesBuffer.buffer);

/** Sets the modification time of an open file and leaves its access time alone. @throws SystemError */
export function setTimesOfFile(fd: number, seconds: number, nanoseconds: number): void {
  fillTimes(seconds, nanoseconds);
  const result = attempt('utimensat', fd, null, timesBytes, 0);
  if (result < 0) throw systemError(-result, 'futimens');
}

/** Sets the modification time of a path, of the link itself where it is one. @throws SystemError */
export function setTimes(path: ByteString, seconds: number, nanoseconds: number): void {
  fillTimes(seconds, nanoseconds);
  call('utimensat', [currentDirectory, lendCString(path), timesBytes, noFollow], path);
}

/** Opens a new file, to be written by its owner alone; undefined where something is already. @throws SystemError */
export function openNewFile(path: ByteString): number | undefined {
  const result = attempt('openat', currentDirectory, lendCString(path), newFileFlags, 0o600);
  if (result >= 0) return result;
  const error = systemError(-result, 'open', path);
  if (error.code === 'EEXIST') return undefined;
  throw error;
}

/** Makes a FIFO or a device node; `mode` holds the type bits too. @throws SystemError, EPERM without CAP_MKNOD */
export function makeNode(path: ByteString, mode: number, major = 0, minor = 0): void {
  call('mknodat', [currentDirectory, cString(path), mode, deviceNumber(major, minor)], path);
}

/** Renames to a name that is free. @throws SystemError, EEXIST where it is not */
export function renameToFree(from: ByteString, to: ByteString): void {
  const result = attempt('renameat2', currentDirectory, cString(from), currentDirectory, cString(to), noReplace);
  if (result >= 0) return;
  // Some filesystems can't do it in one step.
  const isUnknown = result === -errnoOf('EINVAL') || result === -errnoOf('ENOSYS');
  if (!isUnknown) throw systemError(-result, 'rename', from);
  if (lstatSync(fsPath(to), { throwIfNoEntry: false }) !== undefined) throw systemError(errnoOf('EEXIST'), 'rename', to);
  renameSync(fsPath(from), fsPath(to));
}

/** lstat of a path into `target`; false where there is nothing. @throws SystemError for anything but absence */
export function statInto(path: ByteString, target: Float64Array): boolean {
  const result = attempt('statx', currentDirectory, lendCString(path), noFollow, basicStats, statBytes);
  if (result < 0) {
    const error = systemError(-result, 'lstat', path);
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
    throw error;
  }
  decodeStat(statWords, target);
  return true;
}

/** lstat by node:fs, of what may be gone; undefined where nothing is. @throws SystemError for anything but absence */
export function lstatIfThere(path: ByteString): BigIntStats | undefined {
  try {
    return lstatSync(fsPath(path), { bigint: true });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** True for a folder itself; a link to one is none. @throws SystemError for anything but absence */
export function isFolder(path: ByteString): boolean {
  return lstatIfThere(path)?.isDirectory() === true;
}

/** fstat into `target`. @throws SystemError */
export function statOpenFile(fd: number, target: Float64Array): void {
  const result = attempt('statx', fd, noPath, emptyPath, basicStats, statBytes);
  if (result < 0) throw systemError(-result, 'fstat');
  decodeStat(statWords, target);
}

/** Has the kernel read the first bytes of an open file into memory, without waiting for them. */
export function willNeed(fd: number, bytes: number): void {
  attempt('fadvise64', fd, 0, bytes, 3); // POSIX_FADV_WILLNEED: a wish, so it is no matter if it is refused
}

/** Reads a `struct statx` (as words) into twelve numbers, in the order of `StatField`. */
export function decodeStat(words: Uint32Array, target: Float64Array): void {
  const at = (index: number): number => words[index] ?? 0;
  target[0] = at(7) & 0xffff;
  target[1] = at(5);
  target[2] = at(6);
  target[3] = at(10) + at(11) * 0x1_0000_0000;
  target[4] = at(28) + (at(29) | 0) * 0x1_0000_0000;
  target[5] = at(30);
  target[6] = at(24) + (at(25) | 0) * 0x1_0000_0000;
  target[7] = at(26);
  target[8] = foldInode(at(8), at(9));
  target[9] = deviceNumber(at(34), at(35));
  target[10] = deviceNumber(at(32), at(33));
  target[11] = at(4);
}

/** The kernel's 32-bit device number: 12 bits of major, 20 of minor. */
export function deviceNumber(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

/** The inverse of `deviceNumber`. */
export function splitDevice(device: number): { readonly major: number; readonly minor: number } {
  return { major: (device >>> 8) & 0xfff, minor: (device & 0xff) | ((device >>> 12) & 0xfff00) };
}

/** The clock that stamps files: it stands still for up to 10 ms, so two changes may get the same time. */
export function coarseTime(): { readonly seconds: number; readonly nanoseconds: number } {
  const time = new BigInt64Array(2);
  call('clock_gettime', [coarseRealtime, new Uint8Array(time.buffer)]);
  return { seconds: Number(time[0]), nanoseconds: Number(time[1]) };
}

function fillTimes(seconds: number, nanoseconds: number): void {
  timesBuffer[0] = 0n;
  timesBuffer[1] = omitTime;
  timesBuffer[2] = BigInt(seconds);
  timesBuffer[3] = BigInt(nanoseconds);
}

// overlayfs puts the number of the underlying filesystem into an inode's top bits, where a double has no room: they are
// folded into bits that inode numbers hardly reach, so that two files don't look like one.
function foldInode(low: number, high: number): number {
  const folded = high < 0x20_0000 ? high : ((high & 0x1f_ffff) ^ ((high >>> 21) << 10)) >>> 0;
  return low + folded * 0x1_0000_0000;
}
