// How the builder inside learns its arguments, from memory that no /proc file shows: what linux/invocation.ts reads, given by a
// process that starts Node through a loader of its own.
import { writeSync } from 'node:fs';
import { bytesFromText } from '../bytes.ts';
import { call, cString } from '../linux/libc.ts';
import type { SandboxInvocation } from './plan.ts';

/** The builder's only visible argument; a descriptor follows. */
export const invocationOption = '--invocation-fd=';

/** A descriptor that holds `invocation` as `receiveInvocation()` expects it, and stays open over execve. @throws SystemError */
export function holdInvocation(invocation: SandboxInvocation): number {
  const bytes = Buffer.from(JSON.stringify(invocation), 'utf8');
  const fd = call('memfd_create', [cString(bytesFromText('yadokari-invocation')), 0]);
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, at);
  return fd;
}
