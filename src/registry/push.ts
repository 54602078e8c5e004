// An image goes to its destinations as it is stored: blobs first and in parallel, the manifest when they are all there, then its tags.
import { BuilderError, RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { isForeign } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageBlob, Layer } from '../oci/image.ts';
import type { StoredManifest } from '../oci/manifest.ts';
import { type Reference, formatReference } from '../oci/reference.ts';
import type { ImageSink } from '../oci/source-and-sink.ts';
import { type StoredImage, writeImage } from '../oci/stored-image.ts';
import type { JointWork } from './joint-work.ts';
import type { Limit } from './limit.ts';
import { progressStepBytes } from './pull.ts';
import type { Repository, UploadSession } from './repository.ts';
import { uploadBlob } from './upload.ts';

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
  stored: StoredImage,
  destinations: readonly Reference[],
  options: PushOptions,
  signal: AbortSignal,
): Promise<readonly PushedImage[]> {
  const groups = Map.groupBy(destinations, (item) => item.registry);
  const digests = new Map<Reference, Digest>();
  await allOrAbort(signal, [...groups.values()], async (group, inner) => {
    // One repository after the other, so that the later ones can mount what the first one got.
    let earlier: Reference | undefined;
    for (const names of Map.groupBy(group, (item) => item.repository).values()) {
      const onNamed = (reference: Reference, digest: Digest): unknown => digests.set(reference, digest);
      await writeImage(repositorySink(context, { names, earlier, onNamed }, options), stored, inner);
      earlier ??= repositoryOf(names);
    }
  });
  return destinations.map((reference) => ({ reference, digest: digests.get(reference) ?? stored.manifest.digest }));
}

/** Names of one repository. */
interface SinkNames {
  readonly names: readonly Reference[];
  /** A repository of the same registry that has all blobs by now. */
  readonly earlier?: Reference | undefined;
  /** Gets what each name stands for in the end. */
  readonly onNamed?: (reference: Reference, digest: Digest) => void;
}

/** One repository as the place for an image. */
export function repositorySink(context: PushContext, { names, earlier, onNamed }: SinkNames, options: PushOptions): ImageSink {
  const at = repositoryOf(names);
  return {
    writeBlobs: async (blobs, signal) => {
      // An image may have the same layer twice.
      const distinct = new Map(blobs.map((blob) => [blob.descriptor.digest, blob]));
      await allOrAbort(signal, [...distinct.values()], async (blob, inner) => {
        const from = sameRegistry(blob.from, at) ?? earlier;
        const { descriptor, open } = blob;
        await pushBlob(context, { descriptor, open, ...(from === undefined ? {} : { from }) }, at, options, inner);
      });
    },
    writeManifest: async (manifest, signal) => await (await context.open(at, signal)).putManifest(manifest.digest, manifest, signal),
    writeRoot: async (root, signal) => {
      const repository = await context.open(at, signal);
      for (const reference of names) {
        const digest = await pushManifest(context, { repository, manifest: root, reference, options }, signal);
        onNamed?.(reference, digest);
      }
    },
  };
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
  blob: ImageBlob,
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

async function transfer(
  context: PushContext,
  repository: Repository,
  blob: ImageBlob,
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
  readonly manifest: StoredManifest;
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

function repositoryOf([first]: readonly Reference[]): Reference {
  if (first === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot push: there is no name to push to');
  return { registry: first.registry, repository: first.repository };
}

function sameRegistry(from: Reference | undefined, to: Reference): Reference | undefined {
  return from?.registry === to.registry && from.repository !== to.repository ? from : undefined;
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
