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
  /** The same layer, read from disk from now on. @throws ERR_DIGEST_MISMATCH when the bytes are not what its descriptor says */
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
  const create = async (): Promise<BlobWriter> => {
    const file = await openUnnamed(folder);
    files.add(file);
    return blobWriter(file, folder, files, owners);
  };
  const close = async (): Promise<void> => {
    const open_ = [...files];
    files.clear();
    for (const file of open_) await file.close();
  };
  const release = async (layer: Layer): Promise<void> => {
    const file = owners.get(layer.open);
    if (file !== undefined && files.delete(file)) await file.close();
  };
  return { create, close, release, receive: (layer, signal) => receive(layer, create, signal), [Symbol.asyncDispose]: close };
}

async function receive(layer: Layer, create: () => Promise<BlobWriter>, signal: AbortSignal): Promise<Layer> {
  const writer = await create();
  try {
    for await (const chunk of verify(layer.open(signal), expectationOf(layer.descriptor))) {
      signal.throwIfAborted();
      await writer.write(chunk);
    }
    const blob = await writer.finish();
    return { ...layer, open: blob.open };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

function expectationOf(descriptor: Descriptor): { readonly digest: Digest; readonly size: number; readonly subject: string } {
  return { digest: descriptor.digest, size: descriptor.size, subject: `layer ${descriptor.digest}` };
}

function blobWriter(file: FileHandle, folder: string, files: Set<FileHandle>, owners: WeakMap<Layer['open'], FileHandle>): BlobWriter {
  const meter = new Meter();
  return {
    write: async (chunk) => {
      const position = meter.size;
      meter.update(chunk);
      await writeWhole(file, chunk, position, folder);
    },
    finish: async () => {
      const size = meter.size;
      const digest = meter.digest();
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
