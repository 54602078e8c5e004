// Indexes of the store that grow image by image, as buildah's manifest lists: each change makes another index, which gets the name.
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { encodeIndex } from '../oci/image-index.ts';
import { type ImageIndex, manifestLimitBytes, parseManifest } from '../oci/manifest.ts';
import { formatPlatform, normalizePlatform } from '../oci/platform.ts';
import { readBlobFile } from './blob-file.ts';
import { type ImageStore, imageStore, listEntries, lockStore, removeEntries, storeSink } from './image-store.ts';

/** What an index says. */
export type ImageList = Pick<ImageIndex, 'manifests' | 'annotations'>;

/**
 * Changes the index of a whole name, undefined where there is none yet, and gives the digest of the new one. Others who change one
 * wait. The caller holds the store, where the images of the new index have to be. @throws ERR_USAGE when the name is an image's
 */
export async function changeList(
  store: ImageStore,
  name: string,
  change: (before: ImageList | undefined) => ImageList,
  signal: AbortSignal,
): Promise<Digest> {
  using _lock = await lockStore(store, 'lists', 'exclusive', signal);
  const before = (await listEntries(store)).find(({ names }) => names.includes(name));
  const view =
    before && parseManifest(await readBlobFile(store.layout, before.descriptor, manifestLimitBytes, signal), before.descriptor.mediaType);
  if (view?.kind === 'manifest')
    throw new BuilderError('ERR_USAGE', `Cannot change the index ${name}: the name is that of an image`, {
      hint: 'choose another name, or yadokari untag it',
    });
  const { manifests, annotations } = change(view);
  const index = encodeIndex(manifests, annotations);
  await storeSink(store, [name]).writeRoot(index, signal);
  // What it was before is nobody's any more, unless it has another name.
  if (before !== undefined && before.names.length === 1 && before.descriptor.digest !== index.digest)
    await removeEntries(store, new Set([before.descriptor.digest]), signal);
  return index.digest;
}

/** Adds images that were made just now, in place of what was for their platforms; a name that is not there gets an index. @throws as `changeList` */
export async function addToList(
  { folder }: Pick<ImageStore, 'folder'>,
  name: string,
  images: readonly Descriptor[],
  { emit, signal }: { readonly emit: Emit; readonly signal: AbortSignal },
): Promise<void> {
  const platforms = images.map(platformOf);
  const change = (before: ImageList | undefined): ImageList => ({
    manifests: [...(before?.manifests ?? []).filter((entry) => !platforms.includes(platformOf(entry))), ...images],
    annotations: before?.annotations ?? new Map(),
  });
  await changeList(imageStore(folder), name, change, signal);
  emit({ kind: 'note', level: 'info', message: `${name} has ${platforms.join(', ')} now` });
}

function platformOf({ platform, digest }: Descriptor): string {
  if (platform === undefined) return digest;
  return [formatPlatform(normalizePlatform(platform)), ...(platform.osVersion === undefined ? [] : [platform.osVersion])].join(' ');
}
