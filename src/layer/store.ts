// Blobs on disk, in open files without a name: a hostile RUN can't find or replace them, and the kernel frees them when we
// end, however we end. What is read back is hashed again all the same.
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
export interface BlobWriter {
  readonly write: (chunk: Uint8Array) => Promise<void>;
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
}

/** Where layers stay between being made or fetched and being pushed. */
export interface BlobStore extends AsyncDisposable {
  readonly create: () => Promise<BlobWriter>;
  /** The same layer, read from disk from now on. Its stream has hashed itself when it ends: here its bytes are only counted. */
  readonly receive: (layer: Layer, signal: AbortSignal) => Promise<Layer>;
  /** Gives back the space of one layer of this store early; others are left alone. */
  readonly release: (layer: Layer) => Promise<void>;
  /** Gives back all space. */
  readonly close: () => Promise<void>;
}

const readSize = 256 * 1024;

/** A store in `folder`, which must exist and be on a disk with room for the layers. */
export function openBlobStore(folder: string): BlobStore {
  const files = new Set<FileHandle>();
  const owners = new WeakMap<Layer['open'], FileHandle>();
  const createFor = async (known?: Descriptor): Promise<BlobWriter> => {
    const file = await openUnnamed(folder);
    files.add(file);
    return blobWriter(file, known, { folder, files, owners });
  };
  const create = (): Promise<BlobWriter> => createFor();
  const close = async (): Promise<void> => {
    const open_ = [...files];
    files.clear();
    for (const file of open_) await file.close();
  };
  const release = async (layer: Layer): Promise<void> => {
    const file = owners.get(layer.open);
    if (file !== undefined && files.delete(file)) await file.close();
  };
  return { create, close, release, receive: (layer, signal) => receive(layer, createFor, signal), [Symbol.asyncDispose]: close };
}

async function receive(layer: Layer, create: (known: Descriptor) => Promise<BlobWriter>, signal: AbortSignal): Promise<Layer> {
  const writer = await create(layer.descriptor);
  try {
    for await (const chunk of layer.open(signal)) {
      signal.throwIfAborted();
      const bytes: unknown = chunk;
      if (!Buffer.isBuffer(bytes)) throw new BuilderError('ERR_INTERNAL', 'Cannot store a layer: the stream is not of bytes');
      await writer.write(bytes);
    }
    const blob = await writer.finish();
    return { ...layer, open: blob.open };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

/** Hashes what is written, unless it is known what it will be. */
function blobWriter(
  file: FileHandle,
  known: Descriptor | undefined,
  {
    folder,
    files,
    owners,
  }: { readonly folder: string; readonly files: Set<FileHandle>; readonly owners: WeakMap<Layer['open'], FileHandle> },
): BlobWriter {
  const meter = known === undefined ? new Meter() : undefined;
  let size = 0;
  return {
    write: async (chunk) => {
      const position = size;
      size += chunk.length;
      meter?.update(chunk);
      await writeWhole(file, chunk, position, folder);
    },
    finish: async () => {
      const digest = known?.digest ?? meter?.digest();
      if (digest === undefined || (known !== undefined && known.size !== size)) {
        throw new BuilderError('ERR_DIGEST_MISMATCH', `Cannot use layer ${known?.digest}: it has ${size} of ${known?.size} bytes`);
      }
      const openBlob = (signal: AbortSignal): Readable => {
        const chunks = verify(readChunks(file, size, signal), { digest, size, subject: `stored blob ${digest}` });
        return Readable.from(chunks, { objectMode: false, highWaterMark: readSize });
      };
      owners.set(openBlob, file);
      return { digest, size, open: openBlob };
    },
    discard: async () => {
      if (files.delete(file)) await file.close();
    },
  };
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

async function* readChunks(file: FileHandle, size: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (let position = 0; position < size;) {
    signal.throwIfAborted();
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(readSize, size - position)), 0, undefined, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
