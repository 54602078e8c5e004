// An image from any place into the store of this machine, under the name that it has where it comes from.
import { BuilderError } from '../../errors.ts';
import { openBlobStore } from '../../layer/store.ts';
import { parseReference } from '../../oci/reference.ts';
import { type StoreImage, findImage } from '../../store/find-image.ts';
import { localName, registryName } from '../../store/image-names.ts';
import type { ImageStore } from '../../store/image-store.ts';
import type { CopyOptions } from '../../transports/copy.ts';
import { storePlace } from '../../transports/store-place.ts';
import type { Means, Place } from '../../transports/transport.ts';
import type { CommandInput } from '../command.ts';
import { copyWithRetries, quietOf } from '../transports/copy-command.ts';
import { openMeans, temporaryFolderOf } from '../requests/transport-request.ts';

/** Copies into the store under the name that the image has where it comes from. */
export async function copyInto(
  store: ImageStore,
  from: Place,
  options: CopyOptions,
  input: Pick<CommandInput, 'settings' | 'env' | 'report' | 'signal'>,
  given?: readonly string[],
): Promise<StoreImage> {
  const { settings, env, report, signal } = input;
  const emit = quietOf(settings, report);
  await using means = await openMeans(settings, '', { env, emit });
  await using blobs = openBlobStore(temporaryFolderOf(settings, env));
  const [name = '', ...moreNames] = given ?? (await namesAt(from, means, signal));
  // What has no manifest of its own gets one that every reader of a layout knows.
  const family = from.transport.hasManifests ? {} : { family: 'oci' as const };
  const copied = await copyWithRetries(
    from,
    storePlace(store, name),
    { ...family, ...options, moreNames },
    { settings, report, signal, means: { from: means, to: means, store: blobs, emit } },
  );
  if (!settings.boolean('quiet')) report.line('info', [from.name, '->', name, copied.digest].filter((word) => word !== '').join(' '));
  return (await findImage(store, copied.digest, signal)).image;
}

/** Whole names; none for an image that has none, or what can't be a name. */
async function namesAt(place: Place, means: Means, signal: AbortSignal): Promise<readonly string[]> {
  if (place.reference !== undefined) return [registryName(place.reference)];
  const given = place.imageName === undefined ? ((await place.listNames?.(means, signal)) ?? []) : [place.imageName];
  return wholeNames(place, given);
}

/** What names at a place are here; what can't be one is left out. In docker archives a short name is Docker Hub's, as docker has it. */
export function wholeNames({ transport }: Pick<Place, 'transport'>, names: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    try {
      return [transport.name === 'docker-archive' ? registryName(parseReference(name)) : localName(name)];
    } catch (error) {
      if (error instanceof BuilderError && error.code === 'ERR_REFERENCE') return [];
      throw error;
    }
  });
}
