// Images of this machine as bases: what a name means in the store, before its registry is asked.
import type { Digest } from '../oci/digest.ts';
import type { StoreRequest } from '../build/request.ts';
import { BuilderError } from '../errors.ts';
import type { Image } from '../oci/image.ts';
import { formatPlatform, type Platform, platformMatches } from '../oci/platform.ts';
import type { Reference } from '../oci/reference.ts';
import { findImageIfAny } from '../store/find-image.ts';
import { localName, registryName } from '../store/image-names.ts';
import { imageStore, listEntries, type ImageStore, type StoreEntry } from '../store/image-store.ts';
import { readLayout } from '../store/oci-layout.ts';

export interface StoredBase {
  readonly image: Image;
  readonly digest: Digest;
}

/**
 * The image of a name, where the store has it for this platform and may be asked. `x` is localhost/x, then what registries make of it,
 * and never the end of another name: nobody who names a base means somebody else's.
 * @throws ERR_REFERENCE where it must be there and is not
 */
export async function findStoredBase(
  { folder, pull }: StoreRequest,
  text: string,
  references: readonly Reference[],
  { platform, signal }: { readonly platform: Platform; readonly signal: AbortSignal },
): Promise<StoredBase | undefined> {
  if (pull === 'always' || pull === 'newer') return undefined;
  const store = imageStore(folder);
  const entry = await findEntry(store, text, references, signal);
  const found = entry === undefined ? undefined : await readFor(store, entry, platform, signal);
  if (found !== undefined || pull === 'missing') return found;
  throw new BuilderError('ERR_REFERENCE', `Cannot use ${text}: it is not in ${folder} for ${formatPlatform(platform)}`, {
    hint: '--pull=never leaves registries alone; --pull=missing asks them for what is not there',
  });
}

async function findEntry(
  store: ImageStore,
  text: string,
  references: readonly Reference[],
  signal: AbortSignal,
): Promise<StoreEntry | undefined> {
  // An id, as a build prints it.
  if (/^(?:sha256:)?[0-9a-f]{12,64}$/.test(text)) return (await findImageIfAny(store, text, signal))?.image;
  const digest = references[0]?.digest;
  const entries = await listEntries(store);
  if (digest !== undefined) return entries.find(({ descriptor }) => descriptor.digest === digest);
  const wanted = [localName(text), ...references.map(registryName)];
  return wanted.flatMap((name) => entries.find(({ names }) => names.includes(name)) ?? [])[0];
}

/** Undefined where what is there is for another platform. */
async function readFor(store: ImageStore, entry: StoreEntry, platform: Platform, signal: AbortSignal): Promise<StoredBase | undefined> {
  try {
    const { image, digest } = await readLayout({ folder: store.layout, digest: entry.descriptor.digest }, platform, signal);
    return platformMatches(image.config, platform) ? { image, digest } : undefined;
  } catch (error) {
    if (error instanceof BuilderError && error.code === 'ERR_UNSUPPORTED') return undefined;
    throw error;
  }
}
