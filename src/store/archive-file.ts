// A tar archive on disk whose files can be read in any order: an image in one file.
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type ByteString, bytesFromText } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { decompress, sniffCompression } from '../layer/decompress.ts';
import { verify } from '../layer/meter.ts';
import type { Entry } from '../layer/entry.ts';
import { readEntries } from '../layer/read.ts';
import { StoredContent } from '../layer/stored-content.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { childPath, clampPath, mostLinks, splitPath } from '../paths.ts';
import { openRegular } from './regular-file.ts';

/** A file of an archive: where its bytes are. */
export interface ArchivedFile {
  readonly offset: number;
  readonly size: number;
}

/** An open archive; what a name of it is, is known without reading it again. */
export interface ArchiveFile extends AsyncDisposable {
  readonly path: string;
  /** The file of a name; links within the archive are followed. Undefined where there is none. */
  readonly find: (name: string) => ArchivedFile | undefined;
  /** The bytes of a file as they are. */
  readonly read: (file: ArchivedFile, signal: AbortSignal) => Readable;
  /** A blob's bytes. The stream fails with ERR_DIGEST_MISMATCH instead of ending where they are others. */
  readonly readBlob: (file: ArchivedFile, descriptor: Descriptor, signal: AbortSignal) => Readable;
  /** A small file in memory. @throws ERR_LAYER when it has more than `limitBytes` */
  readonly readSmall: (name: string, limitBytes: number, signal: AbortSignal) => Promise<Buffer | undefined>;
}

const chunkBytes = 256 * 1024;
/** An archive with more entries holds no image. */
const entryLimit = 200_000;

type Place = ArchivedFile | { readonly link: ByteString };

/**
 * Opens an archive and reads its headers. One that is compressed is unpacked into an unnamed file in `temporaryFolder` first.
 * @throws ERR_LAYER when there is no such file, or it is no archive
 */
export async function openArchiveFile(path: string, temporaryFolder: string, signal: AbortSignal): Promise<ArchiveFile> {
  const hint = 'write it to a file first; yadokari load takes an archive from a pipe';
  const failed = (state: string, cause?: unknown): BuilderError => unreadable(path, state, cause, cause === undefined ? hint : undefined);
  const given = await openRegular(path, failed);
  let file = given;
  try {
    const head = await given.read(Buffer.alloc(6), 0, 6, 0);
    if (sniffCompression(head.buffer) !== 'none') {
      file = await unpack(given, temporaryFolder, signal);
      await given.close();
    }
    return archiveFile(path, file, await readPlaces(file, path, signal));
  } catch (error) {
    await file.close();
    throw error;
  }
}

function archiveFile(path: string, file: FileHandle, places: ReadonlyMap<ByteString, Place>): ArchiveFile {
  const find = (name: string): ArchivedFile | undefined => {
    let place = places.get(clampPath(bytesFromText(name)));
    for (let links = 0; place !== undefined && 'link' in place; links++) {
      if (links === mostLinks) return undefined;
      place = places.get(place.link);
    }
    return place;
  };
  const read = (found: ArchivedFile, signal: AbortSignal): Readable =>
    Readable.from(readRange(file, found, signal), { objectMode: false, highWaterMark: chunkBytes });
  return {
    path,
    find,
    read,
    readBlob: (found, { digest, size }, signal) => {
      const chunks = verify(readRange(file, found, signal), { digest, size, subject: `blob ${digest} of ${path}` });
      return Readable.from(chunks, { objectMode: false, highWaterMark: chunkBytes });
    },
    readSmall: async (name, limitBytes, signal) => {
      const found = find(name);
      if (found === undefined) return undefined;
      if (found.size > limitBytes) throw unreadable(path, `${JSON.stringify(name)} has more than ${limitBytes} bytes`);
      return await buffer(read(found, signal));
    },
    [Symbol.asyncDispose]: async () => await file.close(),
  };
}

async function readPlaces(file: FileHandle, path: string, signal: AbortSignal): Promise<ReadonlyMap<ByteString, Place>> {
  const places = new Map<ByteString, Place>();
  const { size } = await file.stat();
  for await (const entry of named(path, readEntries(readRange(file, { offset: 0, size }, signal), signal))) {
    const name = clampPath(entry.path);
    if (entry.type === 'symlink' && entry.linkTarget !== undefined) {
      const target = entry.linkTarget.startsWith('/') ? entry.linkTarget : childPath(splitPath(name).parent, entry.linkTarget);
      places.set(name, { link: clampPath(target) });
    } else if (entry.type === 'hardlink' && entry.linkTarget !== undefined) places.set(name, { link: clampPath(entry.linkTarget) });
    else if (entry.content instanceof StoredContent) places.set(name, { offset: entry.content.offset, size: entry.size });
    if (places.size > entryLimit) throw unreadable(path, `it has more than ${entryLimit} files`);
  }
  return places;
}

/** The entries; what is wrong with them is told with the archive's name. */
async function* named(path: string, entries: AsyncIterable<Entry>): AsyncGenerator<Entry, void, undefined> {
  try {
    yield* entries;
  } catch (error) {
    const [, state] = error instanceof BuilderError ? (/^Cannot read archive: (.*)$/s.exec(error.message) ?? []) : [];
    throw state === undefined ? error : unreadable(path, state);
  }
}

async function* readRange(file: FileHandle, { offset, size }: ArchivedFile, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  for (let done = 0; done < size;) {
    signal.throwIfAborted();
    const wanted = Math.min(chunkBytes, size - done);
    const { bytesRead, buffer: chunk } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, offset + done);
    if (bytesRead === 0) return;
    done += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

async function unpack(given: FileHandle, temporaryFolder: string, signal: AbortSignal): Promise<FileHandle> {
  const path = join(temporaryFolder, `yadokari-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await rm(path);
  try {
    const { size } = await given.stat();
    // Not through streams: they ask for more before a chunk is written, which is only lent.
    await file.writeFile(decompress(readRange(given, { offset: 0, size }, signal), signal), { signal });
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function unreadable(path: string, state: string, cause?: unknown, hint?: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read archive ${path}: ${state}`, { cause, hint });
}
