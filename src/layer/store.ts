// Blobs on disk, in open files without a name: a hostile RUN can't find or replace them, and the kernel frees them when we
// end, however we end. What leaves is hashed again all the same. A blob can be read while it is being written.
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { BuilderError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Layer } from '../oci/image.ts';
import { Meter, verify } from './meter.ts';

/** A blob that is being written. */
interface BlobWriter {
  readonly write: (chunk: Uint8Array) => Promise<void>;
  /**
   * What is written, from its start, as it comes; nobody has verified it, and each chunk is valid until the next is asked for. Fails
   * where the blob is discarded.
   */
  readonly chunks: (signal: AbortSignal) => AsyncIterable<Buffer>;
  /** Ends writing; the blob can be opened as often as wanted until the store is closed. */
  readonly finish: () => Promise<StoredBlob>;
  /** Gives the space back. */
  readonly discard: () => Promise<void>;
}

export interface StoredBlob {
  readonly digest: Digest;
  readonly size: number;
  /** Fails with ERR_DIGEST_MISMATCH instead of ending if the bytes are not what was written. */
  readonly open: (signal: AbortSignal) => Readable;
  /** As `Layer.chunks`. */
  readonly chunks: (signal: AbortSignal) => AsyncIterable<Buffer>;
}

/** Where layers stay between being made or fetched and being pushed. */
export interface BlobStore extends AsyncDisposable {
  readonly create: () => Promise<BlobWriter>;
  /**
   * The same layer, read from disk from now on. Its stream has hashed itself when it ends: here its bytes are only counted. `onBegun`
   * gets the layer before its first byte is there: who reads it waits for what is to come, and gets the end only once all is there
   * and right, else what receiving failed with.
   */
  readonly receive: (layer: Layer, signal: AbortSignal, onBegun?: (layer: Layer) => void) => Promise<Layer>;
  /** Gives back the space of one layer of this store early; others are left alone. */
  readonly release: (layer: Layer) => Promise<void>;
  /** Gives back all space. */
  readonly close: () => Promise<void>;
}

const readSize = 512 * 1024;
const gatheredSize = 256 * 1024;

/** A store in `folder`, which must exist and be on a disk with room for the layers. */
export function openBlobStore(folder: string): BlobStore {
  const blobs = new Set<GrowingBlob>();
  const owners = new WeakMap<Layer['open'], GrowingBlob>();
  const createFor = async (known?: Descriptor): Promise<GrowingBlob> => {
    const blob = new GrowingBlob(folder, await openUnnamed(folder), known);
    blobs.add(blob);
    owners.set(blob.open, blob);
    return blob;
  };
  const give = async (blob: GrowingBlob, failure?: unknown): Promise<void> => {
    if (blobs.delete(blob)) await blob.close(failure);
  };
  const create = async (): Promise<BlobWriter> => {
    const blob = await createFor();
    return {
      write: (chunk) => blob.write(chunk),
      chunks: blob.chunks,
      finish: async () => await Promise.resolve(blob.finish()),
      discard: () => give(blob),
    };
  };
  const close = async (): Promise<void> => {
    for (const blob of blobs) await give(blob);
  };
  const release = async (layer: Layer): Promise<void> => {
    const blob = owners.get(layer.open);
    if (blob !== undefined) await give(blob);
  };
  const receive: BlobStore['receive'] = async (layer, signal, onBegun) => {
    const blob = await createFor(layer.descriptor);
    const stored: Layer = { ...layer, open: blob.open, chunks: blob.chunks };
    try {
      onBegun?.(stored);
      await fill(blob, layer, signal);
      return stored;
    } catch (error) {
      await give(blob, error);
      throw error;
    }
  };
  return { create, close, release, receive, [Symbol.asyncDispose]: close };
}

// A network's pieces are small, and a write costs as much as copying many of them together.
async function fill(blob: GrowingBlob, layer: Layer, signal: AbortSignal): Promise<void> {
  const gathered = Buffer.allocUnsafeSlow(Math.min(gatheredSize, layer.descriptor.size));
  let length = 0;
  const flush = async (): Promise<void> => {
    if (length > 0) await blob.write(gathered.subarray(0, length));
    length = 0;
  };
  for await (const chunk of layer.open(signal)) {
    signal.throwIfAborted();
    const bytes: unknown = chunk;
    if (!Buffer.isBuffer(bytes)) throw new BuilderError('ERR_INTERNAL', 'Cannot store a layer: the stream is not of bytes');
    if (length + bytes.length > gathered.length) await flush();
    if (bytes.length > gathered.length) await blob.write(bytes);
    else length += bytes.copy(gathered, length);
  }
  await flush();
  blob.finish();
}

/** A file that is read while it is written. Hashes what is written, unless it is known what it will be. */
class GrowingBlob {
  readonly #folder: string;
  readonly #file: FileHandle;
  readonly #known: Descriptor | undefined;
  readonly #meter: Meter | undefined;
  #size = 0;
  #end: { readonly digest: Digest } | { readonly failure: unknown } | undefined;
  #grown = Promise.withResolvers<void>();

  constructor(folder: string, file: FileHandle, known: Descriptor | undefined) {
    this.#folder = folder;
    this.#file = file;
    this.#known = known;
    this.#meter = known === undefined ? new Meter() : undefined;
  }

  readonly open = (signal: AbortSignal): Readable => {
    return Readable.from(this.#verified(signal), { objectMode: false, highWaterMark: readSize });
  };

  readonly chunks = (signal: AbortSignal): AsyncIterable<Buffer> => this.#read(signal, Buffer.allocUnsafeSlow(readSize));

  async write(chunk: Uint8Array): Promise<void> {
    this.#meter?.update(chunk);
    await writeWhole(this.#file, chunk, this.#size, this.#folder);
    this.#size += chunk.length;
    this.#tell();
  }

  finish(): StoredBlob {
    const size = this.#size;
    const digest = this.#known?.digest ?? this.#meter?.digest();
    if (digest === undefined || (this.#known !== undefined && this.#known.size !== size)) {
      throw new BuilderError(
        'ERR_DIGEST_MISMATCH',
        `Cannot use layer ${this.#known?.digest}: it has ${size} of ${this.#known?.size} bytes`,
      );
    }
    this.#end = { digest };
    this.#tell();
    return { digest, size, open: this.open, chunks: this.chunks };
  }

  async close(failure: unknown = new BuilderError('ERR_ABORTED', 'the store is closed')): Promise<void> {
    this.#end ??= { failure };
    this.#tell();
    await this.#file.close();
  }

  async *#verified(signal: AbortSignal): AsyncGenerator<Buffer> {
    while (this.#end === undefined) await this.#grown.promise;
    if ('failure' in this.#end) throw this.#end.failure;
    const { digest } = this.#end;
    yield* verify(this.#read(signal), { digest, size: this.#size, subject: `stored blob ${digest}` });
  }

  // What is there, then what comes, up to the end. With a buffer each chunk is valid until the next is asked for.
  async *#read(signal: AbortSignal, buffer?: Buffer): AsyncGenerator<Buffer> {
    for (let position = 0; ;) {
      signal.throwIfAborted();
      if (this.#end !== undefined && 'failure' in this.#end) throw this.#end.failure;
      const length = Math.min(readSize, this.#size - position);
      if (length === 0 && this.#end !== undefined) return;
      if (length === 0) await this.#grown.promise;
      else {
        const { bytesRead, buffer: filled } = await this.#file.read(buffer ?? Buffer.allocUnsafe(length), 0, length, position);
        if (bytesRead === 0) return;
        position += bytesRead;
        yield filled.subarray(0, bytesRead);
      }
    }
  }

  #tell(): void {
    const { resolve } = this.#grown;
    this.#grown = Promise.withResolvers();
    resolve();
  }
}

async function openUnnamed(folder: string): Promise<FileHandle> {
  const path = `${folder}/${randomUUID()}`;
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    const file = await open(path, flags, 0o600);
    await unlink(path);
    return file;
  } catch (error) {
    throw new BuilderError('ERR_ROOTFS', `Cannot store a blob in ${folder}: no file can be made there`, { cause: error });
  }
}

async function writeWhole(file: FileHandle, chunk: Uint8Array, position: number, folder: string): Promise<void> {
  try {
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position + done);
      done += bytesWritten;
    }
  } catch (error) {
    throw new BuilderError('ERR_ROOTFS', `Cannot store a blob in ${folder}: writing failed after ${position} bytes`, { cause: error });
  }
}
