// The image that a container begins with: in the store, or fetched into it.
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { type Platform, hostPlatform, parsePlatform } from '../../oci/platform.ts';
import { type Reference, withDefaultTag } from '../../oci/reference.ts';
import { readImage, type StoredImage } from '../../oci/stored-image.ts';
import { firstOf } from '../../registry/pull.ts';
import { type FoundImage, type StoreImage, findImage, findImageIfAny } from '../../store/find-image.ts';
import { registryName } from '../../store/image-names.ts';
import { type ImageStore, openStoreSource } from '../../store/image-store.ts';
import { readContainersConf } from '../../surroundings/containers-conf.ts';
import type { CopyOptions } from '../../transports/copy.ts';
import { isPlaceName, parsePlace } from '../../transports/places.ts';
import { registryPlace } from '../../transports/transports.ts';
import type { CommandInput } from '../command.ts';
import { copyInto } from './copy-into-store.ts';
import type { Settings } from '../settings.ts';

export const pullPolicies = ['true', 'newer', 'ifnewer', 'false', 'missing', 'ifmissing', 'always', 'never'] as const;
export type PullPolicy = (typeof pullPolicies)[number];

/**
 * The image of a name or a place, fetched where the policy says so: `missing` asks only for what is not there, `newer` does without an
 * answer. A short name that is not there is what registries.conf says, else Docker Hub's. @throws ERR_REFERENCE where there is none, and as `copyInto`
 */
export async function obtainImage(
  input: Pick<CommandInput, 'settings' | 'env' | 'report' | 'signal'>,
  store: ImageStore,
  text: string,
  { policy, options }: { readonly policy: PullPolicy; readonly options: CopyOptions },
): Promise<FoundImage> {
  const { signal, report } = input;
  const { emit } = report;
  const place = isPlaceName(text) ? parsePlace(text) : undefined;
  // What is on disk is read again: it may be another image by now, and costs nothing.
  const wanted = place === undefined ? text : place.reference === undefined ? undefined : registryName(place.reference);
  const found = wanted === undefined ? undefined : await findImageIfAny(store, wanted, signal);
  if (policy === 'never') return found ?? (await findImage(store, wanted ?? text, signal));
  // An id or a name of this machine is nothing that a registry has.
  const isOurs = found !== undefined && (found.name === undefined || found.name.startsWith('localhost/'));
  if (isOurs || (found !== undefined && ['false', 'missing', 'ifmissing'].includes(policy))) return found;
  try {
    const names = place === undefined ? readContainersConf(input.env, emit).registries.wholeNames(text) : [];
    const take = async (name: Reference): Promise<StoreImage> => await copyInto(store, registryPlace(withDefaultTag(name)), options, input);
    const image = await (place === undefined ? firstOf(names, { emit, take }, signal) : copyInto(store, place, options, input));
    const [name] = image.names;
    return { image, ...given({ name }) };
  } catch (error) {
    if (found === undefined || policy === 'always' || policy === 'true' || !(error instanceof BuilderError) || signal.aborted) throw error;
    return found;
  }
}

/** What an image of the store says, and where its layers are. It stays in the store while the disposable is held. */
export async function readStored(
  store: ImageStore,
  image: Parameters<typeof openStoreSource>[1],
  platform: Platform,
  signal: AbortSignal,
): Promise<{ readonly stored: StoredImage } & AsyncDisposable> {
  const source = await openStoreSource(store, image, signal);
  return { stored: await readImage(source, platform, signal), [Symbol.asyncDispose]: async () => await source[Symbol.asyncDispose]() };
}

/** What `--pull` and the platform's flags say. */
export function pullingOf(settings: Settings): { readonly policy: PullPolicy; readonly options: CopyOptions } {
  const selection = { kind: 'host', platform: platformOf(settings) } as const;
  const policy = oldPullPolicy(settings) ?? settings.choice('pull', pullPolicies, 'missing');
  return { policy, options: { selection } };
}

/** What buildah's switches of old say. */
export function oldPullPolicy(settings: Settings): 'always' | 'never' | undefined {
  return settings.boolean('pull-always') ? 'always' : settings.boolean('pull-never') ? 'never' : undefined;
}

/** `--platform`, or `--os`, `--arch` and `--variant`, over this machine's. */
export function platformOf(settings: Settings): Platform {
  const host = hostPlatform(process.arch);
  const named = settings.text('platform');
  if (named !== undefined) return parsePlatform(named, host);
  const variant = settings.text('variant');
  const architecture = settings.text('arch');
  if (variant === undefined && architecture === undefined) return { ...host, os: settings.text('os') ?? host.os };
  return {
    os: settings.text('os') ?? host.os,
    architecture: architecture ?? host.architecture,
    ...given({ variant }),
  };
}
