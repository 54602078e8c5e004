// What is said of an entry that can't be put on disk. Callers put in front what they were doing.
import { statfsSync } from 'node:fs';
import type { ByteString } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import type { Entry } from '../layer/entry.ts';
import { show } from '../layer/show.ts';

/** What makes no sense in an archive. */
export function malformed(path: ByteString, state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `entry ${show(path)} ${state}`);
}

/** What would reach out of the root. */
export function unsafe(path: ByteString, state: string): BuilderError {
  return new BuilderError('ERR_UNSAFE_PATH', `entry ${show(path)} ${state}`);
}

const worthAsking = 2 ** 30; // bytes

/**
 * A few bytes of an archive can be a file of a petabyte: holes, or zeros well compressed. What can't fit into the file system of `place` is
 * refused before that is full, which others may share. @throws ERR_ROOTFS
 */
export function needRoom({ path, size }: Entry, place: string | Buffer): void {
  if (size < worthAsking) return;
  const { bavail, bsize } = statfsSync(place, { bigint: true });
  if (BigInt(size) <= bavail * bsize) return;
  const [needed, free] = [BigInt(size), bavail * bsize].map((bytes) => `${bytes / BigInt(worthAsking)} GiB`);
  throw new BuilderError('ERR_ROOTFS', `Cannot hold ${show(path)} of ${needed}: its disk has ${free} left`, {
    cause: Object.assign(new Error(`its disk has ${free} left`), { code: 'ENOSPC' }),
  });
}

/** Runs `write`, and adds the path to what the filesystem refuses. @throws ERR_ROOTFS, or the failure as it is */
export async function within(path: ByteString, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    const code = systemCode(error);
    if (error instanceof BuilderError || code === undefined || code === 'ABORT_ERR') throw error;
    const reason = error instanceof Error ? error.message : code;
    throw new BuilderError('ERR_ROOTFS', `entry ${show(path)} can't be written: ${reason}`, { cause: error });
  }
}
