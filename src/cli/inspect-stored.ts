// What `yadokari inspect` prints of an image of the store.
import { splitDigest } from '../oci/digest.ts';
import { type Json, type JsonObject, parseJson } from '../oci/json.ts';
import { findImage } from '../store/find-image.ts';
import { type ImageStore, openStoreSource } from '../store/image-store.ts';
import { notOneImage } from './stored-image.ts';

/** What buildah knows of an image, and of it as a container would see it. */
export async function inspectStored(store: ImageStore, text: string, signal: AbortSignal): Promise<JsonObject> {
  const { image, name } = await findImage(store, text, signal);
  if (image.config === undefined || image.view.kind === 'index') throw notOneImage(text);
  await using source = await openStoreSource(store, image, signal);
  const config = parseJson(image.config.text);
  return new Map<string, Json>([
    ['Type', 'yadokari'],
    ['FromImage', name ?? image.names[0] ?? ''],
    ['FromImageID', splitDigest(image.id).hex],
    ['FromImageDigest', image.descriptor.digest],
    ['Names', [...image.names]],
    ['Config', image.config.text],
    ['Manifest', source.root.bytes.toString('utf8')],
    ['Container', ''],
    ['ContainerID', ''],
    ['MountPoint', ''],
    ['ImageAnnotations', new Map(image.view.annotations)],
    ['OCIv1', config],
    ['Docker', config],
  ]);
}
