// What is mounted where: proc_pid_mountinfo(5), text to values.
import { readFileSync } from 'node:fs';
import { type ByteString, bytesFromBuffer } from '../bytes.ts';

export interface Mount {
  /** Stays the same while it is mounted, wherever a renamed folder takes it. */
  readonly id: number;
  /** Absolute, as this process sees it. */
  readonly target: ByteString;
  readonly isReadOnly: boolean;
}

/** Reads the mount table of this process. @throws SystemError where /proc is not there */
export function readMounts(): Mount[] {
  return parseMounts(bytesFromBuffer(readFileSync('/proc/self/mountinfo')));
}

/** Parses a mountinfo table: octal escapes are decoded, mounts on top of each other are each listed. */
export function parseMounts(table: ByteString): Mount[] {
  const mounts: Mount[] = [];
  for (const line of table.split('\n')) {
    const fields = line.split(' ');
    const [id, , , , target, options] = fields;
    const separator = fields.indexOf('-', 6);
    if (target === undefined || options === undefined || separator === -1 || fields[separator + 1] === undefined) continue;
    mounts.push({ id: Number(id), target: decodeOctal(target), isReadOnly: options.split(',').includes('ro') });
  }
  return mounts;
}

function decodeOctal(field: string): ByteString {
  const decoded = field.replace(/\\([0-7]{3})/g, (_match, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
  return decoded as ByteString; // bytes in, bytes out
}
