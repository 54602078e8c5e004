// How much of the disk an image takes, and what it shares.
import { lstat } from 'node:fs/promises';
import { systemCode } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { blobPath } from './blob-file.ts';
import type { ImageStore, StoreEntry } from './image-store.ts';
import { noteBlobs } from './layout-removal.ts';

/** All that an image needs, by digest, with the bytes that it takes; what lies elsewhere (foreign layers) takes none. @throws ERR_LAYER */
export async function blobsOf(
  { layout }: ImageStore,
  { descriptor }: Pick<StoreEntry, 'descriptor'>,
  signal: AbortSignal,
): Promise<ReadonlyMap<Digest, number>> {
  const needed = new Set<Digest>();
  await noteBlobs(layout, descriptor, { needed, depth: 0 }, signal);
  const sizes = new Map<Digest, number>();
  for (const digest of needed) sizes.set(digest, await sizeOf(blobPath(layout, digest)));
  return sizes;
}

/** Bytes of all of these. */
export function totalOf(sizes: ReadonlyMap<Digest, number>): number {
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await lstat(path)).size;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
