// One blob into one repository: one PUT where that works, chunks where it doesn't, a new session where one is lost.
import type { Readable } from 'node:stream';
import { BuilderError, RegistryError } from '../errors.ts';
import type { ImageBlob } from '../oci/image.ts';
import type { Repository } from './repository.ts';
import { Patience, TransientError, progressBytes } from './retry.ts';
import { type UploadSession, cancelMs, cancelUpload, patchBlob, putBlob, startUpload, uploadStatus } from './upload-verbs.ts';

export interface UploadOptions {
  /** Gets the number of bytes sent so far; it may fall when an upload starts over. */
  readonly onBytes: (doneBytes: number) => void;
  /** Bytes of one chunk where chunks are needed. */
  readonly chunkBytes?: number;
  /** From the outset, without trying whether the whole is taken. */
  readonly inChunks?: boolean;
  /** A session that a mount request left open. */
  readonly session?: UploadSession;
}

const defaultChunkBytes = 16 * 1024 * 1024;
/** Chunks that are too large, too, are not made any smaller than this. */
const leastChunkBytes = 1024 * 1024;
/** A whole PUT that broke off so often is tried in chunks. */
const wholeTries = 2;
/** Refusals that a new session may cure, at once; more of them in one upload are the registry's last word. */
const freshSessions = 2;
const sessionLost: ReadonlySet<string> = new Set(['BLOB_UPLOAD_INVALID', 'BLOB_UPLOAD_UNKNOWN']);
const contentRefused: ReadonlySet<string> = new Set(['DIGEST_INVALID', 'SIZE_INVALID']);

/** What earlier tries of one upload have shown. */
interface UploadState {
  session: UploadSession | undefined;
  /** Where content is, or was last, on its way to. */
  open: URL | undefined;
  inChunks: boolean;
  chunkBytes: number;
  /** Where a chunk broke off: the registry says how much of it is there. */
  unfinished: UploadSession | undefined;
  /** Bytes that the registry has had at the last failure, and has now. */
  hadBytes: number;
  doneBytes: number;
  broken: number;
  lost: number;
  refused: number;
}

/** @throws RegistryError when the registry doesn't take the blob, or what `source.open` fails with. */
export async function uploadBlob(repository: Repository, source: ImageBlob, options: UploadOptions, signal: AbortSignal): Promise<void> {
  const count = { hadBytes: 0, doneBytes: 0, broken: 0, lost: 0, refused: 0 };
  const state: UploadState = {
    session: options.session,
    open: options.session?.location,
    inChunks: options.inChunks === true,
    chunkBytes: Math.min(options.chunkBytes ?? defaultChunkBytes, source.descriptor.size),
    unfinished: undefined,
    ...count,
  };
  const patience = new Patience(repository.retry);
  for (;;) {
    try {
      // What broke off may have been the answer alone.
      if (state.broken > 0 && (await repository.hasBlob(source.descriptor.digest, signal)) === 'yes') return;
      await (state.inChunks ? sendChunks : sendWhole)({ repository, source, options, state }, signal);
      return;
    } catch (error) {
      if (signal.aborted && state.open !== undefined)
        await cancelUpload(repository, state.open, AbortSignal.timeout(cancelMs)).catch(() => undefined);
      signal.throwIfAborted();
      if (error instanceof RegistryError && mayBeCured(error, state)) {
        repository.retry.tell?.(`${error.message}; trying again at once, ${howAgain(state)}`);
        continue;
      }
      if (error instanceof TransientError) {
        state.broken += 1;
        // What breaks off again and again may be more than is let through, refused by a server that does not wait for us to hear it.
        if (error.status === undefined && state.broken >= wholeTries && source.descriptor.size > 0) {
          if (state.inChunks) state.chunkBytes = smaller(state.chunkBytes);
          state.inChunks = true;
        }
        if (state.doneBytes - state.hadBytes >= progressBytes) patience.renew();
        state.hadBytes = state.doneBytes;
      }
      await patience.wait(error, signal);
    }
  }
}

function howAgain({ inChunks, unfinished }: UploadState): string {
  if (!inChunks) return 'in a new session';
  return unfinished === undefined ? 'in chunks' : 'from where the registry is';
}

function smaller(chunkBytes: number): number {
  return Math.min(chunkBytes, Math.max(leastChunkBytes, Math.floor(chunkBytes / 4)));
}

/** True where another way, or another session, may do what was refused for good. */
function mayBeCured(error: RegistryError, state: UploadState): boolean {
  const hasCode = (codes: ReadonlySet<string>): boolean => error.errors.some((item) => codes.has(item.code));
  if (error instanceof TransientError || error.code === 'ERR_AUTH') return false;
  // 413 may come from a proxy's limit; the others from registries that only know PATCH.
  if (!state.inChunks && (error.status === 413 || error.status === 405 || error.status === 501)) return (state.inChunks = true);
  if (error.status === 413 && state.chunkBytes > leastChunkBytes) {
    state.chunkBytes = smaller(state.chunkBytes);
    return true;
  }
  if (hasCode(sessionLost)) state.unfinished = undefined;
  if (error.status === 416 || hasCode(sessionLost)) return (state.lost += 1) <= freshSessions;
  if (hasCode(contentRefused)) return (state.refused += 1) === 1;
  return false;
}

/** One try. */
interface Upload {
  readonly repository: Repository;
  readonly source: ImageBlob;
  readonly options: UploadOptions;
  readonly state: UploadState;
}

/** A session that is open and unused, or a new one. */
async function nextSession({ repository, state }: Upload, signal: AbortSignal): Promise<UploadSession> {
  const { session } = state;
  state.session = undefined;
  return session ?? (await startUpload(repository, signal));
}

async function sendWhole(upload: Upload, signal: AbortSignal): Promise<void> {
  const { repository, source, options, state } = upload;
  const { descriptor } = source;
  const { location } = await nextSession(upload, signal);
  state.open = location;
  let opened: Readable | undefined;
  const open = (): AsyncIterable<Buffer> => {
    // A redirect or a 401 needs the content once more: what was opened before is not read any further.
    opened?.destroy();
    opened = source.open(signal);
    return counted(opened, options.onBytes);
  };
  try {
    await putBlob(repository, location, descriptor, { open, sizeBytes: descriptor.size }, signal);
  } finally {
    opened?.destroy();
  }
}

/** distribution-spec: pushing a blob in chunks. A chunk that broke off is gone on with at the next try, where the registry says it stopped. */
async function sendChunks(upload: Upload, signal: AbortSignal): Promise<void> {
  const { repository, source, options, state } = upload;
  const { descriptor } = source;
  const begun = await resumed(upload, signal);
  const session = begun?.session ?? (await nextSession(upload, signal));
  const chunkBytes = Math.max(state.chunkBytes, session.chunkMinBytes);
  let at = { location: session.location, doneBytes: begun?.doneBytes ?? 0 };
  let reader = new ByteReader(source.open(signal), at.doneBytes);
  try {
    while (at.doneBytes < descriptor.size) {
      const before = at.doneBytes;
      const sizeBytes = Math.min(chunkBytes, descriptor.size - before);
      let isFirst = true;
      const chunk = async function* (): AsyncGenerator<Buffer, void, undefined> {
        // A second opening (after a 401 or a redirect) needs the bytes once more.
        if (!isFirst) {
          await reader.close();
          reader = new ByteReader(source.open(signal), before);
        }
        isFirst = false;
        yield* reader.take(sizeBytes);
      };
      const open = (): AsyncIterable<Buffer> => counted(chunk(), (sent) => options.onBytes(before + sent));
      state.doneBytes = before;
      state.open = at.location;
      state.unfinished = { ...session, location: at.location };
      at = await patchBlob(repository, at.location, before, { open, sizeBytes }, signal);
      state.unfinished = undefined;
    }
    // Reading on to the end is what lets the source say that its digest was wrong.
    await reader.finish();
  } finally {
    await reader.close();
  }
  state.open = at.location;
  await putBlob(repository, at.location, descriptor, undefined, signal);
}

/** The session whose chunk broke off, and the bytes that the registry has; undefined where there is none to go on with. */
async function resumed(
  { repository, source, state }: Upload,
  signal: AbortSignal,
): Promise<{ readonly session: UploadSession; readonly doneBytes: number } | undefined> {
  const { unfinished } = state;
  state.unfinished = undefined;
  if (unfinished === undefined) return undefined;
  const { size, digest } = source.descriptor;
  const status = await uploadStatus(repository, unfinished.location, signal);
  if (status === undefined || status.doneBytes > size) return undefined;
  repository.retry.tell?.(`going on with blob ${digest} after ${status.doneBytes} of ${size} bytes`);
  return { session: { ...unfinished, location: status.location }, doneBytes: status.doneBytes };
}

/** Takes a stream apart into runs of a given length. */
class ByteReader {
  readonly #stream: Readable;
  readonly #iterator: AsyncIterator<unknown>;
  #skip: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: Readable, skipBytes = 0) {
    this.#stream = stream;
    this.#iterator = stream[Symbol.asyncIterator]();
    this.#skip = skipBytes;
  }

  async *take(sizeBytes: number): AsyncGenerator<Buffer, void, undefined> {
    let left = sizeBytes;
    while (left > 0) {
      const chunk = await this.#next();
      if (chunk === undefined) throw new BuilderError('ERR_DIGEST_MISMATCH', 'Cannot push a blob: its source has fewer bytes than it said');
      const part = chunk.subarray(0, left);
      this.#rest = chunk.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  async finish(): Promise<void> {
    if ((await this.#next()) !== undefined)
      throw new BuilderError('ERR_DIGEST_MISMATCH', 'Cannot push a blob: its source has more bytes than it said');
  }

  async close(): Promise<void> {
    this.#stream.destroy();
    await this.#iterator.return?.();
  }

  async #next(): Promise<Buffer | undefined> {
    for (;;) {
      let chunk = this.#rest;
      this.#rest = Buffer.alloc(0);
      if (chunk.length === 0) {
        const result = await this.#iterator.next();
        if (result.done === true) return undefined;
        if (!Buffer.isBuffer(result.value)) throw new BuilderError('ERR_INTERNAL', 'Cannot push a blob: the stream is not of bytes');
        chunk = result.value;
      }
      if (this.#skip >= chunk.length) this.#skip -= chunk.length;
      else {
        const wanted = chunk.subarray(this.#skip);
        this.#skip = 0;
        return wanted;
      }
    }
  }
}

/** The same chunks, told as they pass. */
export async function* counted(
  source: AsyncIterable<Buffer>,
  onBytes: (doneBytes: number) => void,
): AsyncGenerator<Buffer, void, undefined> {
  let done = 0;
  for await (const chunk of source) {
    done += chunk.length;
    onBytes(done);
    yield chunk;
  }
}
