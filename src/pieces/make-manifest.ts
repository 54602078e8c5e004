// `yadokari manifest`: a config and layers that belong together, by their digests.
import { BuilderError } from '../errors.ts';
import { encodeDockerManifest } from '../oci/docker-manifest.ts';
import type { ImageBlob, Layer } from '../oci/image.ts';
import type { StoredManifest } from '../oci/manifest.ts';
import { type MediaFamily, MediaType, layerMediaTypeIn } from '../oci/media-type.ts';
import { encodeManifest } from '../oci/stored-image.ts';
import { type Piece, readConfigPiece } from './piece.ts';

export interface MadeManifest {
  readonly manifest: StoredManifest;
  /** What it names: config and layers. */
  readonly blobs: readonly ImageBlob[];
}

/**
 * The manifest of a config and its layers, in the config's order.
 * @throws ERR_LAYER where the config is none, or names other layers; ERR_UNSUPPORTED for what Docker's format has no word for
 */
export async function makeManifest(
  parts: { readonly config: Piece; readonly layers: readonly Layer[]; readonly annotations: ReadonlyMap<string, string> },
  family: MediaFamily,
  signal: AbortSignal,
): Promise<MadeManifest> {
  const { config, annotations } = parts;
  await checkLayers(config, parts.layers, signal);
  const layers = parts.layers.map(({ descriptor, open }): ImageBlob => {
    const mediaType = layerMediaTypeIn(family, descriptor.mediaType);
    return { descriptor: { ...descriptor, mediaType }, open };
  });
  const descriptors = layers.map(({ descriptor }) => descriptor);
  const mediaType = family === 'oci' ? MediaType.ociConfig : MediaType.dockerConfig;
  const configBlob: ImageBlob = { descriptor: { mediaType, digest: config.digest, size: config.size }, open: config.open };
  const blobs = [...layers, configBlob];
  if (family === 'oci') return { manifest: encodeManifest(MediaType.ociManifest, configBlob.descriptor, descriptors, annotations), blobs };
  if (annotations.size > 0) throw noWord('annotations');
  if (descriptors.some((descriptor) => descriptor.mediaType === MediaType.ociLayerZstd)) throw noWord('zstd');
  return { manifest: encodeDockerManifest(configBlob.descriptor, descriptors), blobs };
}

async function checkLayers(piece: Piece, layers: readonly Layer[], signal: AbortSignal): Promise<void> {
  const { diffIds } = await readConfigPiece(piece, signal);
  const hint = 'yadokari config takes the same --layer, in the same order';
  if (diffIds.length !== layers.length)
    throw new BuilderError(
      'ERR_LAYER',
      `Cannot make a manifest: of ${piece.name}'s layers, which are ${diffIds.length}, ${layers.length} are named`,
      { hint },
    );
  for (const [position, { diffId, descriptor }] of layers.entries()) {
    if (diffId === diffIds[position]) continue;
    const state = `layer ${position + 1}, ${descriptor.digest}, has diff_id ${diffId}, and ${piece.name} says ${diffIds[position]}`;
    throw new BuilderError('ERR_LAYER', `Cannot make a manifest: ${state}`, { hint });
  }
}

function noWord(what: string): BuilderError {
  return new BuilderError('ERR_UNSUPPORTED', `Cannot make a manifest of Docker's format with ${what}: it has no word for that`, {
    hint: 'leave --format out',
  });
}
