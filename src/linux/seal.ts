// Notices whether a RUN changed anything of the builder's own. What runs is in memory, but a changed certificate, library or blob
// must not go unnoticed.
import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, openSync, readSync, readdirSync, readlinkSync } from 'node:fs';
import { type ByteString, bytesFromBuffer, fsPath, joinBytes, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { lstatIfThere } from './files.ts';
import { keepsChangeTimes } from './statfs.ts';

interface Sealed {
  /** All of a stat that a change could show in. */
  stamp: string;
  /** Where times may change by themselves: what is there, whatever its times say. */
  readonly substance: string | undefined;
}

/**
 * Remembers every file below `folders` (files or folders); the answer compares and may be called often. No content is read where a
 * change is known to change the ctime, which nobody can set without changing the clock; elsewhere content decides where times differ.
 * The answer throws ERR_TAMPERED, with the name of the file.
 */
export function sealFolder(...folders: readonly ByteString[]): () => void {
  return sealWith(keepsChangeTimes, folders);
}

/** The same, told which places keep their ctimes. */
export function sealWith(keepsTimes: (path: ByteString) => boolean, folders: readonly ByteString[]): () => void {
  const sealed = new Map<ByteString, Sealed>();
  for (const folder of folders) note(folder, sealed, keepsTimes(folder));
  return () => {
    for (const [path, seal] of sealed) {
      const stats = lstatIfThere(path);
      const stamp = stats === undefined ? undefined : stampOf(stats);
      if (stamp === seal.stamp) continue;
      const isSame = stats !== undefined && seal.substance !== undefined && substanceOf(path, stats) === seal.substance;
      if (!isSame) throw tampered(path, stats === undefined);
      // What the times are now, they were given by the file system: the next look is cheap again.
      seal.stamp = stampOf(stats);
    }
  };
}

function note(path: ByteString, sealed: Map<ByteString, Sealed>, keepsTimes: boolean): void {
  const stats = lstatIfThere(path);
  if (stats === undefined) return;
  sealed.set(path, { stamp: stampOf(stats), substance: keepsTimes ? undefined : substanceOf(path, stats) });
  // A new name changes the times of its folder, so the list itself need not be kept.
  if (stats.isDirectory()) for (const name of namesIn(path)) note(joinBytes(path, name), sealed, keepsTimes);
}

function stampOf(stats: BigIntStats): string {
  return [stats.dev, stats.ino, stats.mode, stats.uid, stats.gid, stats.size, stats.mtimeNs, stats.ctimeNs].join(' ');
}

function substanceOf(path: ByteString, stats: BigIntStats): string {
  const content = stats.isFile()
    ? hashFile(path)
    : stats.isSymbolicLink()
      ? readlinkSync(fsPath(path), 'latin1')
      : stats.isDirectory()
        ? namesIn(path).sort().join('/')
        : String(stats.rdev);
  return [stats.mode, stats.uid, stats.gid, content].join(' ');
}

function hashFile(path: ByteString): string {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  const fd = openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) hash.update(buffer.subarray(0, count));
    return hash.digest('hex');
  } finally {
    closeSync(fd);
  }
}

function namesIn(folder: ByteString): ByteString[] {
  return readdirSync(fsPath(folder), { encoding: 'buffer' }).map((name) => bytesFromBuffer(name));
}

function tampered(path: ByteString, isGone: boolean): BuilderError {
  return new BuilderError('ERR_TAMPERED', `Cannot go on: a RUN ${isGone ? 'removed' : 'changed'} ${textFromBytes(path)} of the builder`);
}
