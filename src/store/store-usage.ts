// How much of the disk images and results of builds take, and what they share.
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { blobPath } from './blob-file.ts';
import type { ImageStore, StoreEntry } from './image-store.ts';
import { namesIn, noteBlobs } from './layout-removal.ts';

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

/** What builds have kept beside the images. */
export interface CacheUsage {
  readonly results: number;
  readonly sizeBytes: number;
  /** Of which no image has anything. */
  readonly uniqueBytes: number;
}

/** What the cache of the store takes; builds may be at work in it. @throws SystemError */
export async function cacheUsage({ cache }: Pick<ImageStore, 'cache'>): Promise<CacheUsage> {
  const results = await namesIn(cache);
  let [sizeBytes, uniqueBytes] = [0, 0];
  for (const result of results) {
    for (const file of await filesIn(join(cache, result))) {
      // Layers that an image has are links to the image's.
      const { size, nlink } = (await lstat(file).catch(unlessGone)) ?? { size: 0, nlink: 1 };
      sizeBytes += size;
      if (nlink === 1) uniqueBytes += size;
    }
  }
  return { results: results.length, sizeBytes, uniqueBytes };
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const found = (await readdir(folder, { recursive: true, withFileTypes: true }).catch(unlessGone)) ?? [];
  return found.filter((file) => file.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

function unlessGone(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
  return undefined;
}

/** Bytes of all of these. */
export function totalOf(sizes: ReadonlyMap<Digest, number>): number {
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

async function sizeOf(path: string): Promise<number> {
  return (await lstat(path).catch(unlessGone))?.size ?? 0;
}
