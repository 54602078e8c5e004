// Images in an OCI layout directory: image-spec image-layout.md. Blobs are written beside their place and moved there
// when they are verified; index.json changes in one rename, and keeps what others have put into it.
import { BuilderError, systemCode } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import type { Image, Layer } from '../oci/image.ts';
import { parseImageConfig } from '../oci/image-config.ts';
import { type Json, type JsonObject, formatJson, parseJson } from '../oci/json.ts';
import {
  type ImageIndex,
  type ImageManifest,
  configLimitBytes,
  formatDescriptor,
  manifestLimitBytes,
  manifestOf,
  parseDescriptor,
  parseManifest,
  selectPlatform,
} from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import type { Platform } from '../oci/platform.ts';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { openBlobFile, readBlobFile, replaceFile, writeBlobFile } from './blob-file.ts';

const refName = 'org.opencontainers.image.ref.name';
const depthLimit = 3;

/** Which image of a layout: `path[:tag]` or `path@digest`. */
export interface LayoutReference {
  readonly folder: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/** An image of a layout, and the digest of its manifest or index. */
export interface StoredImage {
  readonly image: Image;
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

/** Adds an image to a layout, which is made where there is none. A tag moves to it; other entries stay. */
export async function writeLayout(place: LayoutReference, image: Image, signal: AbortSignal): Promise<Digest> {
  const manifest = manifestOf(image);
  const { folder, tag } = place;
  const entries = await readIndexEntries(folder);
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true });
  for (const layer of image.layers) await writeBlobFile(folder, layer.descriptor, layer.open(signal), signal);
  await writeBlobFile(folder, manifest.config.descriptor, Readable.from([manifest.config.bytes], { objectMode: false }), signal);
  const { os, architecture, variant } = image.config;
  const descriptor: Descriptor = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
    ...(tag === undefined ? {} : { annotations: new Map([[refName, tag]]) }),
  };
  await writeBlobFile(folder, descriptor, Readable.from([manifest.bytes], { objectMode: false }), signal);
  await replaceFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const kept = entries.filter((entry) => !isReplacedBy(entry, descriptor));
  const index = new Map<string, Json>([
    ['schemaVersion', 2],
    ['mediaType', MediaType.ociIndex],
    ['manifests', [...kept, formatDescriptor(descriptor)]],
  ]);
  await replaceFile(join(folder, 'index.json'), formatJson(index));
  return manifest.digest;
}

/**
 * Reads an image for a platform. Without tag and digest the layout must hold one image only.
 * @throws ERR_LAYER when there is no layout or it is malformed, ERR_REFERENCE when it has no such image.
 */
export async function readLayout(place: LayoutReference, platform: Platform, signal: AbortSignal): Promise<StoredImage> {
  const { folder } = place;
  await checkVersion(folder);
  const index = await readIndex(folder);
  const entry = chooseEntry(index, place, platform);
  const manifest = await resolveManifest(folder, entry, platform, signal);
  const { mediaType } = manifest.config;
  if (mediaType !== MediaType.ociConfig && mediaType !== MediaType.dockerConfig) {
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot use ${folder} as an image: its config is ${JSON.stringify(mediaType)}`);
  }
  const config = parseImageConfig((await readBlobFile(folder, manifest.config, configLimitBytes, signal)).toString('utf8'));
  if (config.diffIds.length !== manifest.layers.length) {
    throw malformed(folder, `its config names ${config.diffIds.length} layers, its manifest ${manifest.layers.length}`);
  }
  const layers = manifest.layers.flatMap((descriptor, position): readonly Layer[] => {
    const diffId = config.diffIds[position];
    return diffId === undefined ? [] : [{ descriptor, diffId, open: (opening) => openBlobFile(folder, descriptor, opening) }];
  });
  return { image: { config, layers, family: manifest.family, annotations: manifest.annotations }, digest: entry.digest };
}

function withFolder(place: LayoutReference, fail: (why: string) => BuilderError): LayoutReference {
  if (place.folder === '') throw fail('it names no directory');
  return place;
}

function chooseEntry(index: ImageIndex, place: LayoutReference, platform: Platform): Descriptor {
  const { folder, tag, digest } = place;
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
  if (first !== undefined && (tag !== undefined || digest !== undefined)) return selectPlatform({ ...index, manifests: fitting }, platform);
  const names = index.manifests.map((entry) => named(entry) ?? entry.digest).join(', ');
  const wanted = digest ?? tag;
  throw new BuilderError(
    'ERR_REFERENCE',
    `Cannot choose an image in ${folder}: ${wanted === undefined ? 'it holds several' : `there is no ${wanted}`}`,
    {
      hint: names === '' ? 'the layout is empty' : `it has: ${names}`,
    },
  );
}

async function resolveManifest(folder: string, entry: Descriptor, platform: Platform, signal: AbortSignal): Promise<ImageManifest> {
  let current = entry;
  for (let depth = 0; depth <= depthLimit; depth++) {
    const parsed = parseManifest(await readBlobFile(folder, current, manifestLimitBytes, signal), current.mediaType);
    if (parsed.kind === 'manifest') return parsed;
    current = selectPlatform(parsed, platform);
  }
  throw malformed(folder, `its indexes are nested more than ${depthLimit} deep`);
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
