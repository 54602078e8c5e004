// An image from one place to another as it is stored: manifests, indexes with all that they name, and blobs, byte for byte.
import { BuilderError } from '../errors.ts';
import { type Descriptor, isForeign } from './descriptor.ts';
import type { Digest } from './digest.ts';
import { type StoredManifest, indexDepthLimit, isManifestType, isSchema1Type, parseManifest } from './manifest.ts';
import type { ImageSink, ImageSource } from './source-and-sink.ts';
import { blobOf, nestedTooDeep } from './stored-image.ts';

/** So many manifests of one index, those of nested ones included. */
const manifestLimit = 10_000;

/**
 * Copies all that the source's root names, what it names last. No digest changes. Layers whose content is kept outside of registries
 * stay there.
 * @returns the root's digest
 * @throws ERR_UNSUPPORTED for schema 1, ERR_LAYER when a manifest is malformed, and what source and sink throw
 */
export async function copyImage(source: ImageSource, sink: ImageSink, signal: AbortSignal): Promise<Digest> {
  await copyNamed(source, sink, source.root, signal);
  await sink.writeRoot(source.root, signal);
  return source.root.digest;
}

/** Copies all that a manifest or index of the source names, but not itself. @throws as `copyImage` */
export async function copyNamed(source: ImageSource, sink: ImageSink, manifest: StoredManifest, signal: AbortSignal): Promise<void> {
  await copyBelow({ source, sink, written: new Set() }, manifest, 0, signal);
}

interface Copy {
  readonly source: ImageSource;
  readonly sink: ImageSink;
  /** Manifests that an index named. */
  readonly written: Set<Digest>;
}

async function copyBelow(copy: Copy, manifest: StoredManifest, depth: number, signal: AbortSignal): Promise<void> {
  const { source, sink, written } = copy;
  const view = parseManifest(manifest.bytes, manifest.mediaType);
  if (view.kind === 'manifest') return await writeBlobs(copy, [...view.layers, view.config], signal);
  if (depth >= indexDepthLimit) throw nestedTooDeep(source);
  const isManifest = ({ mediaType }: Descriptor): boolean => isManifestType(mediaType) || isSchema1Type(mediaType);
  for (const descriptor of view.manifests.filter(isManifest)) {
    if (written.has(descriptor.digest)) continue;
    if (written.size >= manifestLimit)
      throw new BuilderError('ERR_LAYER', `Cannot copy ${source.name}: it has more than ${manifestLimit} manifests`);
    const child = await source.manifest(descriptor, signal);
    await copyBelow(copy, child, depth + 1, signal);
    await sink.writeManifest(child, signal);
    written.add(descriptor.digest);
  }
  // image-spec image-index.md: an index may name any content, and a type that is not known is no error.
  await writeBlobs(
    copy,
    view.manifests.filter((descriptor) => !isManifest(descriptor)),
    signal,
  );
}

async function writeBlobs({ source, sink }: Copy, descriptors: readonly Descriptor[], signal: AbortSignal): Promise<void> {
  const distinct = new Map(descriptors.filter((item) => !isForeign(item)).map((item) => [item.digest, item]));
  if (distinct.size === 0) return;
  await sink.writeBlobs(
    [...distinct.values()].map((descriptor) => blobOf(source, descriptor)),
    signal,
  );
}
