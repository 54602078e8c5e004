// One blob into one repository: one PUT where that works, chunks where it doesn't, a new session where one is lost.
import { Readable } from 'node:stream';
import { BuilderError, RegistryError } from '../errors.ts';
import type { ImageBlob } from '../oci/image.ts';
import type { Repository, UploadSession } from './repository.ts';
import { TransientError, withRetries } from './retry.ts';

export interface UploadOptions {
  /** Gets the number of bytes sent so far; it may fall when an upload starts over. */
  readonly onBytes: (doneBytes: number) => void;
  /** Bytes of one chunk where chunks are needed. */
  readonly chunkBytes?: number;
  /** A session that a mount request left open. */
  readonly session?: UploadSession;
}

const defaultChunkBytes = 16 * 1024 * 1024;
/** A whole PUT that broke off so often is tried in chunks. */
const wholeTries = 2;
/** Refusals that a new session may cure, at once; more of them in one upload are the registry's last word. */
const freshSessions = 2;
const sessionLost: ReadonlySet<string> = new Set(['BLOB_UPLOAD_INVALID', 'BLOB_UPLOAD_UNKNOWN']);
const contentRefused: ReadonlySet<string> = new Set(['DIGEST_INVALID', 'SIZE_INVALID']);

/** @throws RegistryError when the registry doesn't take the blob, or what `source.open` fails with. */
export async function uploadBlob(repository: Repository, source: ImageBlob, options: UploadOptions, signal: AbortSignal): Promise<void> {
  const state = { session: options.session, inChunks: false, broken: 0, lost: 0, refused: 0 };
  await withRetries(repository.retry, signal, async () => {
    for (;;) {
      const session = state.session ?? (await repository.startUpload(signal));
      state.session = undefined;
      try {
        if (state.inChunks) await sendChunks(repository, session, source, options, signal);
        else await sendWhole(repository, session, source, options, signal);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof RegistryError)) throw error;
        if (error instanceof TransientError) {
          state.broken += 1;
          if (error.status === undefined && state.broken >= wholeTries && source.descriptor.size > 0) state.inChunks = true;
          throw error;
        }
        if (!mayBeCured(error, state)) throw error;
        repository.retry.tell?.(`${error.message}; trying again at once, ${state.inChunks ? 'in chunks' : 'in a new session'}`);
      }
    }
  });
}

/** True where another way, or another session, may do what was refused for good. */
function mayBeCured(error: RegistryError, state: { inChunks: boolean; lost: number; refused: number }): boolean {
  const hasCode = (codes: ReadonlySet<string>): boolean => error.errors.some((item) => codes.has(item.code));
  if (error.code === 'ERR_AUTH') return false;
  // 413 may come from a proxy's limit; the others from registries that only know PATCH.
  if (!state.inChunks && (error.status === 413 || error.status === 405 || error.status === 501)) return (state.inChunks = true);
  if (error.status === 416 || hasCode(sessionLost)) return (state.lost += 1) <= freshSessions;
  if (hasCode(contentRefused)) return (state.refused += 1) === 1;
  return false;
}

async function sendWhole(
  repository: Repository,
  { location }: UploadSession,
  source: ImageBlob,
  options: UploadOptions,
  signal: AbortSignal,
): Promise<void> {
  const { descriptor } = source;
  let opened: Readable | undefined;
  const open = (): Readable => {
    // A redirect or a 401 needs the content once more: what was opened before is not read any further.
    opened?.destroy();
    opened = counted(source.open(signal), options.onBytes);
    return opened;
  };
  try {
    await repository.putBlob(location, descriptor, { open, sizeBytes: descriptor.size }, signal);
  } finally {
    opened?.destroy();
  }
}

/** distribution-spec: pushing a blob in chunks. A chunk that broke off goes on where the registry says it stopped. */
async function sendChunks(
  repository: Repository,
  session: UploadSession,
  source: ImageBlob,
  options: UploadOptions,
  signal: AbortSignal,
): Promise<void> {
  const { descriptor } = source;
  const chunkBytes = Math.max(options.chunkBytes ?? defaultChunkBytes, session.chunkMinBytes);
  let at = { location: session.location, doneBytes: 0 };
  let resumes = 0;
  let reader = new ByteReader(source.open(signal));
  const readFrom = async (doneBytes: number): Promise<void> => {
    await reader.close();
    reader = new ByteReader(source.open(signal), doneBytes);
  };
  try {
    while (at.doneBytes < descriptor.size) {
      const before = at.doneBytes;
      const sizeBytes = Math.min(chunkBytes, descriptor.size - before);
      let isFirst = true;
      const chunk = async function* (): AsyncGenerator<Buffer, void, undefined> {
        // A second opening (after a 401 or a redirect) needs the bytes once more.
        if (!isFirst) await readFrom(before);
        isFirst = false;
        yield* reader.take(sizeBytes);
      };
      const open = (): Readable => counted(Readable.from(chunk(), { objectMode: false }), (sent) => options.onBytes(before + sent));
      try {
        at = await repository.patchBlob(at.location, before, { open, sizeBytes }, signal);
      } catch (error) {
        signal.throwIfAborted();
        resumes += 1;
        const isResumable = error instanceof RegistryError && (error instanceof TransientError || error.status === 416);
        const status =
          isResumable && resumes < repository.retry.policy.tries ? await repository.uploadStatus(at.location, signal) : undefined;
        if (!(error instanceof RegistryError) || status === undefined || status.doneBytes > descriptor.size) throw error;
        repository.retry.tell?.(`${error.message}; going on after ${status.doneBytes} of ${descriptor.size} bytes`);
        await readFrom(status.doneBytes);
        at = status;
      }
    }
    // Reading on to the end is what lets the source say that its digest was wrong.
    await reader.finish();
  } finally {
    await reader.close();
  }
  await repository.putBlob(at.location, descriptor, undefined, signal);
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

/** The same bytes, told as they pass. */
export function counted(source: Readable, onBytes: (doneBytes: number) => void): Readable {
  const pass = async function* (): AsyncGenerator<Buffer, void, undefined> {
    let done = 0;
    for await (const chunk of source) {
      const bytes: unknown = chunk;
      if (!Buffer.isBuffer(bytes)) throw new BuilderError('ERR_INTERNAL', 'Cannot push a blob: the stream is not of bytes');
      done += bytes.length;
      onBytes(done);
      yield bytes;
    }
  };
  const out = Readable.from(pass(), { objectMode: false });
  // A body that undici gives up before it was read has started no iteration, so nothing else would close the source.
  out.once('close', () => source.destroy());
  return out;
}
