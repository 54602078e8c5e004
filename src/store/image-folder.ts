// One image in a folder of plain files, as skopeo's `dir:` has it: manifest.json, blobs by the hex of their digest, what an index
// names as <hex>.manifest.json, and a file that tells the version. There is no specification but containers/image's directory/.
import { type FileHandle, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BuilderError, ifCode, systemCode } from '../errors.ts';
import { verify } from '../layer/meter.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, splitDigest } from '../oci/digest.ts';
import { manifestLimitBytes, storedManifest } from '../oci/manifest.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import { replaceFile, writeBeside } from './blob-file.ts';
import { makeFolder } from '../folders.ts';
import { canBeRead, openOwnRegular } from './regular-file.ts';

const version = 'Directory Transport Version: 1.1\n';
const signatureFile = /^(?:[0-9a-f]{64}-)?signature-\d{1,4}$/;
const ownFile = /^(?:[0-9a-f]{64}|[0-9a-f]{128})(?:\.manifest\.json)?$|^manifest\.json$/;
const chunkBytes = 256 * 1024;

/** The image in a folder. @throws ERR_LAYER when there is none, ERR_UNSAFE_PATH for a link in place of a file */
export async function openFolderSource(folder: string): Promise<ImageSource> {
  const bytes = await readWhole(folder, 'manifest.json');
  return {
    name: folder,
    root: storedManifest(bytes, undefined),
    manifest: async (descriptor, reading) => {
      const found = await buffer(openFile(folder, `${hexOf(descriptor.digest)}.manifest.json`, descriptor, reading));
      return storedManifest(found, descriptor.mediaType, descriptor.digest);
    },
    bytes: async (descriptor, limitBytes, reading) => {
      if (descriptor.size > limitBytes)
        throw new BuilderError('ERR_LAYER', `Cannot read blob ${descriptor.digest} of ${folder}: it has more than ${limitBytes} bytes`);
      return await buffer(openFile(folder, hexOf(descriptor.digest), descriptor, reading));
    },
    open: (descriptor, reading) => openFile(folder, hexOf(descriptor.digest), descriptor, reading),
  };
}

/** The signatures beside an image: skopeo's `signature-1` and so on. */
export async function readFolderSignatures(folder: string): Promise<readonly { readonly name: string; readonly bytes: Buffer }[]> {
  const found: { readonly name: string; readonly bytes: Buffer }[] = [];
  for (const name of (await listed(folder)).toSorted())
    if (signatureFile.test(name)) found.push({ name, bytes: await readWhole(folder, name) });
  return found;
}

/** Puts a signature beside the image. */
export async function addFolderSignature(folder: string, name: string, bytes: Buffer): Promise<void> {
  await writeBeside(join(folder, name), async (file) => await file.writeFile(bytes));
}

/**
 * A folder as the place for one image. What of it is there already stays, so that a copy which was interrupted goes on; when the
 * manifest is in place, the blobs of an image that was there before go.
 * @throws ERR_USAGE when the folder holds something else
 */
export async function openFolderSink(folder: string): Promise<ImageSink> {
  const names = await listed(folder);
  if (names.length > 0 && !names.includes('version') && !names.every(isOwn))
    throw new BuilderError('ERR_USAGE', `Cannot write an image to ${folder}: it holds other files`, { hint: 'name an empty folder' });
  await inWords(folder, (async () => makeFolder(folder))());
  await replaceFile(join(folder, 'version'), version);
  const written = new Set<string>();
  const write = async (name: string, { digest, size }: Pick<Descriptor, 'digest' | 'size'>, open_: Opener, signal: AbortSignal) => {
    written.add(name);
    if (await canBeRead(openFile(folder, name, { digest, size }, signal), signal)) return;
    const content = open_(signal);
    await writeBeside(join(folder, name), async (file) => await file.writeFile(content, { signal }));
  };
  return {
    writeBlobs: async (blobs, signal) => {
      for (const { descriptor, open: open_ } of blobs) await write(hexOf(descriptor.digest), descriptor, open_, signal);
    },
    writeManifest: async ({ digest, bytes }, signal) => {
      const content = (): Readable => Readable.from([bytes], { objectMode: false });
      await write(`${hexOf(digest)}.manifest.json`, { digest, size: bytes.length }, content, signal);
    },
    writeRoot: async ({ bytes }) => {
      await writeBeside(join(folder, 'manifest.json'), async (file) => await file.writeFile(bytes));
      for (const name of await listed(folder))
        if (isOwn(name) && name !== 'manifest.json' && !written.has(name)) await rm(join(folder, name), { force: true });
    },
  };
}

type Opener = (signal: AbortSignal) => Readable;

/** What an image in a folder consists of, and what a write that was killed left behind. */
function isOwn(name: string): boolean {
  return ownFile.test(name) || signatureFile.test(name) || /^\.[0-9a-f-]{36}\.tmp$/.test(name);
}

function hexOf(digest: Digest): string {
  return splitDigest(digest).hex;
}

function openFile(folder: string, name: string, { digest, size }: Pick<Descriptor, 'digest' | 'size'>, signal: AbortSignal): Readable {
  const chunks = verify(readChunks(join(folder, name), signal), { digest, size, subject: `blob ${digest} of ${folder}` });
  return Readable.from(chunks, { objectMode: false, highWaterMark: chunkBytes });
}

async function* readChunks(path: string, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  await using file = await openPlain(path);
  yield* file.createReadStream({ highWaterMark: chunkBytes, signal });
}

async function openPlain(path: string): Promise<FileHandle> {
  return await openOwnRegular(path, (state, cause) => new BuilderError('ERR_LAYER', `Cannot read ${path}: ${state}`, { cause }));
}

async function readWhole(folder: string, name: string): Promise<Buffer> {
  const path = join(folder, name);
  await using file = await openPlain(path);
  const { size } = await file.stat();
  if (size > manifestLimitBytes) throw new BuilderError('ERR_LAYER', `Cannot read ${path}: it has more than ${manifestLimitBytes} bytes`);
  return await file.readFile();
}

async function listed(folder: string): Promise<readonly string[]> {
  return await inWords(folder, readdir(folder).catch(ifCode(['ENOENT'], [])));
}

async function inWords<Value>(folder: string, work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    throw unwritable(folder, error);
  }
}

function unwritable(folder: string, error: unknown): BuilderError {
  const code = systemCode(error);
  return new BuilderError('ERR_LAYER', `Cannot use ${folder}: ${code === 'ENOTDIR' ? 'it is no folder' : code}`, { cause: error });
}
