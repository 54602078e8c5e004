// Owner, mode, attributes and times, in the only order that works: chown clears setuid and security.capability, so owner
// comes first; everything changes ctime and most change mtime, so times come last.
import { chmodSync, fchmodSync, fchownSync, lchownSync, lstatSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { systemCode } from '../errors.ts';
import type { Metadata } from '../layer/entry.ts';
import { setTimes, setTimesOfFile } from '../linux/files.ts';
import { type XattrHolder, getXattr, listXattrs, removeXattr, setXattr } from '../linux/xattr.ts';

/** Told of each attribute that can't be set here. */
export type RefuseXattr = (path: ByteString, name: string) => void;

// Not set by whoever made the image but by the machine that it was made on.
const machineXattrs =
  /^(?:security\.(?:selinux|ima|evm|apparmor|SMACK64.*)|trusted\.overlay\..*|user\.overlay\..*|btrfs\..*|system\.nfs4?_.*)$/;

const noXattrs: ReadonlyMap<string, Buffer> = new Map();
// ext4 says ENOSPC and ERANGE to values and names that it has no room for.
const refusals: ReadonlySet<string> = new Set(['ENOTSUP', 'EPERM', 'EACCES', 'EINVAL', 'ERANGE', 'E2BIG', 'ENOSPC']);

/** Gives an open, new file its metadata; `path` is for attributes. @throws SystemError */
export function applyToFile(fd: number, path: ByteString, metadata: Metadata, refuse: RefuseXattr): void {
  fchownSync(fd, metadata.uid, metadata.gid);
  fchmodSync(fd, metadata.mode);
  for (const [name, value] of metadata.xattrs) trySetXattr(path, name, value, refuse);
  setTimesOfFile(fd, metadata.mtime.seconds, metadata.mtime.nanoseconds);
}

/** Gives a path its metadata; `isSymlink` leaves out the mode, which links have none of. @throws SystemError */
export function applyMetadata(path: ByteString, metadata: Metadata, isSymlink: boolean, refuse: RefuseXattr): void {
  const nodePath = fsPath(path);
  lchownSync(nodePath, metadata.uid, metadata.gid);
  if (!isSymlink) chmodSync(nodePath, metadata.mode);
  for (const [name, value] of metadata.xattrs) trySetXattr(path, name, value, refuse);
  setTimes(path, metadata.mtime.seconds, metadata.mtime.nanoseconds);
}

/**
 * Gives a file what the header of a hard link to it says, as engines do when the two disagree. What already is so stays
 * untouched, since a chown would cost the file its capabilities. @throws SystemError
 */
export function applyLinkMetadata(path: ByteString, metadata: Metadata, refuse: RefuseXattr): void {
  const nodePath = fsPath(path);
  const { uid, gid, mode } = lstatSync(nodePath);
  const isSymlink = (mode & 0o170000) === 0o120000;
  const isOwned = uid === metadata.uid && gid === metadata.gid;
  if (isOwned && (isSymlink || (mode & 0o7777) === metadata.mode)) return;
  if (isOwned) chmodSync(nodePath, metadata.mode);
  else applyMetadata(path, metadata, isSymlink, refuse);
}

/** Removes the attributes that `metadata` doesn't have, before a directory that stays gets it. @throws SystemError */
export function removeStaleXattrs(path: ByteString, metadata: Metadata): void {
  for (const name of listXattrs(path)) {
    if (!metadata.xattrs.has(name) && !machineXattrs.test(name)) removeXattr(path, name);
  }
}

/** The attributes that belong in an image, by name; those of the machine are left out. @throws SystemError */
export function readXattrs(holder: XattrHolder): ReadonlyMap<string, Buffer> {
  const names = listXattrs(holder);
  if (names.length === 0) return noXattrs;
  const found = new Map<string, Buffer>();
  for (const name of names) {
    const value = machineXattrs.test(name) ? undefined : getXattr(holder, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

/** Those of an entry that `readXattrs` would find again, in the order of their names. */
export function portableXattrs(xattrs: ReadonlyMap<string, Buffer>): (readonly [string, Buffer])[] {
  if (xattrs.size === 0) return [];
  return [...xattrs].filter(([name]) => !machineXattrs.test(name)).sort(([a], [b]) => (a < b ? -1 : 1));
}

function trySetXattr(path: ByteString, name: string, value: Buffer, refuse: RefuseXattr): void {
  try {
    setXattr(path, name, value);
  } catch (error) {
    if (!refusals.has(systemCode(error) ?? '')) throw error;
    refuse(path, name);
  }
}
