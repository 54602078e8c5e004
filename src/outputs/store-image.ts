// A build's image into the store of this machine, and with it the bases that it stands on: the next build finds them there.
import { Readable } from 'node:stream';
import type { Emit } from '../events.ts';
import { splitDigest } from '../oci/digest.ts';
import { type StoredImage, describeImage, writeImage } from '../oci/stored-image.ts';
import { addToList } from '../store/image-list.ts';
import { imageStore, openStoreSink } from '../store/image-store.ts';

/** Where the store is, and what the image is called there; without a name it has its id alone. */
export interface StoreOutput {
  readonly folder: string;
  readonly names: readonly string[];
  /** The index of the store that it is to be part of. */
  readonly list?: string;
}

/** Images that were pulled for this build, by what the store calls them. */
export type PulledBases = ReadonlyMap<string, StoredImage>;

/** Writes the image, then names it. @throws ERR_USAGE where the store can't be written, ERR_LAYER */
export async function storeImage(
  { folder, names, list }: StoreOutput,
  stored: StoredImage,
  { bases, emit, signal }: { readonly bases: PulledBases; readonly emit: Emit; readonly signal: AbortSignal },
): Promise<void> {
  const store = imageStore(folder);
  emit({ kind: 'phase', phase: 'writing', detail: folder });
  {
    await using sink = await openStoreSink(store, names, signal);
    await writeImage(sink, stored, signal);
    if (list !== undefined) await addToList(store, list, [describeImage(stored)], { emit, signal });
  }
  const layers = new Set(stored.image.layers.map(({ descriptor }) => descriptor.digest));
  for (const [name, base] of bases) {
    if (!base.image.layers.every(({ descriptor }) => layers.has(descriptor.digest))) continue;
    await using sink = await openStoreSink(store, [name], signal);
    const { bytes, descriptor } = base.config;
    // Its layers have just been written: they are the image's, too.
    await sink.writeBlobs([{ descriptor, open: () => Readable.from([bytes], { objectMode: false }) }], signal);
    await sink.writeRoot(base.manifest, signal);
  }
  const { digest } = stored.manifest;
  const sizeBytes = stored.image.layers.reduce((sum, layer) => sum + layer.descriptor.size, 0);
  const shown = names.length === 0 ? [splitDigest(stored.config.descriptor.digest).hex] : names;
  for (const name of shown) emit({ kind: 'image.written', destination: `store:${name}`, digest, sizeBytes });
}
