// Manifests and indexes: image-spec manifest.md and image-index.md, and Docker's schema 2 twins.
import { BuilderError } from '../errors.ts';
import type { Descriptor } from './descriptor.ts';
import { type Digest, digestOf, isDigest } from './digest.ts';
import type { Image } from './image.ts';
import { formatImageConfig } from './image-config.ts';
import { type Json, type JsonObject, formatJson, parseJson } from './json.ts';
import { MediaType, type MediaFamily, layerMediaTypeIn } from './media-type.ts';
import { type Platform, formatPlatform, platformDistance } from './platform.ts';

/** What we read whole of one manifest or index, in bytes; the distribution-spec asks registries to take 4 MiB. */
export const manifestLimitBytes = 8 * 1024 * 1024;
/** What we read whole of one image config, in bytes. */
export const configLimitBytes = 8 * 1024 * 1024;
const indexEntryLimit = 10_000;
const layerLimit = 10_000;

/** A manifest: one image. */
export interface ImageManifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly family: MediaFamily;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations: ReadonlyMap<string, string>;
}

/** An index or manifest list: images for several platforms, or further indexes. */
export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly family: MediaFamily;
  readonly manifests: readonly Descriptor[];
}

/** What `manifestOf` makes: the exact bytes to store, and where they point. */
export interface ManifestBytes {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: Digest;
  readonly config: { readonly bytes: Buffer; readonly descriptor: Descriptor };
  readonly layers: readonly Descriptor[];
}

const kinds: ReadonlyMap<string, { readonly kind: 'manifest' | 'index'; readonly family: MediaFamily }> = new Map([
  [MediaType.ociManifest, { kind: 'manifest', family: 'oci' }],
  [MediaType.ociIndex, { kind: 'index', family: 'oci' }],
  [MediaType.dockerManifest, { kind: 'manifest', family: 'docker' }],
  [MediaType.dockerList, { kind: 'index', family: 'docker' }],
]);

/**
 * Reads a manifest or index. `contentType` is what the server or the descriptor called it, without trust: a document
 * that says otherwise, or is both an index and a manifest, is refused (CVE-2021-41190).
 * @throws ERR_LAYER when it is malformed, ERR_UNSUPPORTED when it is schema 1 or something that is no image.
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): ImageManifest | ImageIndex {
  if (bytes.length > manifestLimitBytes) throw malformed(`it has more than ${manifestLimitBytes} bytes`);
  const root = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!(root instanceof Map)) throw malformed('it is not an object');
  refuseSchema1(root, contentType);
  if (root.get('schemaVersion') !== 2) throw malformed('schemaVersion is not 2');
  if (root.has('manifests') && (root.has('layers') || root.has('config'))) throw malformed('it is an index and an image at once');
  const mediaType = mediaTypeOf(root, contentType);
  const known = kinds.get(mediaType);
  if (known === undefined) {
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot use the manifest: ${JSON.stringify(mediaType)} is not an image`);
  }
  if (known.kind === 'index') {
    const manifests = descriptors(root, 'manifests', indexEntryLimit);
    return { kind: 'index', mediaType, family: known.family, manifests };
  }
  const config = root.get('config');
  if (config === undefined) throw malformed('config is missing');
  return {
    kind: 'manifest',
    mediaType,
    family: known.family,
    config: parseDescriptor(config, 'config'),
    layers: descriptors(root, 'layers', layerLimit),
    annotations: parseAnnotations(root.get('annotations'), 'annotations') ?? new Map(),
  };
}

/**
 * The entry of an index for a platform: the closest, and of those the first; attestations (`unknown/unknown`) are no images.
 * @throws ERR_UNSUPPORTED naming the platforms there are.
 */
export function selectPlatform(index: ImageIndex, wanted: Platform): Descriptor {
  const images = index.manifests.filter((entry) => kinds.has(entry.mediaType) && entry.platform?.os !== 'unknown');
  const [match] = images
    .flatMap((entry) => {
      const distance = entry.platform === undefined ? undefined : platformDistance(entry.platform, wanted);
      return distance === undefined ? [] : [{ entry, distance }];
    })
    .toSorted((a, b) => a.distance - b.distance);
  const [only] = images;
  // One image that says nothing of its platform: there is no choice to make.
  const chosen = match?.entry ?? (images.length === 1 && only?.platform === undefined ? only : undefined);
  if (chosen !== undefined) return chosen;
  const offered = images.map((entry) => (entry.platform === undefined ? 'no platform' : formatPlatform(entry.platform)));
  throw new BuilderError(
    'ERR_UNSUPPORTED',
    `Cannot choose an image for ${formatPlatform(wanted)}: the index has ${offered.join(', ') || 'no images'}`,
  );
}

/** The manifest of an image. Same image, same bytes. A zstd layer makes it OCI, since Docker's family has no name for it. */
export function manifestOf(image: Image): ManifestBytes {
  const zstd = image.layers.some((layer) => layer.descriptor.mediaType === MediaType.ociLayerZstd);
  const family: MediaFamily = zstd || image.annotations.size > 0 ? 'oci' : image.family;
  const isOci = family === 'oci';
  const layers = image.layers.map((layer) => ({ ...layer.descriptor, mediaType: layerMediaTypeIn(family, layer.descriptor.mediaType) }));
  const configBytes = Buffer.from(formatImageConfig(image.config), 'utf8');
  const config: Descriptor = {
    mediaType: isOci ? MediaType.ociConfig : MediaType.dockerConfig,
    digest: digestOf(configBytes),
    size: configBytes.length,
  };
  const mediaType = isOci ? MediaType.ociManifest : MediaType.dockerManifest;
  const root = new Map<string, Json>([
    ['schemaVersion', 2],
    ['mediaType', mediaType],
    ['config', formatDescriptor(config)],
    ['layers', layers.map(formatDescriptor)],
  ]);
  if (image.annotations.size > 0) root.set('annotations', sortedMap(image.annotations));
  const bytes = Buffer.from(formatJson(root), 'utf8');
  return { bytes, mediaType, digest: digestOf(bytes), config: { bytes: configBytes, descriptor: config }, layers };
}

/** A descriptor as JSON, members in the specification's order. */
export function formatDescriptor(descriptor: Descriptor): JsonObject {
  const out = new Map<string, Json>([
    ['mediaType', descriptor.mediaType],
    ['digest', descriptor.digest],
    ['size', descriptor.size],
  ]);
  if (descriptor.urls !== undefined) out.set('urls', [...descriptor.urls]);
  if (descriptor.annotations !== undefined && descriptor.annotations.size > 0) out.set('annotations', sortedMap(descriptor.annotations));
  if (descriptor.platform !== undefined) {
    const { os, architecture, variant, osVersion } = descriptor.platform;
    const platform = new Map<string, Json>([
      ['architecture', architecture],
      ['os', os],
    ]);
    if (osVersion !== undefined) platform.set('os.version', osVersion);
    if (variant !== undefined) platform.set('variant', variant);
    out.set('platform', platform);
  }
  return out;
}

/** @throws ERR_LAYER naming `place` when the value is no descriptor. */
export function parseDescriptor(value: Json, place: string): Descriptor {
  if (!(value instanceof Map)) throw malformed(`${place} is not an object`);
  const mediaType = value.get('mediaType');
  const digest = value.get('digest');
  const size = value.get('size');
  if (typeof mediaType !== 'string') throw malformed(`${place}.mediaType is not a string`);
  if (typeof digest !== 'string' || !isDigest(digest)) throw malformed(`${place}.digest is not a digest that can be verified`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw malformed(`${place}.size is not a size`);
  const platform = parsePlatformObject(value.get('platform'), place);
  const annotations = parseAnnotations(value.get('annotations'), `${place}.annotations`);
  const urls = value.get('urls');
  return {
    mediaType,
    digest,
    size,
    ...(platform === undefined ? {} : { platform }),
    ...(annotations === undefined || annotations.size === 0 ? {} : { annotations }),
    ...(Array.isArray(urls) && urls.length > 0 ? { urls: urls.filter((url: Json) => typeof url === 'string') } : {}),
  };
}

function refuseSchema1(root: JsonObject, contentType: string | undefined): void {
  const isSchema1 = root.get('schemaVersion') === 1 || contentType?.startsWith('application/vnd.docker.distribution.manifest.v1') === true;
  if (!isSchema1) return;
  throw new BuilderError('ERR_UNSUPPORTED', 'Cannot use the manifest: it has the old schema 1, which says nothing that can be verified', {
    hint: 'push the image again with a current engine, or copy it with: skopeo copy --format v2s2',
  });
}

function mediaTypeOf(root: JsonObject, contentType: string | undefined): string {
  const own = root.get('mediaType');
  if (own !== undefined && typeof own !== 'string') throw malformed('mediaType is not a string');
  // Parameters mean nothing here; a type that is no manifest's (text/plain, octet-stream) is a web server's guess.
  const given = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  const served = given !== undefined && kinds.has(given) ? given : undefined;
  if (own !== undefined && served !== undefined && own !== served) {
    throw malformed(`it calls itself ${own}, but was served as ${served}`);
  }
  const shaped = root.has('manifests') ? MediaType.ociIndex : MediaType.ociManifest;
  const chosen = own ?? served ?? shaped;
  const kind = kinds.get(chosen)?.kind;
  if (kind === 'index' && !root.has('manifests')) throw malformed(`it is called ${chosen}, but has no manifests`);
  if (kind === 'manifest' && root.has('manifests')) throw malformed(`it is called ${chosen}, but has manifests`);
  return chosen;
}

function descriptors(root: JsonObject, key: string, limit: number): readonly Descriptor[] {
  const list = root.get(key);
  if (!Array.isArray(list)) throw malformed(`${key} is not a list`);
  if (list.length > limit) throw malformed(`${key} has more than ${limit} entries`);
  return list.map((item: Json, position) => parseDescriptor(item, `${key}[${position}]`));
}

function parsePlatformObject(value: Json | undefined, place: string): Platform | undefined {
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Map)) throw malformed(`${place}.platform is not an object`);
  const text = (key: string): string | undefined => {
    const item = value.get(key);
    return typeof item === 'string' && item !== '' ? item : undefined;
  };
  const variant = text('variant');
  const osVersion = text('os.version');
  return {
    os: text('os') ?? 'unknown',
    architecture: text('architecture') ?? 'unknown',
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
  };
}

function parseAnnotations(value: Json | undefined, place: string): ReadonlyMap<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Map)) throw malformed(`${place} is not an object`);
  const out = new Map<string, string>();
  for (const [key, item] of value) {
    if (typeof item !== 'string') throw malformed(`${place}.${key} is not a string`);
    out.set(key, item);
  }
  return out;
}

function sortedMap(map: ReadonlyMap<string, string>): JsonObject {
  return new Map([...map].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

function malformed(why: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read the manifest: ${why}`);
}
