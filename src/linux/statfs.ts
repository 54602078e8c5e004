// What a filesystem lets one rely on: whether files in a folder can be executed, and whether their times are true.
import { readFileSync } from 'node:fs';
import type { ByteString } from '../bytes.ts';
import { attempt, cString } from './libc.ts';

const flagsOffset = 80; // f_flags of struct statfs on 64 bits
const readOnly = 0x1; // ST_RDONLY
const noExecute = 0x8; // ST_NOEXEC

/** True unless `folder` is on a filesystem that is mounted read-only or noexec. */
export function mayExecuteIn(folder: ByteString): boolean {
  const statfs = Buffer.alloc(120);
  if (attempt('statfs', cString(folder), statfs) < 0) return false;
  return (statfs.readUInt32LE(flagsOffset) & (readOnly | noExecute)) === 0;
}

// ext, xfs, btrfs, overlay, tmpfs, f2fs, zfs, bcachefs, squashfs, erofs. fuse-overlayfs, 9p, virtiofs and NFS are not among them.
const trueTimes = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x794c7630, 0x01021994, 0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x73717368, 0xe0f5e1e2,
]);

/** True where `path` is on a filesystem of this kernel's own, on which a ctime changes when a file does and never by itself. */
export function keepsChangeTimes(path: ByteString): boolean {
  const statfs = Buffer.alloc(120);
  if (attempt('statfs', cString(path), statfs) < 0) return false;
  return trueTimes.has(statfs.readUInt32LE(0)) && !isGvisor();
}

/** gVisor takes times from its host when it has forgotten its own, which are others. All its versions call themselves this. */
function isGvisor(): boolean {
  try {
    return readFileSync('/proc/version', 'latin1').includes('Sun Jan 10 15:06:54 PST 2016');
  } catch {
    return false; // no /proc: no gVisor, which always has one
  }
}
