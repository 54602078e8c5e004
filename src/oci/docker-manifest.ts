// Docker's schema 2 manifest, its members in the order in which docker and containers/image write them, so that the same image gets
// the same digest from every tool.
import { type Descriptor, platformObject } from './descriptor.ts';
import { digestOf } from './digest.ts';
import { type JsonObject, formatJson, jsonObject } from './json.ts';
import type { StoredManifest } from './manifest.ts';
import { MediaType } from './media-type.ts';

/** The manifest of an image; annotations have no place in it. */
export function encodeDockerManifest(config: Descriptor, layers: readonly Descriptor[]): StoredManifest {
  const mediaType = MediaType.dockerManifest;
  const named = { config: dockerDescriptor(config), layers: layers.map((layer) => dockerDescriptor(layer)) };
  return encodeManifest(jsonObject({ schemaVersion: 2, mediaType, ...named }), mediaType);
}

/** A manifest list. An entry without a platform gets empty words, as docker has it. */
export function encodeDockerList(manifests: readonly Descriptor[]): StoredManifest {
  const mediaType = MediaType.dockerList;
  const entries = manifests.map((entry) => dockerDescriptor(entry, platformObject(entry.platform ?? { os: '', architecture: '' })));
  return encodeManifest(jsonObject({ schemaVersion: 2, mediaType, manifests: entries }), mediaType);
}

function dockerDescriptor({ mediaType, size, digest, urls }: Descriptor, platform?: JsonObject): JsonObject {
  return jsonObject({ mediaType, size, digest, urls, platform });
}

/** A manifest as it is stored, of its JSON. */
export function encodeManifest(root: JsonObject, mediaType: string): StoredManifest {
  const bytes = Buffer.from(formatJson(root), 'utf8');
  return { bytes, mediaType, digest: digestOf(bytes) };
}
