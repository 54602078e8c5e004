// One image as the bytes that are stored of it. An `Image` is a view of them; a changed one is encoded once, and those bytes are
// what is digested, pushed and written.
import { Readable } from 'node:stream';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { type Descriptor, annotationsMember, formatDescriptor, isForeign } from './descriptor.ts';
import { digestOf } from './digest.ts';
import type { Image, ImageBlob, Layer } from './image.ts';
import { formatImageConfig, parseImageConfig } from './image-config.ts';
import { formatJson, jsonObject } from './json.ts';
import { type ImageManifest, type StoredManifest, configLimitBytes, indexDepthLimit, parseManifest, selectPlatform } from './manifest.ts';
import { MediaType, type MediaFamily, layerMediaTypeIn, isConfigType } from './media-type.ts';
import type { Platform } from './platform.ts';
import type { ImageSink, ImageSource, StoredRoot } from './source-and-sink.ts';

export interface StoredImage {
  readonly manifest: StoredManifest;
  readonly config: { readonly bytes: Buffer; readonly descriptor: Descriptor };
  /** What the two say, and where the layers are. */
  readonly image: Image;
}

/**
 * Manifest and config of an image. Same image, same bytes. A zstd layer makes it OCI, since Docker's family has no name for it, and so
 * do annotations.
 */
export function encodeImage(image: Image): StoredImage {
  const zstd = image.layers.some((layer) => layer.descriptor.mediaType === MediaType.ociLayerZstd);
  const family: MediaFamily = zstd || image.annotations.size > 0 ? 'oci' : image.family;
  const isOci = family === 'oci';
  const layers = image.layers.map((layer): Layer => {
    const mediaType = layerMediaTypeIn(family, layer.descriptor.mediaType);
    return { ...layer, descriptor: { ...layer.descriptor, mediaType } };
  });
  const configBytes = Buffer.from(formatImageConfig(image.config), 'utf8');
  const config: Descriptor = {
    mediaType: isOci ? MediaType.ociConfig : MediaType.dockerConfig,
    digest: digestOf(configBytes),
    size: configBytes.length,
  };
  const descriptors = layers.map(({ descriptor }) => descriptor);
  return {
    manifest: encodeManifest(isOci ? MediaType.ociManifest : MediaType.dockerManifest, config, descriptors, image.annotations),
    config: { bytes: configBytes, descriptor: config },
    image: { ...image, family, layers },
  };
}

/** An image as an index names it, with the platform that its config says. */
export function describeImage({ manifest, image }: StoredImage): Descriptor {
  const { os, architecture, variant, osVersion } = image.config;
  const platform = { os, architecture, ...given({ variant, osVersion }) };
  return { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length, platform };
}

/** A manifest of either family, members in OCI's order. */
export function encodeManifest(
  mediaType: string,
  config: Descriptor,
  layers: readonly Descriptor[],
  annotations: ReadonlyMap<string, string>,
): StoredManifest {
  const named = { config: formatDescriptor(config), layers: layers.map(formatDescriptor), annotations: annotationsMember(annotations) };
  const bytes = Buffer.from(formatJson(jsonObject({ schemaVersion: 2, mediaType, ...named })), 'utf8');
  return { bytes, mediaType, digest: digestOf(bytes) };
}

/**
 * The image of a source for a platform, with the bytes that were read; its layers are read from the source when they are opened.
 * @throws ERR_UNSUPPORTED when there is none for it, or what is there is no image; ERR_LAYER when it is malformed
 */
export async function readImage(source: ImageSource, platform: Platform, signal: AbortSignal): Promise<StoredImage> {
  const { manifest, view } = await chooseManifest(source, platform, signal);
  const { mediaType } = view.config;
  if (!isConfigType(mediaType)) {
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot use ${source.name} as an image: its config is ${JSON.stringify(mediaType)}`);
  }
  const encrypted = view.layers.findIndex((layer) => layer.mediaType.endsWith('+encrypted'));
  if (encrypted !== -1) {
    const state = `layers[${encrypted}] is encrypted (${JSON.stringify(view.layers[encrypted]?.mediaType)})`;
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot use ${source.name} as an image: ${state}`);
  }
  const bytes = await source.bytes(view.config, configLimitBytes, signal);
  const config = parseImageConfig(bytes.toString('utf8'));
  if (config.diffIds.length !== view.layers.length) {
    const state = `its config names ${config.diffIds.length} layers, its manifest ${view.layers.length}`;
    throw new BuilderError('ERR_LAYER', `Cannot use ${source.name}: ${state}`);
  }
  const layers = view.layers.flatMap((descriptor, position): readonly Layer[] => {
    const diffId = config.diffIds[position];
    return diffId === undefined ? [] : [{ ...blobOf(source, descriptor), diffId }];
  });
  return {
    manifest,
    config: { bytes, descriptor: view.config },
    image: { config, layers, family: view.family, annotations: view.annotations },
  };
}

/** Writes an image: its blobs, then its manifest, byte for byte. */
export async function writeImage(sink: ImageSink, stored: StoredImage, signal: AbortSignal): Promise<void> {
  await writeImageBlobs(sink, stored, signal);
  const { os, architecture, variant } = stored.image.config;
  const platform = { os, architecture, ...given({ variant }) };
  await sink.writeRoot({ ...stored.manifest, platform }, signal);
}

/** Writes all that an image's manifest names. */
export async function writeImageBlobs(sink: ImageSink, { config, image }: StoredImage, signal: AbortSignal): Promise<void> {
  const configBlob: ImageBlob = {
    descriptor: config.descriptor,
    open: () => Readable.from([config.bytes], { objectMode: false }),
  };
  await sink.writeBlobs([...image.layers.filter((layer) => !isForeign(layer.descriptor)), configBlob], signal);
}

/** A blob of a source. */
export function blobOf(source: ImageSource, descriptor: Descriptor): ImageBlob {
  const { from } = source;
  return { descriptor, open: (signal) => source.open(descriptor, signal), ...given({ from }) };
}

/**
 * The manifest of a source for a platform, however deep in indexes.
 * @throws ERR_UNSUPPORTED when there is none for it, ERR_LAYER when it is malformed
 */
export async function chooseManifest(
  source: ImageSource,
  platform: Platform,
  signal: AbortSignal,
): Promise<{ readonly manifest: StoredRoot; readonly view: ImageManifest }> {
  let manifest: StoredRoot = source.root;
  for (let depth = 0; depth <= indexDepthLimit; depth++) {
    const view = parseManifest(manifest.bytes, manifest.mediaType);
    if (view.kind === 'manifest') return { manifest, view };
    const entry = selectPlatform(view, platform);
    manifest = { ...(await source.manifest(entry, signal)), ...given({ platform: entry.platform }) };
  }
  throw nestedTooDeep(source);
}

/** What to throw where an index names an index that names an index, and so on. */
export function nestedTooDeep(source: ImageSource): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot use ${source.name}: its indexes are nested more than ${indexDepthLimit} deep`);
}
