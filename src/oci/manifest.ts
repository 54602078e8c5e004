// Manifests and indexes: image-spec manifest.md and image-index.md, and Docker's schema 2 twins.
import { BuilderError } from '../errors.ts';
import { type Descriptor, malformedManifest, parseAnnotations, parseDescriptor } from './descriptor.ts';
import { type Digest, digestOf } from './digest.ts';
import { type Json, type JsonObject, parseJson } from './json.ts';
import { MediaType, type MediaFamily } from './media-type.ts';
import { type Platform, formatPlatform, platformDistance } from './platform.ts';

/** What we read whole of one manifest or index, in bytes; the distribution-spec asks registries to take 4 MiB. */
export const manifestLimitBytes = 8 * 1024 * 1024;
/** What we read whole of one image config, in bytes. */
export const configLimitBytes = 8 * 1024 * 1024;
/** So often an index may name another one that names another one. */
export const indexDepthLimit = 3;
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
  /** What it is about, where it is a referrer: a signature, a bill of materials. */
  readonly subject?: Descriptor;
  readonly artifactType?: string;
}

/** An index or manifest list: images for several platforms, or further indexes. */
export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly family: MediaFamily;
  readonly manifests: readonly Descriptor[];
  readonly annotations: ReadonlyMap<string, string>;
  readonly subject?: Descriptor;
}

/**
 * A manifest or index as it is stored. The bytes count: they are passed on as they are, and what they say is only a view of them,
 * `parseManifest`.
 */
export interface StoredManifest {
  readonly bytes: Buffer;
  /** What it calls itself, or else is called. */
  readonly mediaType: string;
  /** Of the bytes. */
  readonly digest: Digest;
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
  if (bytes.length > manifestLimitBytes) throw malformedManifest(`it has more than ${manifestLimitBytes} bytes`);
  const root = parseJson(Buffer.from(bytes).toString('utf8'), 'the manifest');
  if (!(root instanceof Map)) throw malformedManifest('it is not an object');
  refuseSchema1(root, contentType);
  if (root.get('schemaVersion') !== 2) throw malformedManifest('schemaVersion is not 2');
  if (root.has('manifests') && (root.has('layers') || root.has('config'))) throw malformedManifest('it is an index and an image at once');
  const mediaType = mediaTypeOf(root, contentType);
  const known = kinds.get(mediaType);
  if (known === undefined) {
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot use the manifest: ${JSON.stringify(mediaType)} is not an image`);
  }
  const annotations = parseAnnotations(root.get('annotations'), 'annotations') ?? new Map<string, string>();
  if (known.kind === 'index') {
    const manifests = descriptors(root, 'manifests', indexEntryLimit);
    return { kind: 'index', mediaType, family: known.family, manifests, annotations, ...subjectOf(root) };
  }
  const config = root.get('config');
  if (config === undefined) throw malformedManifest('config is missing');
  return {
    kind: 'manifest',
    mediaType,
    family: known.family,
    config: parseDescriptor(config, 'config'),
    layers: descriptors(root, 'layers', layerLimit),
    annotations,
    ...subjectOf(root),
    ...artifactTypeOf(root),
  };
}

/**
 * The bytes of a manifest or index, with the type that they turn out to have; `digest` where it is known to be theirs.
 * @throws as `parseManifest`
 */
export function storedManifest(bytes: Buffer, contentType: string | undefined, digest: Digest = digestOf(bytes)): StoredManifest {
  try {
    return { bytes, mediaType: parseManifest(bytes, contentType).mediaType, digest };
  } catch (error) {
    if (!(error instanceof BuilderError)) throw error;
    const message = error.message.replace(/^(Cannot \w+) the manifest/, `$1 manifest ${digest}`);
    throw new BuilderError(error.code, message, { cause: error.cause, ...(error.hint === undefined ? {} : { hint: error.hint }) });
  }
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

/** True for a type of manifest or index that `parseManifest` reads. */
export function isManifestType(mediaType: string): boolean {
  return kinds.has(mediaType);
}

/** True for the types of schema 1, signed or not, which is known in order to be refused. */
export function isSchema1Type(mediaType: string): boolean {
  return mediaType.startsWith('application/vnd.docker.distribution.manifest.v1');
}

/** What a server calls these bytes: Artifactory gives today's manifests the name of schema 1 at times (kaniko #2454). */
export function servedType(bytes: Buffer, contentType: string | undefined): string | undefined {
  const isMisnamed = contentType !== undefined && isSchema1Type(contentType) && /"schemaVersion"\s*:\s*2\b/.test(bytes.toString('latin1'));
  return isMisnamed ? undefined : contentType;
}

function refuseSchema1(root: JsonObject, contentType: string | undefined): void {
  if (root.get('schemaVersion') !== 1 && (contentType === undefined || !isSchema1Type(contentType))) return;
  throw new BuilderError('ERR_UNSUPPORTED', 'Cannot use the manifest: it has the old schema 1, which says nothing that can be verified', {
    hint: 'push the image again with a current engine, or copy it with: skopeo copy --format v2s2',
  });
}

function mediaTypeOf(root: JsonObject, contentType: string | undefined): string {
  const own = root.get('mediaType');
  if (own !== undefined && typeof own !== 'string') throw malformedManifest('mediaType is not a string');
  // Parameters mean nothing here; a type that is no manifest's (text/plain, octet-stream) is a web server's guess.
  const given = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  const served = given !== undefined && kinds.has(given) ? given : undefined;
  if (own !== undefined && served !== undefined && own !== served) {
    throw malformedManifest(`it calls itself ${own}, but was served as ${served}`);
  }
  const shaped = root.has('manifests') ? MediaType.ociIndex : MediaType.ociManifest;
  const chosen = own ?? served ?? shaped;
  const kind = kinds.get(chosen)?.kind;
  if (kind === 'index' && !root.has('manifests')) throw malformedManifest(`it is called ${chosen}, but has no manifests`);
  if (kind === 'manifest' && root.has('manifests')) throw malformedManifest(`it is called ${chosen}, but has manifests`);
  return chosen;
}

function subjectOf(root: JsonObject): { readonly subject?: Descriptor } {
  const subject = root.get('subject');
  return subject === undefined || subject === null ? {} : { subject: parseDescriptor(subject, 'subject') };
}

function artifactTypeOf(root: JsonObject): { readonly artifactType?: string } {
  const type = root.get('artifactType');
  return typeof type === 'string' && type !== '' ? { artifactType: type } : {};
}

function descriptors(root: JsonObject, key: string, limit: number): readonly Descriptor[] {
  const list = root.get(key);
  if (!Array.isArray(list)) throw malformedManifest(`${key} is not a list`);
  if (list.length > limit) throw malformedManifest(`${key} has more than ${limit} entries`);
  return list.map((item: Json, position) => parseDescriptor(item, `${key}[${position}]`));
}
