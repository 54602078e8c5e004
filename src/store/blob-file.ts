// Blobs as files below `blobs/<algorithm>/`: never through a symlink, never visible before they are whole.
import { randomUUID } from 'node:crypto';
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BuilderError, systemReason, systemCode } from '../errors.ts';
import { verify } from '../layer/meter.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, splitDigest } from '../oci/digest.ts';
import { makeFolder } from '../folders.ts';
import { canBeRead, linked, openOwnRegular } from './regular-file.ts';

/** Where a blob stands in a layout. A digest is hex by construction, so the path can't leave the folder. */
export function blobPath(folder: string, digest: Digest): string {
  const { algorithm, hex } = splitDigest(digest);
  return join(folder, 'blobs', algorithm, hex);
}

/** The blob's bytes, verified while they are read. Errors come through the stream. */
export function openBlobFile(folder: string, descriptor: Descriptor, signal: AbortSignal): Readable {
  return Readable.from(readChunks(folder, descriptor, signal), { objectMode: false, highWaterMark: 256 * 1024 });
}

/** A small blob in memory. @throws ERR_LAYER when it has more than `limitBytes`. */
export async function readBlobFile(folder: string, descriptor: Descriptor, limitBytes: number, signal: AbortSignal): Promise<Buffer> {
  if (descriptor.size > limitBytes)
    throw new BuilderError('ERR_LAYER', `Cannot read blob ${descriptor.digest}: it has more than ${limitBytes} bytes`);
  return await buffer(openBlobFile(folder, descriptor, signal));
}

/** Stores a blob, unless the right bytes are there already. Takes over `content`, which fails instead of ending if it is not the blob. */
export async function writeBlobFile(folder: string, descriptor: Descriptor, content: Readable, signal: AbortSignal): Promise<void> {
  const path = blobPath(folder, descriptor.digest);
  if (await canBeRead(readChunks(folder, descriptor, signal), signal)) {
    content.destroy();
    return;
  }
  try {
    makeFolder(dirname(path));
  } catch (error) {
    const reason = systemReason(error);
    throw new BuilderError('ERR_USAGE', `Cannot write an image to ${folder}: no folder can be made there (${reason})`, { cause: error });
  }
  await writeBeside(path, async (file) => await file.writeFile(content, { signal }));
}

/** Puts a small file in place in one step. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await writeBeside(path, async (file) => {
    await file.writeFile(text);
  });
}

/** Writes a temporary file in the same folder, and moves it to `path` when that went well. */
export async function writeBeside(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = join(dirname(path), `.${randomUUID()}.tmp`);
  try {
    {
      await using file = await open(temporary, 'wx', 0o644);
      await write(file);
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    const code = systemCode(error);
    // Node's own stream errors and aborts pass; a full or read-only disk gets its sentence.
    if (error instanceof BuilderError || code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
    throw new BuilderError('ERR_LAYER', `Cannot write ${path}: ${code === 'ENOENT' ? 'its folder does not exist' : systemReason(error)}`, {
      cause: error,
    });
  }
}

async function* readChunks(folder: string, descriptor: Descriptor, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  const { algorithm, hex } = splitDigest(descriptor.digest);
  const path = blobPath(folder, descriptor.digest);
  // A layout from elsewhere could point any of these at other files of this machine.
  for (const part of [join(folder, 'blobs'), join(folder, 'blobs', algorithm)]) await refuseSymlink(part, hex);
  await using file = await openOwnRegular(path, (state, cause) => {
    const what = systemCode(cause) === 'ENOENT' ? 'it is not in the layout' : state;
    return new BuilderError('ERR_LAYER', `Cannot read blob ${descriptor.digest}: ${what}`, { cause });
  });
  signal.throwIfAborted();
  const source = file.createReadStream({ highWaterMark: 256 * 1024, signal });
  yield* verify(source, { digest: descriptor.digest, size: descriptor.size, subject: `blob ${descriptor.digest}` });
}

async function refuseSymlink(path: string, hex: string): Promise<void> {
  try {
    if ((await lstat(path)).isSymbolicLink()) throw linked(path);
  } catch (error) {
    if (error instanceof BuilderError) throw error;
    const message = `Cannot read blob ${hex}: ${path} ${systemCode(error) === 'ENOENT' ? 'does not exist' : 'is unreadable'}`;
    throw new BuilderError('ERR_LAYER', message, { cause: error });
  }
}
