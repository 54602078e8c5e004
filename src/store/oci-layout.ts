// Images in an OCI layout directory: image-spec image-layout.md. Blobs are written beside their place and moved there
// when they are verified; index.json changes in one rename, and keeps what others have put into it.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { BuilderError, systemCode } from '../errors.ts';
import { type Descriptor, formatDescriptor, parseDescriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { type Json, type JsonObject, formatJson, parseJson } from '../oci/json.ts';
import {
  type ImageIndex,
  type StoredManifest,
  manifestLimitBytes,
  parseManifest,
  selectPlatform,
  storedManifest,
} from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import type { Platform } from '../oci/platform.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import { type StoredImage, readImage, writeImage } from '../oci/stored-image.ts';
import { openBlobFile, readBlobFile, replaceFile, writeBlobFile } from './blob-file.ts';

const refName = 'org.opencontainers.image.ref.name';

/** Which image of a layout: `path[:tag]` or `path@digest`. */
export interface LayoutReference {
  readonly folder: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/** An image of a layout. */
export interface LayoutImage extends StoredImage {
  /** Of the manifest or index that was asked for. */
  readonly digest: Digest;
}

/** @throws ERR_REFERENCE when what follows `@` is no digest. */
export function parseLayoutReference(text: string): LayoutReference {
  const fail = (why: string): BuilderError => new BuilderError('ERR_REFERENCE', `Cannot use OCI layout ${JSON.stringify(text)}: ${why}`);
  const last = text.lastIndexOf('@');
  const marked = text.search(/@sha(?:256|512):/);
  const at = marked === -1 ? last : marked;
  if (at > text.lastIndexOf('/') || marked !== -1) {
    const digest = text.slice(at + 1);
    if (!isDigest(digest)) throw fail('what follows "@" is no digest');
    return withFolder({ folder: text.slice(0, at), digest }, fail);
  }
  const colon = text.lastIndexOf(':');
  if (colon <= text.lastIndexOf('/')) return withFolder({ folder: text }, fail);
  const tag = text.slice(colon + 1);
  return withFolder(tag === '' ? { folder: text.slice(0, colon) } : { folder: text.slice(0, colon), tag }, fail);
}

/** Adds an image to a layout, as `openLayoutSink`. @returns the digest of its manifest */
export async function writeLayout(reference: LayoutReference, image: StoredImage, signal: AbortSignal): Promise<Digest> {
  await writeImage(openLayoutSink(reference), image, signal);
  return image.manifest.digest;
}

/**
 * Reads an image for a platform. Without tag and digest the layout must hold one image only.
 * @throws ERR_LAYER when there is no layout or it is malformed, ERR_REFERENCE when it has no such image.
 */
export async function readLayout(reference: LayoutReference, platform: Platform, signal: AbortSignal): Promise<LayoutImage> {
  const source = await openLayoutSource(reference, platform, signal);
  return { ...(await readImage(source, platform, signal)), digest: source.root.digest };
}

/** A layout as the place for one image, made where there is none. A tag moves to the image; other entries stay. */
export function openLayoutSink({ folder, tag }: LayoutReference): ImageSink {
  const writeManifest = async (manifest: StoredManifest, signal: AbortSignal): Promise<Descriptor> => {
    const { bytes, mediaType, digest } = manifest;
    const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
    await writeBlobFile(folder, descriptor, Readable.from([bytes], { objectMode: false }), signal);
    return descriptor;
  };
  return {
    writeBlobs: async (blobs, signal) => {
      // An index that can't be read can't be written later.
      await readIndexEntries(folder);
      for (const { descriptor, open } of blobs) await writeBlobFile(folder, descriptor, open(signal), signal);
    },
    writeManifest: async (manifest, signal) => void (await writeManifest(manifest, signal)),
    writeRoot: async (root, signal) => {
      const descriptor: Descriptor = {
        ...(await writeManifest(root, signal)),
        ...(root.platform === undefined ? {} : { platform: root.platform }),
        ...(tag === undefined ? {} : { annotations: new Map([[refName, tag]]) }),
      };
      await writeIndexEntry(folder, descriptor);
    },
  };
}

/**
 * An image of a layout, or an index of several. Where a name stands for several entries, `platform` chooses.
 * @throws as `readLayout`
 */
export async function openLayoutSource(
  reference: LayoutReference,
  platform: Platform | undefined,
  signal: AbortSignal,
): Promise<ImageSource> {
  const { folder } = reference;
  await checkVersion(folder);
  const entry = chooseEntry(await readIndex(folder), reference, platform);
  const manifest = async (descriptor: Descriptor, reading: AbortSignal): Promise<StoredManifest> => {
    const bytes = await readBlobFile(folder, descriptor, manifestLimitBytes, reading);
    return storedManifest(bytes, descriptor.mediaType, descriptor.digest);
  };
  const root = await manifest(entry, signal);
  return {
    name: folder,
    root: { ...root, ...(entry.platform === undefined ? {} : { platform: entry.platform }) },
    manifest,
    bytes: async (descriptor, limitBytes, reading) => await readBlobFile(folder, descriptor, limitBytes, reading),
    open: (descriptor, reading) => openBlobFile(folder, descriptor, reading),
  };
}

function withFolder(reference: LayoutReference, fail: (why: string) => BuilderError): LayoutReference {
  if (reference.folder === '') throw fail('it names no directory');
  return reference;
}

function chooseEntry(index: ImageIndex, reference: LayoutReference, platform: Platform | undefined): Descriptor {
  const { folder, tag, digest } = reference;
  const named = (entry: Descriptor): string | undefined => entry.annotations?.get(refName);
  const fitting = index.manifests.filter((entry) => {
    if (digest !== undefined) return entry.digest === digest;
    const name = named(entry);
    // buildah and podman write the whole image name there, others the tag alone
    return tag === undefined || name === tag || name?.endsWith(`:${tag}`) === true;
  });
  const [first] = fitting;
  const distinct = new Set(fitting.map((entry) => entry.digest));
  if (first !== undefined && distinct.size === 1) return first;
  if (first !== undefined && platform !== undefined && (tag !== undefined || digest !== undefined))
    return selectPlatform({ ...index, manifests: fitting }, platform);
  const names = index.manifests.map((entry) => named(entry) ?? entry.digest).join(', ');
  const wanted = digest ?? tag;
  throw new BuilderError(
    'ERR_REFERENCE',
    `Cannot choose an image in ${folder}: ${wanted !== undefined && first === undefined ? `there is no ${wanted}` : 'it holds several'}`,
    {
      hint: names === '' ? 'the layout is empty' : `it has: ${names}`,
    },
  );
}

async function checkVersion(folder: string): Promise<void> {
  const text = await textOf(join(folder, 'oci-layout'), 4096);
  if (text === undefined) throw malformed(folder, 'there is no oci-layout file');
  const root = parseJson(text);
  const version = root instanceof Map ? root.get('imageLayoutVersion') : undefined;
  if (typeof version !== 'string' || !version.startsWith('1.')) throw malformed(folder, 'its layout version is not 1');
}

async function readIndex(folder: string): Promise<ImageIndex> {
  const text = await textOf(join(folder, 'index.json'), manifestLimitBytes);
  if (text === undefined) throw malformed(folder, 'there is no index.json');
  const parsed = parseManifest(Buffer.from(text, 'utf8'), MediaType.ociIndex);
  if (parsed.kind === 'index') return parsed;
  throw malformed(folder, 'index.json is not an index');
}

/** The entries as they stand, members that we don't know included. */
async function readIndexEntries(folder: string): Promise<readonly JsonObject[]> {
  const text = await textOf(join(folder, 'index.json'), manifestLimitBytes);
  if (text === undefined) return [];
  const root = parseJson(text);
  const list = root instanceof Map ? root.get('manifests') : undefined;
  if (!Array.isArray(list)) throw malformed(folder, 'index.json is not an index');
  return list.map((item: Json) => {
    if (!(item instanceof Map)) throw malformed(folder, 'index.json is not an index');
    return item;
  });
}

async function writeIndexEntry(folder: string, descriptor: Descriptor): Promise<void> {
  const kept = (await readIndexEntries(folder)).filter((entry) => !isReplacedBy(entry, descriptor));
  await replaceFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const index = new Map<string, Json>([
    ['schemaVersion', 2],
    ['mediaType', MediaType.ociIndex],
    ['manifests', [...kept, formatDescriptor(descriptor)]],
  ]);
  await replaceFile(join(folder, 'index.json'), formatJson(index));
}

/** An entry goes when its tag moves on, or when it is the same image without a name. */
function isReplacedBy(entry: JsonObject, descriptor: Descriptor): boolean {
  const known = parseDescriptor(new Map(entry), 'index.json');
  const name = known.annotations?.get(refName);
  const newName = descriptor.annotations?.get(refName);
  if (name !== undefined && name === newName) return true;
  return name === undefined && known.digest === descriptor.digest;
}

async function textOf(path: string, limitBytes: number): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > limitBytes) throw new BuilderError('ERR_LAYER', `Cannot read ${path}: it has more than ${limitBytes} bytes`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    if (error instanceof BuilderError) throw error;
    throw new BuilderError('ERR_LAYER', `Cannot read ${path}: ${systemCode(error) ?? 'unknown reason'}`, { cause: error });
  }
}

function malformed(folder: string, why: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read OCI layout ${folder}: ${why}`);
}
