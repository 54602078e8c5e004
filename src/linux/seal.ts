// Notices whether a RUN changed anything of the builder's own. What runs is in memory, but a changed certificate, library or blob
// must not go unnoticed.
import { type BigIntStats, lstatSync, readdirSync } from 'node:fs';
import { type ByteString, bytesFromBuffer, fsPath, joinBytes, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';

/**
 * Remembers every file below `folders` (files or folders); the answer compares and may be called often. No content is read: a
 * change always changes the ctime, which nobody can set without changing the clock.
 * The answer throws ERR_TAMPERED, with the name of the file.
 */
export function sealFolder(...folders: readonly ByteString[]): () => void {
  const sealed = new Map<ByteString, string>();
  for (const folder of folders) note(folder, sealed);
  return () => {
    for (const [path, seal] of sealed) {
      const now = fingerprint(path);
      if (now === seal) continue;
      throw new BuilderError(
        'ERR_TAMPERED',
        `Cannot go on: a RUN ${now === undefined ? 'removed' : 'changed'} ${textFromBytes(path)} of the builder`,
      );
    }
  };
}

function note(path: ByteString, sealed: Map<ByteString, string>): void {
  const seal = fingerprint(path);
  if (seal === undefined) return;
  sealed.set(path, seal);
  if (!lstatSync(fsPath(path)).isDirectory()) return;
  // A new name changes the times of its folder, so the list itself need not be kept.
  for (const name of readdirSync(fsPath(path), { encoding: 'buffer' })) note(joinBytes(path, bytesFromBuffer(name)), sealed);
}

function fingerprint(path: ByteString): string | undefined {
  let stats: BigIntStats;
  try {
    stats = lstatSync(fsPath(path), { bigint: true });
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  return [stats.dev, stats.ino, stats.mode, stats.uid, stats.gid, stats.size, stats.mtimeNs, stats.ctimeNs].join(' ');
}
