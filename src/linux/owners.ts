// Which owners this process can give to files: those that its user namespace maps, or without CAP_CHOWN only its own. And which modes.
import { readFileSync } from 'node:fs';
import { Capability, hasCapability } from './capabilities.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Ids of a namespace that stand for some of the machine; `last` is among them. */
export interface IdSpan {
  readonly first: number;
  readonly last: number;
}

/** Tells what a file of an owner will belong to: the same wherever that is possible, else whoever we are. */
export type PossibleOwner = (owner: Owner) => Owner;

/** Asks the kernel once. @throws SystemError where /proc is not there */
export function readPossibleOwner(): PossibleOwner {
  const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  if (!hasCapability(Capability.chown)) return () => self;
  const uids = parseIdMap(readFileSync('/proc/self/uid_map', 'utf8'));
  const gids = parseIdMap(readFileSync('/proc/self/gid_map', 'utf8'));
  return ({ uid, gid }) => ({ uid: isIn(uids, uid) ? uid : self.uid, gid: isIn(gids, gid) ? gid : self.gid });
}

/** Tells which bits of the mode of a file of a group this process can't set: chmod(2) leaves out set-group-ID without CAP_FSETID. */
export function readRefusedBits(): (gid: number) => number {
  if (hasCapability(Capability.fsetid)) return () => 0;
  const own = new Set([process.getegid?.(), ...(process.getgroups?.() ?? [])]);
  return (gid) => (own.has(gid) ? 0 : 0o2000);
}

/** Parses user_namespaces(7)'s uid_map: lines of first id inside, first outside, and count. */
export function parseIdMap(text: string): readonly IdSpan[] {
  return text.split('\n').flatMap((line) => {
    const [, first, count] = /^\s*(\d+)\s+\d+\s+(\d+)\s*$/.exec(line) ?? [];
    return first === undefined ? [] : [{ first: Number(first), last: Number(first) + Number(count) - 1 }];
  });
}

function isIn(spans: readonly IdSpan[], id: number): boolean {
  return spans.some(({ first, last }) => id >= first && id <= last);
}
