// What `yadokari inspect` prints of an image of the store.
import { splitDigest } from '../../oci/digest.ts';
import { type JsonObject, jsonObject, parseJson } from '../../oci/json.ts';
import { findImage } from '../../store/find-image.ts';
import type { ImageStore } from '../../store/image-store.ts';
import type { Settings } from '../settings.ts';
import { withStoredImage } from './stored-image.ts';

/** What buildah knows of an image, of an index of the one for a platform, and of it as a container would see it. */
export async function inspectStored(store: ImageStore, text: string, settings: Settings, signal: AbortSignal): Promise<JsonObject> {
  const { image, name } = await findImage(store, text, signal);
  return await withStoredImage({ store, text, settings }, signal, async ({ manifest, config, image: { annotations } }) => {
    const configText = config.bytes.toString('utf8');
    return jsonObject({
      Type: 'yadokari',
      FromImage: name ?? image.names[0] ?? '',
      FromImageID: splitDigest(config.descriptor.digest).hex,
      FromImageDigest: manifest.digest,
      Names: image.names,
      Config: configText,
      Manifest: manifest.bytes.toString('utf8'),
      Container: '',
      ContainerID: '',
      MountPoint: '',
      ImageAnnotations: annotations,
      OCIv1: parseJson(configText),
      Docker: parseJson(configText),
    });
  });
}
