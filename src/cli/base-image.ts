// The image that a container begins with: in the store, or fetched into it.
import { BuilderError } from '../errors.ts';
import { type Platform, hostPlatform, parsePlatform } from '../oci/platform.ts';
import { parseReference, withDefaultTag } from '../oci/reference.ts';
import { readImage, type StoredImage } from '../oci/stored-image.ts';
import { type FoundImage, findImage, findImageIfAny } from '../store/find-image.ts';
import { type ImageStore, openStoreSource } from '../store/image-store.ts';
import { isPlaceName, parsePlace } from '../transports/transport.ts';
import { registryPlace, transports } from '../transports/transports.ts';
import type { CommandInput } from './command.ts';
import { copyInto } from './pull-command.ts';
import type { Settings } from './settings.ts';

export const pullPolicies = ['true', 'newer', 'ifnewer', 'false', 'missing', 'ifmissing', 'always', 'never'] as const;

/** The image that `text` means, fetched where the policy says so. @throws ERR_REFERENCE where there is none, and as `copyInto` */
export async function obtainImage(input: CommandInput, store: ImageStore, text: string): Promise<FoundImage> {
  const { settings, signal } = input;
  const policy = settings.choice('pull', pullPolicies, 'missing');
  const isPlace = isPlaceName(text, transports);
  const found = isPlace ? undefined : await findImageIfAny(store, text, signal);
  if (policy === 'never') return found ?? (await findImage(store, text, signal));
  // An id or a name of this machine is nothing that a registry has.
  const isOurs = found !== undefined && (found.name === undefined || found.name.startsWith('localhost/'));
  if (isOurs || (found !== undefined && ['false', 'missing', 'ifmissing'].includes(policy))) return found;
  const place = isPlace ? parsePlace(text, transports) : registryPlace(withDefaultTag(parseReference(text)));
  try {
    const image = await copyInto(store, place, { selection: { kind: 'host', platform: platformOf(settings) } }, input);
    const [name] = image.names;
    return { image, ...(name === undefined ? {} : { name }) };
  } catch (error) {
    // "newer" asks, and does without an answer.
    if (found === undefined || policy === 'always' || !(error instanceof BuilderError) || signal.aborted) throw error;
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
    ...(variant === undefined ? {} : { variant }),
  };
}
