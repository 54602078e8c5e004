// One blob into one repository: one PUT where that works, chunks where it doesn't, a new session where one is lost.
import { Readable } from 'node:stream';
import { BuilderError, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Repository } from './repository.ts';
import { TransientError, withRetries } from './retry.ts';

/** Content that can be read again from its start. */
export interface BlobSource {
  readonly descriptor: Descriptor;
  readonly open: (signal: AbortSignal) => Readable;
}

export interface UploadOptions {
  /** Gets the number of bytes sent so far; it may fall when an upload starts over. */
  readonly onBytes: (doneBytes: number) => void;
  /** Bytes of one chunk where chunks are needed. */
  readonly chunkBytes?: number;
  /** A session that a mount request left open. */
  readonly session?: URL;
}

const defaultChunkBytes = 16 * 1024 * 1024;
/** A whole PUT that broke off so often is tried in chunks. */
const wholeTries = 2;
const sessionLost: ReadonlySet<string> = new Set([
  'TOOMANYREQUESTS',
  'UNAVAILABLE',
  'UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
]);
const contentRefused: ReadonlySet<string> = new Set(['DIGEST_INVALID', 'SIZE_INVALID']);

/** @throws RegistryError when the registry doesn't take the blob, or what `source.open` fails with. */
export async function uploadBlob(repository: Repository, source: BlobSource, options: UploadOptions, signal: AbortSignal): Promise<void> {
  let session = options.session;
  let inChunks = false;
  let broken = 0;
  let refusals = 0;
  await withRetries(repository.retry, signal, async () => {
    const location = session ?? (await start(repository, signal));
    session = undefined;
    try {
      if (inChunks) await sendChunks(repository, location, source, options, signal);
      else await sendWhole(repository, location, source, options, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof RegistryError)) throw error;
      if (!inChunks && wantsChunks(error)) {
        inChunks = true;
        throw again(error);
      }
      if (error instanceof TransientError) {
        broken += 1;
        if (error.status === undefined && broken >= wholeTries && source.descriptor.size > 0) inChunks = true;
        throw error;
      }
      if (error.errors.some((item) => contentRefused.has(item.code)) && refusals === 0) {
        refusals += 1;
        throw again(error);
      }
      if (error.code !== 'ERR_AUTH' && error.errors.some((item) => sessionLost.has(item.code))) throw again(error);
      throw error;
    }
  });
}

async function start(repository: Repository, signal: AbortSignal): Promise<URL> {
  const location = await repository.startUpload(signal);
  if (location !== 'mounted') return location;
  throw new BuilderError('ERR_INTERNAL', 'Cannot start an upload: a mount was answered that nobody asked for');
}

async function sendWhole(
  repository: Repository,
  location: URL,
  source: BlobSource,
  options: UploadOptions,
  signal: AbortSignal,
): Promise<void> {
  const { descriptor } = source;
  const body = { open: () => counted(source.open(signal), options.onBytes), sizeBytes: descriptor.size };
  await repository.putBlob(location, descriptor.digest, body, signal);
}

/** distribution-spec: pushing a blob in chunks. A chunk that broke off goes on where the registry says it stopped. */
async function sendChunks(
  repository: Repository,
  first: URL,
  source: BlobSource,
  options: UploadOptions,
  signal: AbortSignal,
): Promise<void> {
  const { descriptor } = source;
  const chunkBytes = options.chunkBytes ?? defaultChunkBytes;
  let at = { location: first, doneBytes: 0 };
  let resumes = 0;
  let reader = new ByteReader(source.open(signal));
  try {
    while (at.doneBytes < descriptor.size) {
      const sizeBytes = Math.min(chunkBytes, descriptor.size - at.doneBytes);
      const before = at.doneBytes;
      const taken = reader;
      let opened = false;
      const open = (): Readable => {
        // A second opening (after a 401 or a redirect) needs the bytes once more.
        if (opened) reader = new ByteReader(source.open(signal), before);
        const from = opened ? reader : taken;
        opened = true;
        return counted(Readable.from(from.take(sizeBytes), { objectMode: false }), (sent) => {
          options.onBytes(before + sent);
        });
      };
      try {
        at = await repository.patchBlob(at.location, at.doneBytes, { open, sizeBytes }, signal);
      } catch (error) {
        signal.throwIfAborted();
        resumes += 1;
        const isResumable = error instanceof RegistryError && (error instanceof TransientError || error.status === 416);
        const status =
          isResumable && resumes < repository.retry.policy.tries ? await repository.uploadStatus(at.location, signal) : undefined;
        if (status === undefined || status.doneBytes > descriptor.size) throw error;
        await reader.close();
        reader = new ByteReader(source.open(signal), status.doneBytes);
        at = status;
      }
    }
    // Reading on to the end is what lets the source say that its digest was wrong.
    await reader.finish();
  } finally {
    await reader.close();
  }
  await repository.putBlob(at.location, descriptor.digest, undefined, signal);
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

function wantsChunks(error: RegistryError): boolean {
  // 413 may come from a proxy's limit; the others from registries that only know PATCH.
  return error.status === 413 || error.status === 405 || error.status === 501;
}

function again(error: RegistryError): TransientError {
  const { method, url, status, errors } = error;
  return new TransientError(error.message, { method, url, errors, ...(status === undefined ? {} : { status }) }, { cause: error });
}
