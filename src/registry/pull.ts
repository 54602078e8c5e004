// A reference becomes an Image: its manifest chosen by platform, its config read, its layers ready to be opened.
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BuilderError, RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Image, Layer } from '../oci/image.ts';
import { parseImageConfig } from '../oci/image-config.ts';
import { type ImageManifest, configLimitBytes, parseManifest, selectPlatform } from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import { type Platform, formatPlatform, platformMatches } from '../oci/platform.ts';
import { type Reference, formatReference } from '../oci/reference.ts';
import { readAgainOnMismatch } from './again.ts';
import { openBlob } from './blob.ts';
import type { Repository } from './repository.ts';

const indexDepthLimit = 3;
/** A blob.progress event at most so often, in bytes. */
export const progressStepBytes = 1024 * 1024;

/** What a pull found. */
export interface PulledImage {
  readonly image: Image;
  /** Of the manifest or index that was asked for: what `FROM name@digest` would name. */
  readonly digest: Digest;
  /** Of the manifest that was chosen for the platform. */
  readonly manifestDigest: Digest;
  /** The name that was asked for, with the digest. */
  readonly reference: Reference;
}

/** Where a reference may be found; opened when its turn comes, since a place that is not needed may be out of reach. */
export interface Place {
  readonly registry: string;
  readonly repository: string;
  readonly open: (signal: AbortSignal) => Promise<Repository>;
}

/**
 * Pulls from the first place that has it. Undefined where every place says that there is no such image.
 * @throws RegistryError, ERR_LAYER or ERR_UNSUPPORTED of the last place; what mirrors said before becomes warnings.
 */
export async function pullFrom(
  places: readonly Place[],
  reference: Reference,
  platform: Platform,
  emit: Emit,
  signal: AbortSignal,
): Promise<PulledImage | undefined> {
  let failure: BuilderError | undefined;
  for (const [position, place] of places.entries()) {
    try {
      const found = await pullOne({ place, later: places.slice(position), reference, platform, emit }, signal);
      if (found !== undefined) return found;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BuilderError)) throw error;
      failure = error;
      if (position + 1 < places.length) emit({ kind: 'warning', code: 'mirror', message: `${error.message}; trying the next place` });
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}

interface PullWish {
  readonly place: Place;
  /** The place itself and those after it. */
  readonly later: readonly Place[];
  readonly reference: Reference;
  readonly platform: Platform;
  readonly emit: Emit;
}

async function pullOne(wish: PullWish, signal: AbortSignal): Promise<PulledImage | undefined> {
  const { later, reference, platform, emit } = wish;
  const { place } = wish;
  const repository = await place.open(signal);
  const target = reference.digest ?? reference.tag ?? 'latest';
  const asked = await repository.manifest(target, signal);
  if (asked === undefined) return undefined;
  const { manifest, digest } = await choose(repository, asked, platform, signal);
  const configBytes = await readAgainOnMismatch(() => readConfig(repository, manifest.config, signal), signal);
  const config = parseImageConfig(configBytes.toString('utf8'));
  const layers = manifest.layers.map((descriptor, position): Layer => {
    const diffId = config.diffIds[position];
    if (diffId === undefined)
      throw new BuilderError('ERR_LAYER', `Cannot use ${formatReference(reference)}: its config names fewer layers than its manifest`);
    return {
      descriptor,
      diffId,
      open: (opening) => openLayer(later, descriptor, emit, opening),
      from: { registry: place.registry, repository: place.repository },
    };
  });
  if (config.diffIds.length !== layers.length) {
    throw new BuilderError('ERR_LAYER', `Cannot use ${formatReference(reference)}: its config names more layers than its manifest`);
  }
  if (config.os !== '' && !platformMatches(config, platform)) {
    const message = `${formatReference(reference)} is for ${formatPlatform(config)}, not for ${formatPlatform(platform)}`;
    emit({ kind: 'warning', code: 'platform', message });
  }
  return {
    image: { config, layers, family: manifest.family, annotations: manifest.annotations },
    digest: asked.digest,
    manifestDigest: digest,
    reference: { ...reference, digest: asked.digest },
  };
}

async function choose(
  repository: Repository,
  asked: { readonly bytes: Buffer; readonly mediaType: string | undefined; readonly digest: Digest },
  platform: Platform,
  signal: AbortSignal,
): Promise<{ readonly manifest: ImageManifest; readonly digest: Digest }> {
  let stored = asked;
  for (let depth = 0; depth <= indexDepthLimit; depth++) {
    const parsed = parseManifest(stored.bytes, stored.mediaType);
    if (parsed.kind === 'manifest') return { manifest: parsed, digest: stored.digest };
    const entry = selectPlatform(parsed, platform);
    const next = await repository.manifest(entry.digest, signal);
    if (next === undefined) {
      throw new BuilderError(
        'ERR_REGISTRY',
        `Cannot pull ${repository.name}: its index names ${entry.digest}, which the registry does not have`,
      );
    }
    // The index's word counts, not the Content-Type of the answer.
    stored = { ...next, mediaType: entry.mediaType };
  }
  throw new BuilderError('ERR_LAYER', `Cannot pull ${repository.name}: its indexes are nested more than ${indexDepthLimit} deep`);
}

async function readConfig(repository: Repository, descriptor: Descriptor, signal: AbortSignal): Promise<Buffer> {
  const isImage = descriptor.mediaType === MediaType.ociConfig || descriptor.mediaType === MediaType.dockerConfig;
  if (!isImage) {
    throw new BuilderError(
      'ERR_UNSUPPORTED',
      `Cannot use ${repository.name} as an image: its config is ${JSON.stringify(descriptor.mediaType)}`,
    );
  }
  if (descriptor.size > configLimitBytes) {
    throw new BuilderError('ERR_LAYER', `Cannot use ${repository.name}: its config has more than ${configLimitBytes} bytes`);
  }
  const open = async (): Promise<Repository> => await Promise.resolve(repository);
  return await buffer(openBlob(open, descriptor, { onBytes: () => undefined }, signal));
}

/** From the first place that has the blob; a mirror need not have every blob of a manifest that it has, nor stay till its end. */
function openLayer(places: readonly Place[], descriptor: Descriptor, emit: Emit, signal: AbortSignal): Readable {
  const [first, ...others] = places;
  if (first === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot open a layer: it comes from nowhere');
  if (descriptor.urls !== undefined && isForeign(descriptor)) {
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot pull layer ${descriptor.digest}: its content is kept outside of the registry`);
  }
  const repository = `${first.registry}/${first.repository}`;
  let told = 0;
  const onBytes = (doneBytes: number): void => {
    if (doneBytes - told < progressStepBytes && doneBytes < descriptor.size) return;
    told = doneBytes;
    emit({ kind: 'blob.progress', direction: 'pull', descriptor, repository, doneBytes });
    if (doneBytes === descriptor.size) emit({ kind: 'blob.finished', direction: 'pull', descriptor, repository, how: 'transferred' });
  };
  const next = async (failure: RegistryError, opening: AbortSignal): Promise<Repository | undefined> => {
    for (let reason: RegistryError = failure; ;) {
      const place = others.shift();
      if (place === undefined) return undefined;
      emit({ kind: 'warning', code: 'mirror', message: `${reason.message}; trying the next place` });
      try {
        return await place.open(opening);
      } catch (error) {
        opening.throwIfAborted();
        if (!(error instanceof RegistryError) || others.length === 0) throw error;
        reason = error;
      }
    }
  };
  return openBlob(first.open, descriptor, { onBytes, next }, signal);
}

function isForeign(descriptor: Descriptor): boolean {
  return descriptor.mediaType === MediaType.dockerForeignLayerGzip || descriptor.mediaType === MediaType.ociForeignLayerGzip;
}
