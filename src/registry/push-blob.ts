// One blob goes into a repository: it is there, or on its way, or can be mounted from where it is; else it is sent.
import { BuilderError, RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageBlob } from '../oci/image.ts';
import type { Reference } from '../oci/reference.ts';
import type { JointWork } from './joint-work.ts';
import type { Limit } from './limit.ts';
import { progressStepBytes } from './pull.ts';
import type { Repository } from './repository.ts';
import { type UploadSession, cancelUpload, mountBlob, putBlob, startUpload } from './upload-verbs.ts';
import { uploadBlob } from './upload.ts';

export interface PushOptions {
  /** Nobody waits for a registry that refuses connections: for caches. */
  readonly isHelp?: boolean;
  /** A tag that may not be overwritten, and exists, is no failure: what it points to is reported. */
  readonly ignoreImmutableTags?: boolean;
  /** Bytes of one chunk where a registry wants chunks. */
  readonly chunkBytes?: number;
  /** The image was made just now: what is from no registry is hardly in this one. */
  readonly isFresh?: boolean;
  /** Hears of each name as soon as it stands for the image, or for what may not be overwritten. */
  readonly onPushed?: (pushed: PushedImage) => void;
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
  /** What is larger is sent in chunks of so many bytes. */
  readonly chunkBytes?: number;
}

/** So much of what is new is sent without asking. */
const smallBytes = 64 * 1024;

/** A blob that is on its way already, all but its digest: where the upload goes on, once all is there. */
export type BegunUpload = Promise<URL>;

/** Sends one blob to one repository, unless it is there, or on its way there, or can be mounted. @throws RegistryError */
export async function pushBlob(
  context: PushContext,
  blob: ImageBlob,
  reference: Reference,
  options: PushOptions & { readonly begun?: BegunUpload },
  signal: AbortSignal,
): Promise<void> {
  await context.uploads.get(uploadKey(reference, blob), signal, async (inner) => {
    await context.limit(async () => {
      const repository = await context.open(reference, inner);
      const isSent = options.begun !== undefined && (await finishBegun(context, repository, blob, options.begun, inner));
      const how = isSent ? 'transferred' : await transfer(context, repository, blob, options, inner);
      context.emit({ kind: 'blob.finished', direction: 'push', descriptor: blob.descriptor, repository: repository.name, how });
    });
  });
}

/** False where it has to be sent anew. */
async function finishBegun(
  { emit }: PushContext,
  repository: Repository,
  { descriptor }: ImageBlob,
  begun: BegunUpload,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await putBlob(repository, await begun, descriptor, undefined, signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BuilderError)) throw error;
    emit({ kind: 'note', level: 'debug', message: `${descriptor.digest} is sent anew: ${error.message}` });
    return false;
  }
}

/** Sends a blob whatever the registry says of it. */
export async function sendAgain(
  context: PushContext,
  blob: ImageBlob,
  reference: Reference,
  options: PushOptions,
  signal: AbortSignal,
): Promise<void> {
  const key = uploadKey(reference, blob);
  context.uploads.delete(key);
  await context.uploads.get(key, signal, async (inner) => {
    await context.limit(async () => await upload(context, await context.open(reference, inner), { blob, options }, inner));
  });
}

function uploadKey(reference: Reference, { descriptor }: ImageBlob): string {
  return `${reference.registry}/${reference.repository}@${descriptor.digest}`;
}

async function transfer(
  context: PushContext,
  repository: Repository,
  blob: ImageBlob,
  options: PushOptions,
  signal: AbortSignal,
): Promise<'transferred' | 'exists' | 'mounted'> {
  const { digest, size } = blob.descriptor;
  const from = sameRegistry(blob.from, repository.reference);
  // A mount also says yes to what is there already.
  const begun = from === undefined ? undefined : await mount(repository, digest, from.repository, signal);
  if (begun === 'mounted') return 'mounted';
  const isNew = options.isFresh === true && begun === undefined && blob.from === undefined;
  const session = isNew && size <= smallBytes ? undefined : await beginUnlessThere(repository, digest, { begun, isNew }, signal);
  if (session === 'exists') return 'exists';
  await upload(context, repository, { blob, options, ...given({ session }) }, signal);
  return 'transferred';
}

/**
 * Whether the blob is there, and the session to send it in: for a new one it is asked for at the same time, since the answer is a
 * round trip away. Undefined where none was to be had: the upload will say why.
 */
async function beginUnlessThere(
  repository: Repository,
  digest: Digest,
  { begun, isNew }: { readonly begun: UploadSession | undefined; readonly isNew: boolean },
  signal: AbortSignal,
): Promise<UploadSession | 'exists' | undefined> {
  const beginning = isNew ? startUpload(repository, signal, { retry: false }) : Promise.resolve(begun);
  const [there, opening] = await Promise.allSettled([repository.hasBlob(digest, signal), beginning]);
  signal.throwIfAborted();
  const session = opening.status === 'fulfilled' ? opening.value : undefined;
  if (there.status === 'fulfilled' && there.value !== 'yes') return session;
  if (session !== undefined) await cancelUpload(repository, session.location, signal);
  if (there.status === 'rejected') throw there.reason;
  return 'exists';
}

async function upload(
  context: PushContext,
  repository: Repository,
  { blob, options, session }: { readonly blob: ImageBlob; readonly options: PushOptions; readonly session?: UploadSession },
  signal: AbortSignal,
): Promise<void> {
  const tell = progressOf(context.emit, repository);
  const onBytes = (doneBytes: number): void => tell(blob.descriptor, doneBytes);
  const { chunkBytes = options.chunkBytes } = context;
  const inChunks = context.chunkBytes !== undefined && blob.descriptor.size > context.chunkBytes;
  const wishes = { onBytes, inChunks, ...given({ session, chunkBytes }) };
  await uploadBlob(repository, blob, wishes, signal);
}

/** Tells of a blob's bytes that are sent, a mebibyte at a time. */
export function progressOf(emit: Emit, { name }: Repository): (descriptor: Descriptor, doneBytes: number) => void {
  let told = 0;
  return (descriptor, doneBytes) => {
    if (doneBytes >= told && doneBytes - told < progressStepBytes && doneBytes < descriptor.size) return;
    told = doneBytes;
    emit({ kind: 'blob.progress', direction: 'push', descriptor, repository: name, doneBytes });
  };
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
    return await mountBlob(repository, digest, from, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

/** `from` where its blobs can be mounted at `to`. */
export function sameRegistry(from: Reference | undefined, to: Reference): Reference | undefined {
  return from?.registry === to.registry && from.repository !== to.repository ? from : undefined;
}
