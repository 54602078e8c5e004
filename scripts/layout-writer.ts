// Writes an image into an OCI layout (image-spec image-layout.md).
import { createWriteStream, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Digest, splitDigest } from '../src/oci/digest.ts';
import type { Image } from '../src/oci/image.ts';
import { formatJson, parseJson } from '../src/oci/json.ts';
import { formatDescriptor, manifestOf } from '../src/oci/manifest.ts';
import { MediaType } from '../src/oci/media-type.ts';

const tagKey = 'org.opencontainers.image.ref.name';

/** Writes blobs, then the index, which keeps other tags. */
export async function writeOciLayout(folder: string, tag: string, image: Image, signal: AbortSignal): Promise<Digest> {
  const manifest = manifestOf(image);
  const blobPath = (digest: Digest): string => join(folder, 'blobs/sha256', splitDigest(digest).hex);
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  for (const layer of image.layers) {
    const path = blobPath(layer.descriptor.digest);
    if (existsSync(path)) continue;
    await pipeline(layer.open(signal), createWriteStream(`${path}.partial`), { signal });
    renameSync(`${path}.partial`, path);
  }
  writeFileSync(blobPath(manifest.config.descriptor.digest), manifest.config.bytes);
  writeFileSync(blobPath(manifest.digest), manifest.bytes);
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const indexPath = join(folder, 'index.json');
  const old = existsSync(indexPath) ? parseJson(readFileSync(indexPath, 'utf8')) : undefined;
  const entries = old instanceof Map ? old.get('manifests') : undefined;
  const others = Array.isArray(entries)
    ? entries.filter((entry) => !JSON.stringify(formatJson(entry)).includes(`${tagKey}\\":\\"${tag}\\"`))
    : [];
  const annotations = new Map([[tagKey, tag]]);
  const own = formatDescriptor({ mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length, annotations });
  const index = new Map<string, Parameters<typeof formatJson>[0]>([
    ['schemaVersion', 2],
    ['mediaType', MediaType.ociIndex],
    ['manifests', [...others, own]],
  ]);
  writeFileSync(`${indexPath}.partial`, formatJson(index));
  renameSync(`${indexPath}.partial`, indexPath);
  return manifest.digest;
}
