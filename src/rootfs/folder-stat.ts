// What one folder is like: its identity, its metadata, and when it was changed.
import { lstatSync, readdirSync } from 'node:fs';
import { type ByteString, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, ifCode, orElse, systemCode } from '../errors.ts';
import { statOf } from '../files/disk-view.ts';
import { applyMetadata, readXattrs, removeStaleXattrs } from '../files/metadata.ts';
import type { Metadata } from '../layer/entry.ts';
import { setTimes, statFieldCount, statInto } from '../linux/files.ts';

/** Tells a folder from all others of this machine, by whatever path it is reached. */
export function identityOf(folder: ByteString): string {
  const { dev, ino } = lstatSync(fsPath(`${folder}/.` as ByteString), { bigint: true }); // ASCII at the end
  return `${dev}-${ino}`;
}

/** @throws ERR_CONTEXT where it is gone */
export function metadataOf(folder: ByteString): Metadata {
  const numbers = new Float64Array(statFieldCount);
  if (!statInto(folder, numbers)) throw new BuilderError('ERR_CONTEXT', `Cannot use ${textFromBytes(folder)}: it is gone`);
  return { ...statOf(numbers), xattrs: readXattrs(folder) };
}

/** What is in it; nothing where we may not look. @throws SystemError */
export function namesIn(folder: ByteString): readonly ByteString[] {
  try {
    return readdirSync(fsPath(folder), 'latin1') as ByteString[]; // latin1 is bytes
  } catch (error) {
    if (systemCode(error) === 'EACCES') return []; // then we had nothing there
    throw error;
  }
}

/** The ctime in nanoseconds since 1970; undefined where nothing is there. */
export function changeTime(path: ByteString): bigint | undefined {
  return lstatSync(fsPath(path), { bigint: true, throwIfNoEntry: false })?.ctimeNs;
}

/** Gives a folder the metadata that it had, where it was changed. Tells what we may not. @throws SystemError */
export function restoreMetadata(folder: ByteString, metadata: Metadata, warn: (message: string) => void): void {
  const { mode, uid, gid } = metadataOf(folder);
  const isChanged = mode !== metadata.mode || uid !== metadata.uid || gid !== metadata.gid;
  try {
    removeStaleXattrs(folder, metadata);
    if (isChanged || metadata.xattrs.size > 0) applyMetadata(folder, metadata, false, () => undefined);
  } catch (error) {
    if (systemCode(error) !== 'EPERM') throw error;
    warn(`${textFromBytes(folder)} does not have its mode and owner back, which this user may not change`);
  }
}

/** Gives a folder the mtime that it had, where that is known; only its owner may. @throws SystemError */
export function restoreTime(folder: ByteString, time: Metadata['mtime'] | undefined): void {
  if (time === undefined) return;
  orElse(() => setTimes(folder, time.seconds, time.nanoseconds), ifCode(['EPERM']));
}
