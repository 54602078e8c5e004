// What a RUN may be given of root's powers. Everything here acts on the calling thread alone, so a worker can give up what the
// builder keeps.
import { attempt, call, errnoOf } from './libc.ts';

const setBoundDrop = 24;
const readBound = 23;
const ambient = 47;
const ambientClearAll = 4;
// linux/capability.h: version 3, two words of each set.
const capabilityVersion = 0x20080522;

/** Numbers of linux/capability.h, by name without `CAP_`. */
export const Capability = {
  chown: 0,
  dacOverride: 1,
  fowner: 3,
  fsetid: 4,
  kill: 5,
  setgid: 6,
  setuid: 7,
  setpcap: 8,
  netBindService: 10,
  netRaw: 13,
  sysChroot: 18,
  sysAdmin: 21,
  mknod: 27,
  auditWrite: 29,
  setfcap: 31,
} as const;

/**
 * What docker lets a build step have, without CAP_SETPCAP: the kernel lets nobody look into a process that holds a capability
 * which he has not, so one capability less than the builder's own closes /proc/<builder> even if all else fails.
 */
export const runCapabilities: ReadonlySet<number> = new Set(
  Object.entries(Capability)
    .filter(([name]) => name !== 'setpcap' && name !== 'sysAdmin')
    .map(([, number]) => number),
);

/** Whether the calling thread may use `capability`. */
export function hasCapability(capability: number): boolean {
  const words = Buffer.alloc(24);
  call('capget', [header(), words]);
  const effective = BigInt(words.readUInt32LE(0)) | (BigInt(words.readUInt32LE(12)) << 32n);
  return ((effective >> BigInt(capability)) & 1n) === 1n;
}

/**
 * Narrows what programs started by this thread can ever hold to `kept`, and passes nothing on by inheritance. Gives the
 * capabilities that stayed against our will: without CAP_SETPCAP the bounds can't be changed.
 */
export function boundCapabilities(kept: ReadonlySet<number>): readonly number[] {
  const stayed: number[] = [];
  for (let capability = 0; ; capability += 1) {
    const isBound = attempt('prctl', readBound, capability);
    // The first number that this kernel does not know ends the list.
    if (isBound === -errnoOf('EINVAL')) break;
    if (isBound !== 1 || kept.has(capability)) continue;
    if (attempt('prctl', setBoundDrop, capability) !== 0) stayed.push(capability);
  }
  // Refused only by kernels before 4.3, which have no ambient set either.
  attempt('prctl', ambient, ambientClearAll, 0, 0, 0);
  const words = Buffer.alloc(24);
  call('capget', [header(), words]);
  words.writeUInt32LE(0, 8);
  words.writeUInt32LE(0, 20);
  call('capset', [header(), words]);
  return stayed;
}

function header(): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(capabilityVersion, 0);
  return bytes;
}
