// What a word of a command line means in the store: a name, a short one, an id or the beginning of one, a digest.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { type Digest, isDigest, splitDigest } from '../oci/digest.ts';
import { type ImageConfig, parseImageConfig } from '../oci/image-config.ts';
import { type ImageIndex, type ImageManifest, configLimitBytes, manifestLimitBytes, parseManifest } from '../oci/manifest.ts';
import { isConfigType } from '../oci/media-type.ts';
import { parseReference, withDefaultTag } from '../oci/reference.ts';
import { readBlobFile } from './blob-file.ts';
import { chooseName, registryName } from './image-names.ts';
import { type ImageStore, type StoreEntry, listEntries } from './image-store.ts';

/** An image of the store with what it says of itself. */
export interface StoreImage extends StoreEntry {
  /** Engines' id: the digest of its config, of an index or another artifact its own. */
  readonly id: Digest;
  readonly view: ImageManifest | ImageIndex;
  /** As stored, byte for byte, and what it says; not of an index. */
  readonly config?: { readonly text: string; readonly image: ImageConfig };
}

/** What a word stands for, and the name by which that was found, if it was by one. */
export interface FoundImage {
  readonly image: StoreImage;
  readonly name?: string;
}

/** Every image, those that came last first. @throws ERR_LAYER naming one that can't be read */
export async function listImages(store: ImageStore, signal: AbortSignal): Promise<readonly StoreImage[]> {
  const images: StoreImage[] = [];
  for (const entry of (await listEntries(store)).toReversed()) images.push(await describeImage(store, entry, signal));
  return images;
}

/** @throws ERR_REFERENCE when there is none, or the beginning of an id is that of several */
export async function findImage(store: ImageStore, text: string, signal: AbortSignal): Promise<FoundImage> {
  const found = await findImageIfAny(store, text, signal);
  if (found !== undefined) return found;
  throw new BuilderError('ERR_REFERENCE', `Cannot find image ${JSON.stringify(text)}: it is not in ${store.folder}`, {
    hint: 'yadokari images lists what there is, yadokari pull fetches more',
  });
}

/** As `findImage`; undefined where there is none. */
export async function findImageIfAny(store: ImageStore, text: string, signal: AbortSignal): Promise<FoundImage | undefined> {
  const entries = await listEntries(store);
  const found = entryOf(text, entries);
  if (found !== undefined) {
    const { entry, name } = found;
    return { image: await describeImage(store, entry, signal), ...given({ name }) };
  }
  const wanted = /^(?:sha256:)?([0-9a-f]{3,64})$/.exec(text)?.[1];
  if (wanted === undefined && !isDigest(text)) return undefined;
  const isMeant = (digest: Digest): boolean => digest === text || (wanted !== undefined && splitDigest(digest).hex.startsWith(wanted));
  const images: StoreImage[] = [];
  for (const entry of entries) {
    // A broken image must not hide the others, and is found by its manifest's digest.
    const image = await describeImage(store, entry, signal).catch((error: unknown) => {
      if (isMeant(entry.descriptor.digest)) throw error;
    });
    if (image !== undefined && (isMeant(image.id) || isMeant(entry.descriptor.digest))) images.push(image);
  }
  const ids = new Set(images.map(({ id }) => id));
  if (ids.size > 1) throw new BuilderError('ERR_REFERENCE', `Cannot choose an image: ${text} may be ${[...ids].join(', ')}`);
  const [image] = images;
  return image === undefined ? undefined : { image };
}

/** @throws ERR_LAYER naming the image when its manifest or config can't be read */
export async function describeImage(store: ImageStore, entry: StoreEntry, signal: AbortSignal): Promise<StoreImage> {
  const { descriptor, names } = entry;
  try {
    const view = parseManifest(await readBlobFile(store.layout, descriptor, manifestLimitBytes, signal), descriptor.mediaType);
    if (view.kind === 'index' || !isConfigType(view.config.mediaType)) return { ...entry, id: descriptor.digest, view };
    const text = (await readBlobFile(store.layout, view.config, configLimitBytes, signal)).toString('utf8');
    return { ...entry, id: view.config.digest, view, config: { text, image: parseImageConfig(text) } };
  } catch (error) {
    if (!(error instanceof BuilderError) || signal.aborted) throw error;
    const name = names[0] ?? descriptor.digest;
    throw new BuilderError(error.code, `Cannot read image ${name} of ${store.folder}: ${error.message}`, {
      cause: error,
      hint: `yadokari rmi ${descriptor.digest} removes it`,
    });
  }
}

/** What is found without reading any image: by a name, or the digest of a manifest. @throws ERR_REFERENCE for a name that may be several */
export async function findEntry(store: ImageStore, text: string): Promise<FoundEntry | undefined> {
  return entryOf(text, await listEntries(store));
}

export interface FoundEntry {
  readonly entry: StoreEntry;
  readonly name?: string;
}

function entryOf(text: string, entries: readonly StoreEntry[]): FoundEntry | undefined {
  const name = nameOf(text, entries);
  const entry = entries.find(({ descriptor, names }) => (name === undefined ? descriptor.digest === text : names.includes(name)));
  return entry === undefined ? undefined : { entry, ...given({ name }) };
}

/** The whole name that is meant; with a digest that of an image of this repository, whatever its tag is. */
function nameOf(text: string, entries: readonly StoreEntry[]): string | undefined {
  if (isDigest(text)) return undefined;
  const names = entries.flatMap((entry) => entry.names);
  let digest: Digest | undefined;
  try {
    ({ digest } = parseReference(text));
  } catch (error) {
    // An id is no name, and a word that is neither is not here.
    if (error instanceof BuilderError && error.code === 'ERR_REFERENCE') return undefined;
    throw error;
  }
  if (digest === undefined) return chooseName(text, names);
  const repository = text.slice(0, text.indexOf('@'));
  const own = entries.filter(({ descriptor }) => descriptor.digest === digest).flatMap((entry) => entry.names);
  const withoutTag = own.map((name) => {
    const { registry, repository: path } = parseReference(name);
    return { name, plain: registryName(withDefaultTag({ registry, repository: path })) };
  });
  const chosen = chooseName(repository.replace(/:[^/:]+$/, ''), [...new Set(withoutTag.map(({ plain }) => plain))]);
  return withoutTag.find(({ plain }) => plain === chosen)?.name;
}
