// OCI image-spec descriptor.md: a typed pointer to content.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { type Digest, isDigest } from './digest.ts';
import { type Json, type JsonObject, jsonObject } from './json.ts';
import type { Platform } from './platform.ts';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the content as stored. */
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: ReadonlyMap<string, string>;
  readonly urls?: readonly string[];
  /** What the manifest says that it is, where it is no image. */
  readonly artifactType?: string;
}

const foreignLayer = /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.v1|docker\.image\.rootfs\.foreign\.diff)\.tar/;

/** True for a layer whose content stays where its URLs say, and is neither fetched nor sent: Windows' base layers. */
export function isForeign({ mediaType, urls }: Descriptor): boolean {
  return urls !== undefined && foreignLayer.test(mediaType);
}

/** A descriptor as JSON, members in the specification's order. */
export function formatDescriptor({ mediaType, digest, size, urls, annotations, platform, artifactType }: Descriptor): JsonObject {
  const shown = platform === undefined ? undefined : platformObject(platform);
  return jsonObject({ mediaType, digest, size, urls, annotations: annotationsMember(annotations), platform: shown, artifactType });
}

/** A platform as an entry of an index has it. */
export function platformObject({ architecture, os, osVersion, variant }: Platform): JsonObject {
  return jsonObject({ architecture, os, 'os.version': osVersion, variant });
}

/** @throws ERR_LAYER naming `place` when the value is no descriptor. */
export function parseDescriptor(value: Json, place: string): Descriptor {
  if (!(value instanceof Map)) throw malformedManifest(`${place} is not an object`);
  const mediaType = value.get('mediaType');
  const digest = value.get('digest');
  const size = value.get('size');
  if (typeof mediaType !== 'string') throw malformedManifest(`${place}.mediaType is not a string`);
  if (typeof digest !== 'string' || !isDigest(digest)) throw malformedManifest(`${place}.digest is not a digest that can be verified`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw malformedManifest(`${place}.size is not a size`);
  const platform = parsePlatformObject(value.get('platform'), place);
  const annotations = parseAnnotations(value.get('annotations'), `${place}.annotations`);
  const urls = value.get('urls');
  const artifactType = value.get('artifactType');
  return {
    mediaType,
    digest,
    size,
    ...given({ platform }),
    ...(annotations === undefined || annotations.size === 0 ? {} : { annotations }),
    ...(Array.isArray(urls) && urls.length > 0 ? { urls: urls.filter((url: Json) => typeof url === 'string') } : {}),
    ...(typeof artifactType === 'string' && artifactType !== '' ? { artifactType } : {}),
  };
}

/** @throws ERR_LAYER naming `place` when the value is neither missing nor an object of strings. */
export function parseAnnotations(value: Json | undefined, place: string): ReadonlyMap<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Map)) throw malformedManifest(`${place} is not an object`);
  const out = new Map<string, string>();
  for (const [key, item] of value) {
    if (typeof item !== 'string') throw malformedManifest(`${place}.${key} is not a string`);
    out.set(key, item);
  }
  return out;
}

/** Annotations as JSON, by name. */
export function formatAnnotations(map: ReadonlyMap<string, string>): JsonObject {
  return new Map([...map].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** The same as a member, which nobody has who has none of them. */
export function annotationsMember(map: ReadonlyMap<string, string> | undefined): JsonObject | undefined {
  return map === undefined || map.size === 0 ? undefined : formatAnnotations(map);
}

/** What to throw for a manifest or index, or a descriptor in it, that can't be read. */
export function malformedManifest(why: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read the manifest: ${why}`);
}

function parsePlatformObject(value: Json | undefined, place: string): Platform | undefined {
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Map)) throw malformedManifest(`${place}.platform is not an object`);
  const text = (key: string): string | undefined => {
    const item = value.get(key);
    return typeof item === 'string' && item !== '' ? item : undefined;
  };
  const variant = text('variant');
  const osVersion = text('os.version');
  return {
    os: text('os') ?? 'unknown',
    architecture: text('architecture') ?? 'unknown',
    ...given({ variant, osVersion }),
  };
}
