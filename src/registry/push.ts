// An Image goes to its destinations: blobs first and in parallel, the manifest when they are all there, then its tags.
import { Readable } from 'node:stream';
import { RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Image, Layer } from '../oci/image.ts';
import { type ManifestBytes, manifestOf } from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import { type Reference, formatReference } from '../oci/reference.ts';
import type { Limit } from './limit.ts';
import { progressStepBytes } from './pull.ts';
import type { Repository, UploadSession } from './repository.ts';
import type { JointWork } from './joint-work.ts';
import { type BlobSource, uploadBlob } from './upload.ts';

export interface PushOptions {
  /** A tag that may not be overwritten, and exists, is no failure: what it points to is reported. */
  readonly ignoreImmutableTags?: boolean;
  /** Bytes of one chunk where a registry wants chunks. */
  readonly chunkBytes?: number;
}

export interface PushedImage {
  readonly reference: Reference;
  readonly digest: Digest;
}

/** A blob on its way, and where else it may be. */
export interface PushableBlob extends BlobSource {
  readonly from?: Reference;
}

/** What pushes share: the open repositories, what is known to be where, and how much goes on at once. */
export interface PushContext {
  readonly open: (reference: Reference, signal: AbortSignal) => Promise<Repository>;
  /** By `registry/repository@digest`: uploads under way or done. */
  readonly uploads: JointWork<string, void>;
  readonly limit: Limit;
  readonly emit: Emit;
}

/** Pushes to every destination; the answer has one entry for each, in their order. @throws RegistryError */
export async function pushTo(
  context: PushContext,
  image: Image,
  destinations: readonly Reference[],
  options: PushOptions,
  signal: AbortSignal,
): Promise<readonly PushedImage[]> {
  const manifest = manifestOf(image);
  const groups = Map.groupBy(destinations, (item) => item.registry);
  const digests = new Map<Reference, Digest>();
  await allOrAbort(signal, [...groups.values()], async (group, inner) => {
    // One repository after the other, so that the later ones can mount what the first one got.
    let earlier: Reference | undefined;
    for (const items of Map.groupBy(group, (item) => item.repository).values()) {
      const [first] = items;
      if (first === undefined) continue;
      await pushBlobs(context, { manifest, image, reference: first, earlier, options }, inner);
      const repository = await context.open(first, inner);
      for (const item of items) digests.set(item, await pushManifest(context, { repository, manifest, reference: item, options }, inner));
      earlier ??= { registry: first.registry, repository: first.repository };
    }
  });
  return destinations.map((reference) => ({ reference, digest: digests.get(reference) ?? manifest.digest }));
}

/**
 * Sends a layer ahead of its image, to the first repository of each registry; the others mount it when the image is pushed.
 * @throws RegistryError; nothing of it is remembered
 */
export async function pushAhead(
  context: PushContext,
  layer: Layer,
  destinations: readonly Reference[],
  signal: AbortSignal,
): Promise<void> {
  if (isForeign(layer.descriptor)) return;
  const firsts = [...Map.groupBy(destinations, (item) => item.registry).values()].flatMap((group) => group.slice(0, 1));
  await allOrAbort(signal, firsts, async (reference, inner) => await pushBlob(context, layer, reference, {}, inner));
}

/** Sends one blob to one repository, unless it is there, or on its way there, or can be mounted. @throws RegistryError */
export async function pushBlob(
  context: PushContext,
  blob: PushableBlob,
  reference: Reference,
  options: PushOptions,
  signal: AbortSignal,
): Promise<void> {
  const key = `${reference.registry}/${reference.repository}@${blob.descriptor.digest}`;
  await context.uploads.get(key, signal, async (inner) => {
    await context.limit(async () => {
      const repository = await context.open(reference, inner);
      const how = await transfer(context, repository, blob, options, inner);
      context.emit({ kind: 'blob.finished', direction: 'push', descriptor: blob.descriptor, repository: repository.name, how });
    });
  });
}

/**
 * Finds out, before hours of building, whether we may push: starts an upload and cancels it.
 * @throws RegistryError with ERR_AUTH when we may not.
 */
export async function probePush(repository: Repository, signal: AbortSignal): Promise<void> {
  const { location } = await repository.startUpload(signal);
  await repository.cancelUpload(location, signal);
}

interface BlobsWish {
  readonly manifest: ManifestBytes;
  readonly image: Image;
  readonly reference: Reference;
  /** A repository of the same registry that has all of them by now. */
  readonly earlier: Reference | undefined;
  readonly options: PushOptions;
}

async function pushBlobs(context: PushContext, wish: BlobsWish, signal: AbortSignal): Promise<void> {
  const { manifest, image, reference, earlier, options } = wish;
  const blobs = new Map<Digest, PushableBlob>();
  for (const layer of image.layers) {
    if (isForeign(layer.descriptor)) continue;
    const from = sameRegistry(layer.from, reference) ?? earlier;
    blobs.set(layer.descriptor.digest, { descriptor: layer.descriptor, open: layer.open, ...(from === undefined ? {} : { from }) });
  }
  const { bytes, descriptor } = manifest.config;
  blobs.set(descriptor.digest, {
    descriptor,
    open: () => Readable.from([bytes], { objectMode: false }),
    ...(earlier === undefined ? {} : { from: earlier }),
  });
  await allOrAbort(signal, [...blobs.values()], async (blob, inner) => {
    await pushBlob(context, blob, reference, options, inner);
  });
}

async function transfer(
  context: PushContext,
  repository: Repository,
  blob: PushableBlob,
  options: PushOptions,
  signal: AbortSignal,
): Promise<'transferred' | 'exists' | 'mounted'> {
  const { descriptor } = blob;
  if ((await repository.hasBlob(descriptor.digest, signal)) === 'yes') return 'exists';
  const from = sameRegistry(blob.from, repository.reference);
  const session = from === undefined ? undefined : await mount(repository, descriptor.digest, from.repository, signal);
  if (session === 'mounted') return 'mounted';
  let told = 0;
  const onBytes = (doneBytes: number): void => {
    if (doneBytes >= told && doneBytes - told < progressStepBytes && doneBytes < descriptor.size) return;
    told = doneBytes;
    context.emit({ kind: 'blob.progress', direction: 'push', descriptor, repository: repository.name, doneBytes });
  };
  const { chunkBytes } = options;
  await uploadBlob(
    repository,
    blob,
    { onBytes, ...(session === undefined ? {} : { session }), ...(chunkBytes === undefined ? {} : { chunkBytes }) },
    signal,
  );
  return 'transferred';
}

/** Mounting is a favour: whatever goes wrong with it, the blob can still be sent. */
async function mount(
  repository: Repository,
  digest: Digest,
  from: string,
  signal: AbortSignal,
): Promise<UploadSession | 'mounted' | undefined> {
  if (from === repository.reference.repository) return undefined;
  try {
    return await repository.mount(digest, from, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

interface ManifestWish {
  readonly repository: Repository;
  readonly manifest: ManifestBytes;
  readonly reference: Reference;
  readonly options: PushOptions;
}

async function pushManifest(context: PushContext, wish: ManifestWish, signal: AbortSignal): Promise<Digest> {
  const { repository, manifest, reference, options } = wish;
  const target = reference.tag ?? manifest.digest;
  try {
    await repository.putManifest(target, manifest, signal);
    return manifest.digest;
  } catch (error) {
    signal.throwIfAborted();
    if (options.ignoreImmutableTags !== true || !(error instanceof RegistryError) || !isImmutableTag(error)) throw error;
    const existing = await repository.resolve(target, signal);
    if (existing === undefined) throw error;
    const message = `${formatReference(reference)} may not be overwritten: it stays ${existing}, the new image is ${manifest.digest}`;
    context.emit({ kind: 'warning', code: 'immutable-tag', message });
    return existing;
  }
}

// ECR, Google, Harbor, GitLab: there is no error code for it, only words.
function isImmutableTag(error: RegistryError): boolean {
  const text = [error.message, ...error.errors.map((item) => item.message)].join(' ');
  return /immutab|cannot be overwritten|already exists.*overwrit|cannot update tag/i.test(text);
}

function sameRegistry(from: Reference | undefined, to: Reference): Reference | undefined {
  return from?.registry === to.registry && from.repository !== to.repository ? from : undefined;
}

function isForeign(descriptor: Descriptor): boolean {
  const { mediaType, urls } = descriptor;
  return urls !== undefined && (mediaType === MediaType.dockerForeignLayerGzip || mediaType === MediaType.ociForeignLayerGzip);
}

/** Like Promise.all, but the first failure stops the others, and none is left running behind. */
async function allOrAbort<Item>(
  signal: AbortSignal,
  items: readonly Item[],
  task: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const inner = AbortSignal.any([signal, controller.signal]);
  const failures: unknown[] = [];
  await Promise.all(
    items.map(async (item) => {
      try {
        await task(item, inner);
      } catch (error) {
        failures.push(error);
        controller.abort(error);
      }
    }),
  );
  signal.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}
