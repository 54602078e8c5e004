// Taking images out of the store, by podman's rules: a name goes alone while the image has others, and nobody's image goes by accident.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import type { Digest } from '../oci/digest.ts';
import { type StoreImage, findEntry, findImage, listImages } from './find-image.ts';
import { type ImageStore, type StoreEntry, removeEntries, removeNames } from './image-store.ts';
import { readPins } from './store-sweep.ts';

/** What became of one word. Blobs stay for the sweep. */
export interface RemovedImage {
  readonly untagged: readonly string[];
  /** The id of the image, where it is gone. */
  readonly id?: Digest;
}

/** What becomes of a container, by its id, that uses an image which goes by force. */
export type RemoveContainer = (id: string) => Promise<void>;

/**
 * Removes a name, or an image that has no other, or is named by its id. By `force` an id takes all names along, and an image the
 * containers that use it.
 * @throws ERR_REFERENCE where there is none, ERR_USAGE where it is in use or an id has several names
 */
export async function removeImage(
  store: ImageStore,
  text: string,
  force: RemoveContainer | undefined,
  signal: AbortSignal,
): Promise<RemovedImage> {
  const { entries, id, name } = await meant(store, text, signal);
  const names = entries.flatMap((entry) => entry.names);
  if (name !== undefined && names.length > 1) {
    await removeNames(store, [name], signal);
    return { untagged: [name] };
  }
  if (names.length > 1 && force === undefined)
    throw new BuilderError('ERR_USAGE', `Cannot remove image ${text}: it has the names ${names.join(', ')}`, {
      hint: 'name the one to take away, or all go with --force',
    });
  return await removeWhole(store, entries, { id, force }, signal);
}

/** Removes an image with all its names. @throws ERR_USAGE where it is in use */
export async function removeWholeImage(
  store: ImageStore,
  image: StoreImage,
  force: RemoveContainer | undefined,
  signal: AbortSignal,
): Promise<RemovedImage> {
  return await removeWhole(store, [image], { id: image.id, force }, signal);
}

/** Images that nobody uses: without a name, or with `all` whatever they are called. What is about another image stays with that. */
export async function unusedImages(store: ImageStore, isAll: boolean, signal: AbortSignal): Promise<readonly StoreImage[]> {
  const pins = await readPins(store);
  const images = await listImages(store, signal);
  const isUnused = ({ descriptor, names }: StoreImage): boolean => !pins.has(descriptor.digest) && (isAll || names.length === 0);
  const staying = new Set(
    images.filter((image) => image.view.subject === undefined && !isUnused(image)).map(({ descriptor }) => descriptor.digest),
  );
  return images.filter((image) => isUnused(image) && !staying.has(image.view.subject?.digest ?? image.descriptor.digest));
}

interface Meant {
  readonly entries: readonly StoreEntry[];
  readonly id: Digest;
  readonly name?: string;
}

/** By a name its image; by an id every image with it. One that can't be read is found by its name and its digest. */
async function meant(store: ImageStore, text: string, signal: AbortSignal): Promise<Meant> {
  try {
    const { image, name } = await findImage(store, text, signal);
    if (name !== undefined) return { entries: [image], id: image.id, name };
    return { entries: (await listImages(store, signal).catch(() => [image])).filter(({ id }) => id === image.id), id: image.id };
  } catch (error) {
    signal.throwIfAborted();
    const found = await findEntry(store, text);
    if (found === undefined) throw error;
    return { entries: [found.entry], id: found.entry.descriptor.digest, ...given({ name: found.name }) };
  }
}

async function removeWhole(
  store: ImageStore,
  entries: readonly StoreEntry[],
  { id, force }: { readonly id: Digest; readonly force: RemoveContainer | undefined },
  signal: AbortSignal,
): Promise<RemovedImage> {
  const pins = await readPins(store);
  const untagged = entries.flatMap(({ names }) => names);
  const users = entries.flatMap(({ descriptor }) => pins.get(descriptor.digest) ?? []);
  if (users.length > 0 && force === undefined)
    throw new BuilderError('ERR_USAGE', `Cannot remove image ${untagged[0] ?? id}: it is in use by container ${users.join(', ')}`, {
      hint: 'yadokari rm removes containers, and --force image and containers',
    });
  for (const user of users) await force?.(user);
  await removeEntries(store, new Set(entries.map(({ descriptor }) => descriptor.digest)), signal);
  return { untagged, id };
}
