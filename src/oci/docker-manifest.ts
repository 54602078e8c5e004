// Docker's schema 2 manifest, its members in the order in which docker and containers/image write them, so that the same image gets
// the same digest from every tool.
import type { Descriptor } from './descriptor.ts';
import { digestOf } from './digest.ts';
import { type Json, type JsonObject, formatJson } from './json.ts';
import type { StoredManifest } from './manifest.ts';
import { MediaType } from './media-type.ts';

/** The manifest of an image; annotations have no place in it. */
export function encodeDockerManifest(config: Descriptor, layers: readonly Descriptor[]): StoredManifest {
  const root = new Map<string, Json>([
    ['schemaVersion', 2],
    ['mediaType', MediaType.dockerManifest],
    ['config', dockerDescriptor(config)],
    ['layers', layers.map(dockerDescriptor)],
  ]);
  return encodeManifest(root, MediaType.dockerManifest);
}

/** A manifest list. An entry without a platform gets empty words, as docker has it. */
export function encodeDockerList(manifests: readonly Descriptor[]): StoredManifest {
  const entries = manifests.map((entry): JsonObject => {
    const { os = '', architecture = '', variant, osVersion } = entry.platform ?? {};
    const platform = new Map<string, Json>([
      ['architecture', architecture],
      ['os', os],
    ]);
    if (osVersion !== undefined) platform.set('os.version', osVersion);
    if (variant !== undefined) platform.set('variant', variant);
    return new Map<string, Json>([...dockerDescriptor(entry), ['platform', platform]]);
  });
  const root = new Map<string, Json>([
    ['schemaVersion', 2],
    ['mediaType', MediaType.dockerList],
    ['manifests', entries],
  ]);
  return encodeManifest(root, MediaType.dockerList);
}

function dockerDescriptor({ mediaType, size, digest, urls }: Descriptor): JsonObject {
  const out = new Map<string, Json>([
    ['mediaType', mediaType],
    ['size', size],
    ['digest', digest],
  ]);
  if (urls !== undefined) out.set('urls', [...urls]);
  return out;
}

/** A manifest as it is stored, of its JSON. */
export function encodeManifest(root: JsonObject, mediaType: string): StoredManifest {
  const bytes = Buffer.from(formatJson(root), 'utf8');
  return { bytes, mediaType, digest: digestOf(bytes) };
}
