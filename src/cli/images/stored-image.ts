// An image of the store, for commands that read it.
import { type StoredImage, readImage } from '../../oci/stored-image.ts';
import { findImage } from '../../store/find-image.ts';
import { type ImageStore, openStoreSource } from '../../store/image-store.ts';
import type { Settings } from '../settings.ts';
import { platformOf } from './obtain-image.ts';

/** What `use` makes of an image of the store, which stays while it does. @throws ERR_UNSUPPORTED where there is none for the platform */
export async function withStoredImage<Value>(
  { store, text, settings }: { readonly store: ImageStore; readonly text: string; readonly settings: Settings },
  signal: AbortSignal,
  use: (image: StoredImage) => Promise<Value>,
): Promise<Value> {
  const { image } = await findImage(store, text, signal);
  await using source = await openStoreSource(store, image, signal);
  return await use(await readImage(source, platformOf(settings), signal));
}
