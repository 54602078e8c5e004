// What of a store nothing leads to any more: blobs of images that were removed, what a copy or a killed process left behind.
import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BuilderError, systemCode } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { parseJson } from '../oci/json.ts';
import { manifestLimitBytes, parseManifest } from '../oci/manifest.ts';
import { blobPath, readBlobFile } from './blob-file.ts';
import { type ImageStore, listEntries, lockStore, tryLockStore } from './image-store.ts';
import { textOf } from './layout-index.ts';
import { namesIn, noteBlobs } from './layout-removal.ts';
import { type CacheUsage, cacheUsage } from './store-usage.ts';

/** What was in the way, or is. */
export interface Leftover {
  readonly path: string;
  readonly sizeBytes: number;
}

const stateLimitBytes = 4 * 1024 * 1024;

/**
 * Which containers use which image: `image` of each `containers/ID/state.json` is the digest of a manifest. A container without a state
 * is half made, and uses nothing. @throws ERR_LAYER for a state that can't be read: then nobody may remove anything
 */
export async function readPins({ folder }: ImageStore): Promise<ReadonlyMap<Digest, readonly string[]>> {
  const pins = new Map<Digest, string[]>();
  for (const id of await namesIn(join(folder, 'containers'))) {
    const path = join(folder, 'containers', id, 'state.json');
    const text = await textOf(path, stateLimitBytes).catch((error: unknown) => {
      if (error instanceof BuilderError && systemCode(error.cause) === 'ENOTDIR') return undefined; // a file beside the containers
      throw error;
    });
    if (text === undefined) continue;
    const state = parseJson(text);
    const image = state instanceof Map ? state.get('image') : undefined;
    if (image === undefined || image === null || image === '') continue; // made from scratch
    if (typeof image !== 'string' || !isDigest(image))
      throw new BuilderError('ERR_LAYER', `Cannot tell which image container ${id} uses: "image" in ${path} is no digest`);
    pins.set(image, [...(pins.get(image) ?? []), id]);
  }
  return pins;
}

/**
 * Removes every file of the layout that nothing names, and gives what it was. Images that containers use stay whole, whatever index.json
 * says. `onWait` is told where it has to wait for who reads or writes images; without it nobody is waited for, all is left to the next
 * sweep, and undefined is given.
 * @throws ERR_LAYER for an image or a state that can't be read: then nothing is removed
 */
export async function sweepStore(
  store: ImageStore,
  onWait: (() => void) | undefined,
  signal: AbortSignal,
): Promise<readonly Leftover[] | undefined> {
  try {
    using blobs =
      onWait === undefined ? tryLockStore(store, 'blobs', 'exclusive') : await lockStore(store, 'blobs', 'exclusive', signal, onWait);
    if (blobs === undefined) return undefined;
    using _index = await lockStore(store, 'index', 'exclusive', signal);
    const leftovers = await findLeftovers(store, signal);
    for (const { path } of leftovers) await rm(path, { force: true });
    return leftovers;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []; // there is no store
    throw error;
  }
}

/** Empties the cache of the store, when no build works with it; gives what it held. @throws SystemError */
export async function emptyCache(store: ImageStore, onWait: () => void, signal: AbortSignal): Promise<CacheUsage> {
  if ((await namesIn(store.cache)).length === 0) return { results: 0, sizeBytes: 0, uniqueBytes: 0 };
  using _blobs = await lockStore(store, 'blobs', 'exclusive', signal, onWait);
  const usage = await cacheUsage(store);
  for (const result of await namesIn(store.cache)) await rm(join(store.cache, result), { recursive: true, force: true });
  return usage;
}

/** What a sweep would remove. Others may be about to name some of it. @throws as `sweepStore` */
export async function findLeftovers(store: ImageStore, signal: AbortSignal): Promise<readonly Leftover[]> {
  const { layout } = store;
  const needed = new Set<Digest>();
  for (const { descriptor } of await listEntries(store)) await noteBlobs(layout, descriptor, { needed, depth: 0 }, signal);
  for (const digest of (await readPins(store)).keys())
    for (const descriptor of await pinnedManifest(layout, digest, signal))
      await noteBlobs(layout, descriptor, { needed, depth: 0 }, signal);
  const leftovers: Leftover[] = [];
  const add = async (path: string): Promise<void> => {
    const { size } = await lstat(path);
    leftovers.push({ path, sizeBytes: size });
  };
  for (const name of await namesIn(layout)) if (isTemporary(name)) await add(join(layout, name));
  for (const algorithm of ['sha256', 'sha512']) {
    const folder = join(layout, 'blobs', algorithm);
    for (const name of await namesIn(folder)) {
      const digest = `${algorithm}:${name}`;
      if (isTemporary(name) || (isDigest(digest) && !needed.has(digest))) await add(join(folder, name));
    }
  }
  return leftovers;
}

/** A manifest that no entry may lead to any more; none where it is gone, too. */
async function pinnedManifest(layout: string, digest: Digest, signal: AbortSignal): Promise<readonly Descriptor[]> {
  try {
    const { size } = await lstat(blobPath(layout, digest));
    const descriptor = { mediaType: '', digest, size };
    const { mediaType } = parseManifest(await readBlobFile(layout, descriptor, manifestLimitBytes, signal), undefined);
    return [{ ...descriptor, mediaType }];
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** As `writeBeside` and `openArchiveWriter` name what is not whole yet. */
function isTemporary(name: string): boolean {
  return /^\.[0-9a-f-]{36}\.tmp$/.test(name);
}
