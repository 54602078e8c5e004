// An image goes to its destinations as it is stored: blobs first and in parallel, the manifest when they are all there, then its tags.
import { BuilderError, RegistryError, messageOf } from '../errors.ts';
import { given } from '../given.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageBlob } from '../oci/image.ts';
import type { StoredManifest } from '../oci/manifest.ts';
import { type Reference, formatReference } from '../oci/reference.ts';
import type { ImageSink } from '../oci/source-and-sink.ts';
import { type StoredImage, writeImage } from '../oci/stored-image.ts';
import { type PushContext, type PushOptions, type PushedImage, pushBlob, sameRegistry, sendAgain } from './push-blob.ts';
import { allOrAbort } from './all-or-abort.ts';
import { isImmutableTag } from './immutable-tag.ts';
import { putReferrer } from './referrers.ts';
import type { Repository } from './repository.ts';
import { changed } from './response.ts';
import { cancelUpload, startUpload } from './upload-verbs.ts';

/**
 * Pushes to every destination; the answer has one entry for each, in their order. A registry that fails doesn't stop the others.
 * @throws RegistryError; where some were pushed, it says which
 */
export async function pushTo(
  context: PushContext,
  stored: StoredImage,
  destinations: readonly Reference[],
  options: PushOptions,
  signal: AbortSignal,
): Promise<readonly PushedImage[]> {
  const digests = new Map<Reference, Digest>();
  const onNamed = (reference: Reference, digest: Digest): void => {
    digests.set(reference, digest);
    options.onPushed?.({ reference, digest });
  };
  const pushGroup = async (group: readonly Reference[]): Promise<void> => {
    // One repository after the other, so that the later ones can mount what the first one got.
    let earlier: Reference | undefined;
    for (const names of Map.groupBy(group, (item) => item.repository).values()) {
      await writeImage(repositorySink(context, { names, earlier, onNamed }, options), stored, signal);
      earlier ??= repositoryOf(names);
    }
  };
  const groups = [...Map.groupBy(destinations, (item) => item.registry).values()];
  const ends = await Promise.allSettled(groups.map(pushGroup));
  signal.throwIfAborted();
  const failures = ends.flatMap((end): readonly unknown[] => (end.status === 'rejected' ? [end.reason] : []));
  if (failures.length > 0) throw pushFailure(failures, destinations, digests);
  return destinations.map((reference) => ({ reference, digest: digests.get(reference) ?? stored.manifest.digest }));
}

/** What failed, and what did not. */
function pushFailure(failures: readonly unknown[], destinations: readonly Reference[], pushed: ReadonlyMap<Reference, Digest>): unknown {
  const [first] = failures;
  if (!(first instanceof RegistryError) || destinations.length === 1) return first;
  const messages = failures.map(messageOf);
  const list = (items: readonly Reference[]): string => (items.length === 0 ? 'nothing' : items.map(formatReference).join(', '));
  const [done, left] = [destinations.filter((item) => pushed.has(item)), destinations.filter((item) => !pushed.has(item))];
  return changed(first, { message: `${messages.join('; ')}; pushed: ${list(done)}; not pushed: ${list(left)}` });
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
  const sent = new Map<Digest, ImageBlob>();
  /** Once more after a refusal for want of a blob that was said to be there: registries forget, and some lie about mounts. */
  const withBlobs = async <Value>(put: () => Promise<Value>, signal: AbortSignal): Promise<Value> => {
    try {
      return await put();
    } catch (error) {
      const lacking = lackingBlobs(error, [...sent.values()]);
      if (lacking.length === 0) throw error;
      const message = `${messageOf(error)}; sending ${lacking.length} of its blobs again`;
      context.emit({ kind: 'warning', code: 'blob-lost', message });
      await allOrAbort(signal, lacking, async (blob, inner) => await sendAgain(context, blob, at, options, inner));
      return await put();
    }
  };
  return {
    writeBlobs: async (blobs, signal) => {
      // An image may have the same layer twice.
      const distinct = new Map(blobs.map((blob) => [blob.descriptor.digest, blob]));
      await allOrAbort(signal, [...distinct.values()], async (blob, inner) => {
        const from = sameRegistry(blob.from, at) ?? earlier;
        const { descriptor, open } = blob;
        sent.set(descriptor.digest, blob);
        await pushBlob(context, { descriptor, open, ...given({ from }) }, at, options, inner);
      });
    },
    writeManifest: async (manifest, signal) => {
      const repository = await context.open(at, signal);
      await withBlobs(async () => await repository.putManifest(manifest.digest, manifest, signal), signal);
    },
    writeRoot: async (root, signal) => {
      const repository = await context.open(at, signal);
      for (const reference of names) {
        const put = async (): Promise<Digest> => await pushManifest(context, { repository, manifest: root, reference, options }, signal);
        const digest = await withBlobs(put, signal);
        onNamed?.(reference, digest);
      }
    },
    writeReferrer: async (manifest, signal) => await putReferrer(await context.open(at, signal), manifest, signal),
  };
}

/** Those that a registry's refusal of a manifest names; all where it names none. */
function lackingBlobs(error: unknown, sent: readonly ImageBlob[]): readonly ImageBlob[] {
  if (!(error instanceof RegistryError)) return [];
  const lost = error.errors.filter(({ code }) => code === 'MANIFEST_BLOB_UNKNOWN' || code === 'BLOB_UNKNOWN');
  if (lost.length === 0) return [];
  const named = sent.filter(({ descriptor }) => lost.some(({ message }) => message.includes(descriptor.digest)));
  return named.length > 0 ? named : sent;
}

/**
 * Finds out, before hours of building, whether we may push: starts an upload and cancels it.
 * @throws RegistryError with ERR_AUTH when we may not.
 */
export async function probePush(repository: Repository, signal: AbortSignal): Promise<void> {
  const { location } = await startUpload(repository, signal);
  // Nobody needs to wait for that, nor for its failure.
  void cancelUpload(repository, location, signal).catch(() => undefined);
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
    if (!(error instanceof RegistryError)) throw error;
    if (!isImmutableTag(error)) throw isKindRefused(error) ? changed(error, { hint: otherKindHint(manifest) }) : error;
    if (options.ignoreImmutableTags !== true) throw changed(error, { hint: immutableHint });
    const existing = await repository.resolve(target, signal);
    if (existing === undefined) throw error;
    const message = `${formatReference(reference)} may not be overwritten: it stays ${existing}, the new image is ${manifest.digest}`;
    context.emit({ kind: 'warning', code: 'immutable-tag', message });
    return existing;
  }
}

const immutableHint = 'push to a new tag, or take an existing one for success with --push-ignore-immutable-tag-errors';

/** zot takes no Docker media types, and older registries no OCI ones. */
function isKindRefused({ status, errors }: RegistryError): boolean {
  return status === 415 || errors.some(({ code }) => code === 'MANIFEST_INVALID');
}

/** Of a manifest; distribution-spec: registries should take 4 MiB, and many take no more. */
const commonLimitBytes = 4 * 1024 * 1024;

function otherKindHint({ mediaType, bytes }: StoredManifest): string {
  if (bytes.length > commonLimitBytes)
    return `the manifest has ${bytes.length} bytes, and most registries take no more than ${commonLimitBytes}`;
  const [kind, other] = mediaType.startsWith('application/vnd.docker.') ? ['docker', 'oci'] : ['oci', 'docker'];
  return `the registry may not take ${kind} images: try --image-format=${other}, or for a copy --format=${other}`;
}

function repositoryOf([first]: readonly Reference[]): Reference {
  if (first === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot push: there is no name to push to');
  return { registry: first.registry, repository: first.repository };
}
