// Whether files in a folder can be made and executed: how its filesystem is mounted.
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
