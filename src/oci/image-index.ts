// An index of images that we make: image-spec image-index.md, and Docker's manifest list.
import { BuilderError } from '../errors.ts';
import { type Descriptor, annotationsMember, formatDescriptor } from './descriptor.ts';
import { type JsonObject, formatJson, jsonObject } from './json.ts';
import { type StoredManifest, storedManifest } from './manifest.ts';
import { MediaType, type MediaFamily } from './media-type.ts';
import { type Platform, formatPlatform, normalizePlatform } from './platform.ts';

const indexTypes: Readonly<Record<MediaFamily, string>> = { oci: MediaType.ociIndex, docker: MediaType.dockerList };

/** The index that names these, in their order: Docker's list where all of them are Docker's and nothing has annotations, which it knows not. */
export function encodeIndex(entries: readonly Descriptor[], annotations: ReadonlyMap<string, string> = new Map()): StoredManifest {
  const isPlain = (entry: Descriptor): boolean => entry.mediaType === MediaType.dockerManifest && entry.annotations === undefined;
  const isDocker = annotations.size === 0 && entries.length > 0 && entries.every(isPlain);
  const mediaType = indexTypes[isDocker ? 'docker' : 'oci'];
  const root = jsonObject({
    schemaVersion: 2,
    mediaType,
    manifests: entries.map(formatDescriptor),
    annotations: annotationsMember(annotations),
  });
  return storedManifest(Buffer.from(formatJson(root), 'utf8'), mediaType);
}

/** OCI's index of these entries, as JSON. */
export function indexObject(manifests: readonly JsonObject[]): JsonObject {
  return jsonObject({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests });
}

/** True for what is said about an image of an index, and is none: BuildKit's attestations. */
export function isAttestation({ platform }: Pick<Descriptor, 'platform'>): boolean {
  return platform?.os === 'unknown' && platform.architecture === 'unknown';
}

/** The image that an attestation of an index is about. */
export const attestedImage = 'vnd.docker.reference.digest';

/** @throws ERR_USAGE where two are for the same platform: whoever asks for it would get any of them */
export function refuseSamePlatform(images: readonly { readonly name: string; readonly platform: Platform }[]): void {
  const byPlatform = new Map<string, string>();
  for (const { name, platform } of images) {
    const { osVersion } = platform;
    const key = `${formatPlatform(normalizePlatform(platform))}${osVersion === undefined ? '' : ` (${osVersion})`}`;
    const other = byPlatform.get(key);
    if (other !== undefined)
      throw new BuilderError('ERR_USAGE', `Cannot make the index: ${other} and ${name} are both for ${key}`, {
        hint: 'one image a platform; a tag may be that of an earlier build (index create --match-annotation; manifest remove)',
      });
    byPlatform.set(key, name);
  }
}
