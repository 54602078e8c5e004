// What a name stands for in a registry or its mirrors, as it is stored there; and the image in it that fits a platform.
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BuilderError, RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { type Descriptor, isForeign } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Platform, formatPlatform, platformMatches } from '../oci/platform.ts';
import { type Reference, formatReference } from '../oci/reference.ts';
import type { ImageSource } from '../oci/source-and-sink.ts';
import { type StoredImage, readImage } from '../oci/stored-image.ts';
import { openBlob } from './blob.ts';
import { listReferrers } from './referrers.ts';
import type { Repository } from './repository.ts';

/** A blob.progress event at most so often, in bytes. */
export const progressStepBytes = 1024 * 1024;

/** What a pull found: the image that was chosen for the platform, as the bytes that were pulled. */
export interface PulledImage extends StoredImage {
  /** Of the manifest or index that was asked for: what `FROM name@digest` would name. */
  readonly digest: Digest;
  /** The name that was asked for, with the digest. */
  readonly reference: Reference;
}

/** A repository that may have the image; opened when its turn comes, since one that is not needed may be out of reach. */
export interface Candidate {
  readonly registry: string;
  readonly repository: string;
  readonly open: (signal: AbortSignal) => Promise<Repository>;
}

/**
 * What `use` makes of the first candidate that has the name. Undefined where every one says that there is no such image.
 * @throws RegistryError, ERR_LAYER or ERR_UNSUPPORTED of the last one that failed; what the others said is told.
 */
export async function fromFirst<Value>(
  candidates: readonly Candidate[],
  { reference, emit, use }: { readonly reference: Reference; readonly emit: Emit; readonly use: (source: ImageSource) => Promise<Value> },
  signal: AbortSignal,
): Promise<Value | undefined> {
  let failure: BuilderError | undefined;
  for (const [position, { registry, repository }] of candidates.entries()) {
    const isLast = position + 1 === candidates.length;
    try {
      const source = await openSource(candidates.slice(position), reference, emit, signal);
      if (source !== undefined) return await use(source);
      // Also of the last one, where the error will be what another one said.
      if (!isLast || failure !== undefined)
        emit({
          kind: 'note',
          level: 'info',
          message: `${registry}/${repository} has no such image${isLast ? '' : '; trying the next place'}`,
        });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BuilderError)) throw error;
      failure = error;
      if (!isLast) emit({ kind: 'warning', code: 'mirror', message: `${error.message}; trying the next place` });
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}

/** What `take` gives for the first of the names that it gives something for. @throws what the last one throws; others become warnings */
export async function firstOf<Value>(
  names: readonly Reference[],
  { emit, take }: { readonly emit: Emit; readonly take: (name: Reference) => Promise<Value> },
  signal: AbortSignal,
): Promise<Value> {
  for (const [position, name] of names.entries()) {
    try {
      return await take(name);
    } catch (error) {
      if (!(error instanceof BuilderError) || signal.aborted || position + 1 === names.length) throw error;
      emit({ kind: 'warning', code: 'mirror', message: `${error.message}; trying the next place` });
    }
  }
  throw new BuilderError('ERR_INTERNAL', 'Cannot pull an image: it has no name');
}

/** The image of a source for a platform. @throws as `readImage` */
export async function pullFrom(
  source: ImageSource,
  { reference, platform, emit }: { readonly reference: Reference; readonly platform: Platform; readonly emit: Emit },
  signal: AbortSignal,
): Promise<PulledImage> {
  const stored = await readImage(source, platform, signal);
  const { config } = stored.image;
  if (config.os !== '' && !platformMatches(config, platform)) {
    const message = `${source.name} is for ${formatPlatform(config)}, not for ${formatPlatform(platform)}`;
    emit({ kind: 'warning', code: 'platform', message });
  }
  const told = config.history.filter((entry) => entry.emptyLayer !== true).length;
  const count = config.diffIds.length;
  if (told > 0 && told !== count) {
    const message = `${source.name} has ${count} ${count === 1 ? 'layer' : 'layers'}, and a history of ${told}`;
    emit({ kind: 'warning', code: 'history', message });
  }
  const { digest } = source.root;
  return { ...stored, digest, reference: { ...reference, digest } };
}

/** The name in the first candidate; its blobs come from the later ones where it fails. Undefined where it has no such name. */
async function openSource(
  candidates: readonly Candidate[],
  reference: Reference,
  emit: Emit,
  signal: AbortSignal,
): Promise<ImageSource | undefined> {
  const [first] = candidates;
  if (first === undefined) return undefined;
  const repository = await first.open(signal);
  const root = await repository.manifest(reference.digest ?? reference.tag ?? 'latest', signal);
  if (root === undefined) return undefined;
  emit({ kind: 'note', level: 'debug', message: `${formatReference(reference)} is taken from ${repository.name}@${root.digest}` });
  /** Places that sent a blob with other bytes: the next try goes past them. */
  const doubtful = new Set<Candidate>();
  return {
    name: formatReference(reference),
    root,
    manifest: async (descriptor, reading) => {
      const found = await repository.manifest(descriptor.digest, reading, descriptor.mediaType);
      if (found !== undefined) return found;
      throw new BuilderError(
        'ERR_REGISTRY',
        `Cannot pull ${repository.name}: its index names ${descriptor.digest}, which the registry does not have`,
      );
    },
    bytes: async (descriptor, limitBytes, reading) => {
      if (descriptor.size > limitBytes)
        throw new BuilderError(
          'ERR_LAYER',
          `Cannot read blob ${descriptor.digest} of ${repository.name}: it has more than ${limitBytes} bytes`,
        );
      const open = async (): Promise<Repository> => repository;
      return await buffer(openBlob(open, descriptor, { onBytes: () => undefined }, reading));
    },
    open: (descriptor, reading) => {
      const trusted = candidates.filter((candidate, position) => position + 1 === candidates.length || !doubtful.has(candidate));
      return openLayer(trusted, { descriptor, emit, doubt: (candidate) => doubtful.add(candidate) }, reading);
    },
    from: { registry: first.registry, repository: first.repository },
    referrers: async (subject, reading) => await listReferrers(repository, subject, reading),
  };
}

/** From the first that has the blob; a mirror need not have every blob of a manifest that it has, nor stay till its end. */
function openLayer(
  candidates: readonly Candidate[],
  { descriptor, emit, doubt }: { readonly descriptor: Descriptor; readonly emit: Emit; readonly doubt: (candidate: Candidate) => unknown },
  signal: AbortSignal,
): Readable {
  const [first, ...others] = candidates;
  if (first === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot open a layer: it comes from nowhere');
  if (isForeign(descriptor)) {
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
      const candidate = others.shift();
      if (candidate === undefined) return undefined;
      emit({ kind: 'warning', code: 'mirror', message: `${reason.message}; trying the next place` });
      try {
        return await candidate.open(opening);
      } catch (error) {
        opening.throwIfAborted();
        if (!(error instanceof RegistryError) || others.length === 0) throw error;
        reason = error;
      }
    }
  };
  const blob = openBlob(first.open, descriptor, { onBytes, next }, signal);
  blob.once('error', (error) => {
    if (error instanceof BuilderError && error.code === 'ERR_DIGEST_MISMATCH') doubt(first);
  });
  return blob;
}
