// The files of an OCI layout besides its blobs: index.json, which changes in one rename and keeps what others have put into it.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromText } from '../bytes.ts';
import { BuilderError, systemReason, systemCode } from '../errors.ts';
import { waitForFolderLock } from '../linux/file-lock.ts';
import { type Descriptor, formatDescriptor, parseDescriptor } from '../oci/descriptor.ts';
import { indexObject } from '../oci/image-index.ts';
import { type Json, type JsonObject, formatJson, parseJson } from '../oci/json.ts';
import { manifestLimitBytes } from '../oci/manifest.ts';
import { replaceFile } from './blob-file.ts';
import { refName } from './layout-referrers.ts';

/** The entries as they stand, members that we don't know included. */
export async function readIndexEntries(folder: string): Promise<readonly JsonObject[]> {
  const text = await textOf(join(folder, 'index.json'), manifestLimitBytes);
  if (text === undefined) return [];
  const root = parseJson(text, join(folder, 'index.json'));
  const list = root instanceof Map ? root.get('manifests') : undefined;
  if (!Array.isArray(list)) throw malformed(folder, 'index.json is not an index');
  return list.map((item: Json) => {
    if (!(item instanceof Map)) throw malformed(folder, 'index.json is not an index');
    return item;
  });
}

/** While it is held no other builder, in whatever container, changes index.json. @throws ERR_LAYER where the folder can't be opened */
export async function lockIndex(folder: string, signal: AbortSignal): Promise<Disposable> {
  return await waitForFolderLock(bytesFromText(folder), signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw malformed(folder, systemReason(error), error);
  });
}

/** Adds an entry in place of those that it replaces. */
export async function addIndexEntry(folder: string, descriptor: Descriptor, signal: AbortSignal): Promise<void> {
  using _lock = await lockIndex(folder, signal);
  const kept = (await readIndexEntries(folder)).filter((entry) => !isReplacedBy(entry, descriptor));
  await writeIndexEntries(folder, [...kept, formatDescriptor(descriptor)]);
}

/** Puts index.json in place in one step. */
export async function writeIndexEntries(folder: string, entries: readonly JsonObject[]): Promise<void> {
  await replaceFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await replaceFile(join(folder, 'index.json'), formatJson(indexObject(entries)));
}

/** An entry goes when its tag moves on, or when it is the same image without a name. */
function isReplacedBy(entry: JsonObject, descriptor: Descriptor): boolean {
  const known = parseDescriptor(new Map(entry), 'index.json');
  const name = known.annotations?.get(refName);
  const newName = descriptor.annotations?.get(refName);
  if (name !== undefined && name === newName) return true;
  return name === undefined && known.digest === descriptor.digest;
}

/** A small file; undefined where there is none. @throws ERR_LAYER when it has more than `limitBytes` or can't be read */
export async function textOf(path: string, limitBytes: number): Promise<string | undefined> {
  try {
    const found = await stat(path);
    // Whoever opened a pipe would wait for ever.
    if (!found.isFile()) throw new BuilderError('ERR_LAYER', `Cannot read ${path}: it is no file`);
    const { size } = found;
    if (size > limitBytes) throw new BuilderError('ERR_LAYER', `Cannot read ${path}: it has more than ${limitBytes} bytes`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    if (error instanceof BuilderError) throw error;
    throw new BuilderError('ERR_LAYER', `Cannot read ${path}: ${systemReason(error)}`, { cause: error });
  }
}

/** What to throw for a layout that can't be read. */
export function malformed(folder: string, why: string, cause?: unknown): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read OCI layout ${folder}: ${why}`, { cause });
}
