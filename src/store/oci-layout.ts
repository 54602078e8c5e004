// Images in an OCI layout directory: image-spec image-layout.md. Blobs are written beside their place and moved there
// when they are verified; index.json changes in one rename under a lock, and keeps what others have put into it.
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { parseJson } from '../oci/json.ts';
import {
  type ImageIndex,
  type StoredManifest,
  isManifestType,
  manifestLimitBytes,
  parseManifest,
  selectPlatform,
  storedManifest,
} from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import type { Platform } from '../oci/platform.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import { type StoredImage, readImage, writeImage } from '../oci/stored-image.ts';
import { openBlobFile, writeBlobFile } from './blob-file.ts';
import { addIndexEntry, malformed, readIndexEntries, textOf } from './layout-index.ts';
import { containerdName, findReferrers, refName, referrerEntry } from './layout-referrers.ts';

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
export function openLayoutSink({ folder, tag }: LayoutReference, moreTags: readonly string[] = []): ImageSink {
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
        ...given({ platform: root.platform }),
      };
      for (const name of [tag, ...moreTags])
        await addIndexEntry(folder, name === undefined ? descriptor : { ...descriptor, annotations: new Map([[refName, name]]) }, signal);
    },
    writeReferrer: async (manifest, signal) => {
      await writeManifest(manifest, signal);
      await addIndexEntry(folder, referrerEntry(manifest), signal);
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
  return await openLayoutIn(folderFiles(reference.folder), reference, platform, signal);
}

/** A layout's files, in a folder or in an archive. */
export interface LayoutFiles {
  /** For messages. */
  readonly name: string;
  /** A small file of the layout itself; undefined where there is none. @throws ERR_LAYER when it has more than `limitBytes` */
  readonly text: (path: string, limitBytes: number, signal: AbortSignal) => Promise<string | undefined>;
  /** A blob, as `ImageBlob.open`. */
  readonly open: (descriptor: Descriptor, signal: AbortSignal) => Readable;
}

/** As `openLayoutSource`, wherever the layout's files are. */
export async function openLayoutIn(
  files: LayoutFiles,
  { tag, digest }: Pick<LayoutReference, 'tag' | 'digest'>,
  platform: Platform | undefined,
  signal: AbortSignal,
): Promise<ImageSource> {
  await checkVersion(files, signal);
  const bytes = async (descriptor: Descriptor, limitBytes: number, reading: AbortSignal): Promise<Buffer> => {
    if (descriptor.size > limitBytes)
      throw new BuilderError('ERR_LAYER', `Cannot read blob ${descriptor.digest}: it has more than ${limitBytes} bytes`);
    return await buffer(files.open(descriptor, reading));
  };
  const manifest = async (descriptor: Descriptor, reading: AbortSignal): Promise<StoredManifest> =>
    storedManifest(await bytes(descriptor, manifestLimitBytes, reading), descriptor.mediaType, descriptor.digest);
  const index = await readIndex(files, signal);
  const named = { folder: files.name, ...given({ tag, digest }) };
  const entry = chooseEntry(index, named, platform);
  const root = await manifest(entry, signal);
  return {
    name: files.name,
    root: { ...root, ...given({ platform: entry.platform }) },
    manifest,
    bytes,
    open: files.open,
    referrers: async (subject, reading) => await findReferrers(index, { subject, manifest }, reading),
  };
}

/** The names in a layout: of its entries with one. @throws ERR_LAYER when there is no layout or it is malformed */
export async function layoutTags(folder: string, signal: AbortSignal): Promise<readonly string[]> {
  return await layoutTagsIn(folderFiles(folder), signal);
}

/** As `layoutTags`, wherever the layout's files are. */
export async function layoutTagsIn(files: LayoutFiles, signal: AbortSignal): Promise<readonly string[]> {
  await checkVersion(files, signal);
  const names = (await readIndex(files, signal)).manifests.map((entry) => entry.annotations?.get(refName));
  return names.filter((name) => name !== undefined);
}

/** An image or an index of a layout. */
export interface LayoutEntry {
  readonly digest: Digest;
  readonly isIndex: boolean;
  readonly names: readonly string[];
}

/** All that a layout holds; what is about another image is left out. @throws as `layoutTags` */
export async function listLayout(files: LayoutFiles, signal: AbortSignal): Promise<readonly LayoutEntry[]> {
  await checkVersion(files, signal);
  const images = new Map<Digest, LayoutEntry>();
  for (const { digest, mediaType, annotations, artifactType } of (await readIndex(files, signal)).manifests) {
    if (artifactType !== undefined) continue;
    const name = annotations?.get(containerdName) ?? annotations?.get(refName);
    const names = [...(images.get(digest)?.names ?? []), ...(name === undefined ? [] : [name])];
    images.set(digest, { digest, isIndex: mediaType === MediaType.ociIndex || mediaType === MediaType.dockerList, names });
  }
  return [...images.values()];
}

/** The layout's files in a folder. */
export function folderFiles(folder: string): LayoutFiles {
  return {
    name: folder,
    text: async (path, limitBytes) => await textOf(join(folder, path), limitBytes),
    open: (descriptor, signal) => openBlobFile(folder, descriptor, signal),
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
    // What is about an image is not what was asked for.
    if (tag === undefined) return entry.artifactType === undefined;
    // buildah and podman write the whole image name there, others the tag alone
    return name === tag || name?.endsWith(`:${tag}`) === true;
  });
  const [first] = fitting;
  const distinct = new Set(fitting.map((entry) => entry.digest));
  if (first !== undefined && distinct.size === 1) return first;
  const isChoice =
    fitting.some((entry) => entry.platform !== undefined) || fitting.filter((entry) => isManifestType(entry.mediaType)).length === 1;
  if (first !== undefined && platform !== undefined && tag !== undefined && isChoice)
    return selectPlatform({ ...index, manifests: fitting }, platform);
  const wanted = digest ?? tag;
  const isNamed = wanted !== undefined && first !== undefined;
  const names = isNamed ? [...distinct].join(', ') : index.manifests.map((entry) => named(entry) ?? entry.digest).join(', ');
  const several = isNamed ? `${distinct.size} have the name ${wanted}, and no platform` : 'it holds several';
  const hint = names === '' ? 'the layout is empty' : isNamed ? `${folder}@DIGEST, of ${names}` : `it has: ${names}`;
  const message = `Cannot choose an image in ${folder}: ${wanted !== undefined && first === undefined ? `none is named ${JSON.stringify(wanted)}` : several}`;
  throw new BuilderError('ERR_REFERENCE', message, { hint });
}

async function checkVersion(files: LayoutFiles, signal: AbortSignal): Promise<void> {
  const text = await files.text('oci-layout', 4096, signal);
  if (text === undefined) throw malformed(files.name, 'there is no oci-layout file');
  const root = parseJson(text, `${files.name}/oci-layout`);
  const version = root instanceof Map ? root.get('imageLayoutVersion') : undefined;
  if (typeof version !== 'string' || !version.startsWith('1.')) throw malformed(files.name, 'its layout version is not 1');
}

async function readIndex(files: LayoutFiles, signal: AbortSignal): Promise<ImageIndex> {
  const text = await files.text('index.json', manifestLimitBytes, signal);
  if (text === undefined) throw malformed(files.name, 'there is no index.json');
  try {
    const parsed = parseManifest(Buffer.from(text, 'utf8'), MediaType.ociIndex);
    if (parsed.kind === 'index') return parsed;
  } catch (error) {
    if (!(error instanceof BuilderError)) throw error;
    throw malformed(files.name, `index.json: ${error.message.replace(/^Cannot read the manifest: /, '')}`);
  }
  throw malformed(files.name, 'index.json is not an index');
}
