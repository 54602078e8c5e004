// `yadokari pull`: an image from any place into the store.
import { BuilderError } from '../errors.ts';
import { openBlobStore } from '../layer/store.ts';
import { type Digest, splitDigest } from '../oci/digest.ts';
import { formatReference, parseReference } from '../oci/reference.ts';
import { type StoreImage, findImage, findImageIfAny } from '../store/find-image.ts';
import { localName, registryName } from '../store/image-names.ts';
import type { ImageStore } from '../store/image-store.ts';
import type { CopyOptions } from '../transports/copy.ts';
import { storePlace } from '../transports/store-place.ts';
import { type Means, type Place, isPlaceName, parsePlace } from '../transports/transport.ts';
import { registryPlace, transports } from '../transports/transports.ts';
import type { CommandInput } from './command.ts';
import { copyWithRetries } from './copy-command.ts';
import { storeOf } from './store-request.ts';
import { pullPolicies } from './tables/store.ts';
import { copyOptionsOf, openMeans, temporaryFolderOf } from './transport-request.ts';

export type PullPolicy = (typeof pullPolicies)[number];

/** Pulls, and prints the id of each image. */
export async function runPullCommand(input: CommandInput): Promise<number> {
  const { settings, positionals, env, stdout } = input;
  const [text, ...others] = positionals;
  if (text === undefined || others.length > 0)
    throw new BuilderError('ERR_USAGE', `Cannot pull: ${positionals.length} images are named, and one is needed`, {
      hint: 'yadokari pull alpine:3.22, or a place as oci:FOLDER:NAME',
    });
  const store = storeOf(settings, env);
  const policy = settings.choice('policy', pullPolicies, 'missing');
  const chosen = copyOptionsOf(settings);
  const options: CopyOptions = settings.boolean('all-platforms') ? { ...chosen, selection: { kind: 'all' } } : chosen;
  const names = settings.boolean('all-tags') ? await tagsOf(text, input) : [text];
  for (const name of names) {
    const image = await pullImage(store, name, { policy, options }, input);
    stdout.write(`${splitDigest(image.id).hex}\n`);
  }
  return 0;
}

/**
 * The image of a name or a place, from the store where the policy lets it. A short name that is not there is Docker Hub's.
 * @throws ERR_REFERENCE where it must be there and is not; and what places throw
 */
export async function pullImage(
  store: ImageStore,
  text: string,
  { policy, options }: { readonly policy: PullPolicy; readonly options: CopyOptions },
  input: Pick<CommandInput, 'settings' | 'env' | 'report' | 'signal'>,
): Promise<StoreImage> {
  const { signal } = input;
  const from = isPlaceName(text, transports) ? parsePlace(text, transports) : undefined;
  const reference = from === undefined ? parseReference(text) : from.reference;
  // What is on disk is read again: it may be another image by now, and costs nothing.
  if (reference !== undefined && policy !== 'always') {
    const wanted = from === undefined ? text : registryName(reference);
    if (policy === 'never') return (await findImage(store, wanted, signal)).image;
    const there = await findImageIfAny(store, wanted, signal);
    if (there !== undefined) return there.image;
  }
  if (from !== undefined) return await copyInto(store, from, options, input);
  if (reference === undefined) throw new TypeError('a name without a transport is a reference');
  return await copyInto(store, registryPlace(reference), options, input);
}

/** Copies into the store under the name that the image has where it comes from. */
export async function copyInto(
  store: ImageStore,
  from: Place,
  options: CopyOptions,
  input: Pick<CommandInput, 'settings' | 'env' | 'report' | 'signal'>,
  given?: readonly string[],
): Promise<StoreImage> {
  const { settings, env, report, signal } = input;
  const isQuiet = settings.boolean('quiet');
  const emit: typeof report.emit = (event) => {
    if (!isQuiet || event.kind === 'warning') report.emit(event);
  };
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
  if (!isQuiet) report.line('info', [from.name, '->', name, copied.digest].filter((word) => word !== '').join(' '));
  return await stored(store, copied.digest, signal);
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

async function stored(store: ImageStore, digest: Digest, signal: AbortSignal): Promise<StoreImage> {
  return (await findImage(store, digest, signal)).image;
}

/** Every tag of a repository, as places. */
async function tagsOf(text: string, { settings, env, report, signal }: CommandInput): Promise<readonly string[]> {
  const place = isPlaceName(text, transports) ? parsePlace(text, transports) : registryPlace(parseReference(text));
  const { reference } = place;
  if (reference === undefined)
    throw new BuilderError('ERR_USAGE', `Cannot pull all tags of ${text}: it is in no registry`, {
      hint: 'yadokari load takes all images of an archive',
    });
  if (reference.digest !== undefined || /:[^/]*$/.test(text.slice(text.lastIndexOf('/'))))
    throw new BuilderError('ERR_USAGE', `Cannot pull all tags of ${text}: it names one`);
  await using means = await openMeans(settings, '', { env, emit: report.emit });
  const { registry, repository } = reference;
  return ((await place.listNames?.(means, signal)) ?? []).map((tag) => `docker://${formatReference({ registry, repository, tag })}`);
}
