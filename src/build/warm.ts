// What a warmer does: base images from their registries into a folder that builders read from.
import { makeFolder } from '../folders.ts';
import { join } from 'node:path';
import { bytesFromText } from '../bytes.ts';
import type { Dockerfile } from '../dockerfile/instruction.ts';
import { imagesOf } from '../dockerfile/images.ts';
import { BuilderError, inWords, orElse } from '../errors.ts';
import type { Emit } from '../events.ts';
import { waitForLock } from '../linux/file-lock.ts';
import { type Platform, formatPlatform, parsePlatform, platformMatches } from '../oci/platform.ts';
import { formatReference, parseReference, withDefaultTag } from '../oci/reference.ts';
import { readImage } from '../oci/stored-image.ts';
import type { BaseFolder } from '../outputs/base-folder.ts';
import type { RegistryClient } from '../registry/client.ts';

export interface WantedImage {
  readonly name: string;
  readonly platform: Platform;
}

export interface WarmScope {
  readonly folder: BaseFolder;
  readonly registry: Pick<RegistryClient, 'openSource'>;
  /** Images that are there are fetched and looked at again. */
  readonly isForced: boolean;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** The images that the stages of a Dockerfile begin with or read from, each once. @throws ERR_DOCKERFILE, ERR_USAGE */
export function imagesToWarm(
  dockerfile: Dockerfile,
  {
    platform,
    buildPlatform,
    buildArgs,
  }: { readonly platform: Platform; readonly buildPlatform: Platform; readonly buildArgs: ReadonlyMap<string, string> },
): readonly WantedImage[] {
  const wanted = imagesOf(dockerfile, { buildArgs, targetPlatform: platform, buildPlatform }).map(({ image, platform: named }) => ({
    name: image,
    platform: named === undefined ? platform : parsePlatform(named, buildPlatform),
  }));
  return [...new Map(wanted.map((each) => [`${each.name} ${formatPlatform(each.platform)}`, each])).values()];
}

/**
 * Puts each image into the folder. One of several that can't be had is a warning.
 * @returns how many are there now
 * @throws ERR_USAGE where the folder can't be written, what the only image fails by, and the signal's reason
 */
export async function warmImages(images: readonly WantedImage[], scope: WarmScope): Promise<number> {
  const { folder, emit, signal } = scope;
  orElse(() => makeFolder(folder.path), inWords('ERR_USAGE', `Cannot use ${folder.path} for base images`));
  let count = 0;
  for (const image of images) {
    try {
      await warmImage(image, scope);
      count++;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BuilderError) || images.length === 1) throw error;
      emit({ kind: 'warning', code: `warm ${image.name}`, message: error.message });
    }
  }
  return count;
}

async function warmImage({ name, platform }: WantedImage, { folder, registry, isForced, emit, signal }: WarmScope): Promise<void> {
  emit({ kind: 'phase', phase: 'pulling', detail: name });
  const reference = withDefaultTag(parseReference(name));
  const source = await registry.openSource(reference, signal);
  const stored = await readImage(source, platform, signal);
  const { digest } = stored.manifest;
  if (!platformMatches(stored.image.config, platform))
    emit({
      kind: 'warning',
      code: `warm-platform ${name}`,
      message: `${name} is for ${formatPlatform(stored.image.config)}, and not for ${formatPlatform(platform)}`,
    });
  using _ = await lockImage(join(folder.path, `.${digest}.lock`), { name, emit, signal });
  const isHere = !isForced && (await folder.holds(source.root, digest, platform, signal));
  if (!isHere) await folder.keep(formatReference(reference), source.root, stored, signal);
  emit({ kind: 'note', level: 'info', message: `${name} is ${isHere ? '' : 'now '}in ${folder.path} as ${digest}` });
}

/** Warmers that want the same image wait for the first. Where nothing can be locked, both fetch it, and nothing breaks. */
async function lockImage(
  path: string,
  { name, emit, signal }: Pick<WarmScope, 'emit' | 'signal'> & { readonly name: string },
): Promise<Disposable> {
  const onWait = (): void => emit({ kind: 'note', level: 'info', message: `waiting for another warmer, which fetches ${name}` });
  try {
    return await waitForLock(bytesFromText(path), 'exclusive', signal, onWait);
  } catch {
    signal.throwIfAborted();
    return { [Symbol.dispose]: () => undefined };
  }
}
