// The store of this machine as a place. Its images keep the manifest that they came with, Docker's too; what had none gets OCI's.
import { findImage } from '../store/find-image.ts';
import { type ImageStore, openStoreSink, openStoreSource } from '../store/image-store.ts';
import type { Place, TransportTraits } from './transport.ts';

const transport: TransportTraits = {
  name: 'store',
  families: ['oci', 'docker'],
  hasIndexes: true,
  hasManifests: true,
  layers: 'compressed',
};

/** An image of the store: to be read whatever finds it, to be written its whole name, or nothing where it is to have none. */
export function storePlace(store: ImageStore, text: string): Place {
  return {
    transport,
    name: text === '' ? store.folder : text,
    openSource: async (_means, signal) => await openStoreSource(store, (await findImage(store, text, signal)).image, signal),
    openSink: async (_means, moreNames, signal) => await openStoreSink(store, [...(text === '' ? [] : [text]), ...moreNames], signal),
  };
}
