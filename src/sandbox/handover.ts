// How the builder inside learns its arguments: from memory that no /proc file of command line or environment shows.
import { writeSync } from 'node:fs';
import { bytesFromText } from '../bytes.ts';
import { call, cString } from '../linux/libc.ts';

/** Names the descriptor that holds the JSON of argv and env, for the process that execve makes of this one. */
export const invocationVariable = 'YADOKARI_INVOCATION';

/** A descriptor with `text` in it, at its start, that stays open over execve. @throws SystemError */
export function holdInMemory(text: string): number {
  const bytes = Buffer.from(text, 'utf8');
  const fd = call('memfd_create', [cString(bytesFromText('invocation')), 0]);
  for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written, bytes.length - written, written);
  return fd;
}
