// The same images in other words: in the other family's media types, with layers compressed otherwise. A manifest that needs no
// change keeps its bytes, and so its digest; a config always does, so that the image's id stays.
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import { decompress } from '../layer/decompress.ts';
import { verify } from '../layer/meter.ts';
import type { BlobStore, StoredBlob } from '../layer/store.ts';
import { storeCompressed } from '../layer/write.ts';
import { type Descriptor, formatDescriptor, isForeign } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { encodeDockerList, encodeDockerManifest, encodeManifest } from '../oci/docker-manifest.ts';
import { parseImageConfig } from '../oci/image-config.ts';
import { attestedImage } from '../oci/image-index.ts';
import { type Json, type JsonObject, parseJson } from '../oci/json.ts';
import {
  type ImageIndex,
  type ImageManifest,
  type StoredManifest,
  configLimitBytes,
  indexDepthLimit,
  isManifestType,
  parseManifest,
} from '../oci/manifest.ts';
import { type Compression, type MediaFamily, MediaType, isConfigType, layerMediaType, layerMediaTypeIn } from '../oci/media-type.ts';
import type { ImageSource } from '../oci/source-and-sink.ts';
import { nestedTooDeep } from '../oci/stored-image.ts';

/** What is to be different; nothing where left out. */
export interface Changes {
  readonly family?: MediaFamily;
  readonly compression?: Compression;
  readonly level?: number;
  /** Only layers that are plain are compressed. */
  readonly onlyPlain?: boolean;
}

export interface ConversionMeans {
  /** Where layers wait that were compressed anew. */
  readonly store: BlobStore;
  readonly emit: Emit;
}

/** What layers are, by media type; others are no layers of an image, and stay. */
const compressions: ReadonlyMap<string, Compression> = new Map([
  [MediaType.ociLayer, 'none'],
  [MediaType.ociLayerGzip, 'gzip'],
  [MediaType.ociLayerZstd, 'zstd'],
  [MediaType.dockerLayer, 'none'],
  [MediaType.dockerLayerGzip, 'gzip'],
  [MediaType.dockerLayerZstd, 'zstd'],
]);

/** Annotations that describe a layer's compressed bytes (eStargz, zstd:chunked), and are wrong for others. */
const aboutBytes = /^(?:containerd\.io\/snapshot\/|io\.github\.containers\.zstd-chunked\.|io\.containers\.estargz\.)/;

/**
 * The source with what has to change changed; layers that need it are fetched and compressed now.
 * @throws ERR_UNSUPPORTED for what the family has no words for
 */
export async function convertedSource(
  source: ImageSource,
  changes: Changes,
  means: ConversionMeans,
  signal: AbortSignal,
): Promise<ImageSource> {
  const conversion: Conversion = { source, changes, means, manifests: new Map(), blobs: new Map(), byLayer: new Map() };
  const root = await convertManifest(conversion, source.root, 0, signal);
  if (root === source.root) return source;
  const { manifests, blobs } = conversion;
  const platform = given({ platform: source.root.platform });
  return {
    ...source,
    root: { ...root, ...platform },
    manifest: async (descriptor, reading) => manifests.get(descriptor.digest) ?? (await source.manifest(descriptor, reading)),
    open: (descriptor, reading) => blobs.get(descriptor.digest)?.open(reading) ?? source.open(descriptor, reading),
  };
}

interface Conversion {
  readonly source: ImageSource;
  readonly changes: Changes;
  readonly means: ConversionMeans;
  /** Those that are not in the source, by their own digests. */
  readonly manifests: Map<Digest, StoredManifest>;
  readonly blobs: Map<Digest, StoredBlob>;
  /** What became of the source's layers. */
  readonly byLayer: Map<Digest, StoredBlob>;
}

/** A layer, and the digest of its plain bytes where a config tells it. */
interface PlacedLayer {
  readonly layer: Descriptor;
  readonly diffId: Digest | undefined;
}

/** The very manifest where nothing changes. */
async function convertManifest(
  conversion: Conversion,
  manifest: StoredManifest,
  depth: number,
  signal: AbortSignal,
): Promise<StoredManifest> {
  const view = parseManifest(manifest.bytes, manifest.mediaType);
  const converted =
    view.kind === 'manifest'
      ? await convertImage(conversion, manifest, view, signal)
      : await convertIndex(conversion, manifest, { view, depth }, signal);
  if (converted !== manifest) conversion.manifests.set(converted.digest, converted);
  return converted;
}

async function convertImage(
  conversion: Conversion,
  manifest: StoredManifest,
  view: ImageManifest,
  signal: AbortSignal,
): Promise<StoredManifest> {
  const { changes } = conversion;
  const family = changes.family ?? (changes.compression === 'zstd' ? 'oci' : view.family);
  if (family === 'docker') refuseArtifact(conversion.source.name, view);
  const diffIds = await diffIdsOf(conversion, view, family, signal);
  const layers: Descriptor[] = [];
  for (const [position, layer] of view.layers.entries())
    layers.push(await convertLayer(conversion, { layer, diffId: diffIds[position] }, family, signal));
  const isSame = family === view.family && layers.every((layer, position) => layer === view.layers[position]);
  if (isSame) return manifest;
  const config = { ...view.config, mediaType: configTypeIn(family, view.config.mediaType) };
  if (family === 'docker') {
    tellLost(conversion, view);
    return encodeDockerManifest(config, layers);
  }
  const root = new Map<string, Json>(objectOf(manifest.bytes));
  root.set('mediaType', MediaType.ociManifest);
  if (view.family === 'oci') root.set('layers', editDescriptors(root.get('layers'), view.layers, layers));
  else root.set('config', formatDescriptor(config)).set('layers', layers.map(formatDescriptor));
  return encodeManifest(root, MediaType.ociManifest);
}

async function convertIndex(
  conversion: Conversion,
  manifest: StoredManifest,
  { view, depth }: { readonly view: ImageIndex; readonly depth: number },
  signal: AbortSignal,
): Promise<StoredManifest> {
  if (depth >= indexDepthLimit) throw nestedTooDeep(conversion.source);
  const family = conversion.changes.family ?? view.family;
  const converted: Descriptor[] = [];
  for (const entry of view.manifests) {
    if (!isManifestType(entry.mediaType)) {
      if (family === 'docker') throw noWord(conversion.source.name, `an index names content of type ${JSON.stringify(entry.mediaType)}`);
      converted.push(entry);
      continue;
    }
    const child = await conversion.source.manifest(entry, signal);
    const becomes = await convertManifest(conversion, child, depth + 1, signal);
    const { mediaType, digest, bytes } = becomes;
    converted.push(becomes === child ? entry : { ...entry, mediaType, digest, size: bytes.length });
  }
  const entries = reattested(conversion, view.manifests, converted);
  // An index of the docker family can't name what had to become OCI.
  const isOci = family === 'oci' || entries.some(({ mediaType }) => mediaType.startsWith('application/vnd.oci.'));
  const becomes: MediaFamily = isOci ? 'oci' : 'docker';
  if (becomes === view.family && entries.every((entry, position) => entry === view.manifests[position])) return manifest;
  if (becomes === 'docker') return encodeDockerList(entries);
  const root = new Map<string, Json>(objectOf(manifest.bytes));
  root.set('mediaType', MediaType.ociIndex);
  const list = view.family === 'oci' ? editDescriptors(root.get('manifests'), view.manifests, entries) : entries.map(formatDescriptor);
  root.set('manifests', list);
  return encodeManifest(root, MediaType.ociIndex);
}

/** Attestations name the image that they are beside by its digest: the one that it has now. */
function reattested({ source, means }: Conversion, before: readonly Descriptor[], after: readonly Descriptor[]): readonly Descriptor[] {
  const changed = new Map<string, Digest>();
  for (const [position, { digest }] of after.entries())
    if (digest !== before[position]?.digest) changed.set(before[position]?.digest ?? '', digest);
  const entries = after.map((entry) => {
    const digest = changed.get(entry.annotations?.get(attestedImage) ?? '');
    return digest === undefined ? entry : { ...entry, annotations: new Map(entry.annotations).set(attestedImage, digest) };
  });
  if (entries.some((entry, position) => entry !== after[position])) {
    const message = `what attestations of ${source.name} state is about the digests that its images had before they were converted`;
    means.emit({ kind: 'warning', code: 'conversion', message });
  }
  return entries;
}

/** What the plain bytes of each layer must be, where a layer is compressed anew; none for what is no image. */
async function diffIdsOf(
  { source, changes }: Conversion,
  { config, layers }: ImageManifest,
  family: MediaFamily,
  signal: AbortSignal,
): Promise<readonly Digest[]> {
  if (!isConfigType(config.mediaType) || layers.every((layer) => newCompression(layer, family, changes) === undefined)) return [];
  return parseImageConfig((await source.bytes(config, configLimitBytes, signal)).toString('utf8')).diffIds;
}

/** The very descriptor where nothing changes. */
async function convertLayer(
  conversion: Conversion,
  { layer, diffId }: PlacedLayer,
  family: MediaFamily,
  signal: AbortSignal,
): Promise<Descriptor> {
  const wanted = isForeign(layer) ? undefined : newCompression(layer, family, conversion.changes);
  if (wanted === undefined) {
    const mediaType = layerMediaTypeIn(family, layer.mediaType);
    return mediaType === layer.mediaType ? layer : { ...layer, mediaType };
  }
  const blob = conversion.byLayer.get(layer.digest) ?? (await pack(conversion, { layer, diffId }, wanted, signal));
  conversion.byLayer.set(layer.digest, blob);
  conversion.blobs.set(blob.digest, blob);
  const { annotations, ...rest } = layer;
  const kept = new Map([...(annotations ?? [])].filter(([key]) => !aboutBytes.test(key)));
  const packed = { ...rest, mediaType: layerMediaType(family, wanted), digest: blob.digest, size: blob.size };
  return kept.size > 0 ? { ...packed, annotations: kept } : packed;
}

async function pack(
  { source, changes, means }: Conversion,
  { layer, diffId }: PlacedLayer,
  wanted: Compression,
  signal: AbortSignal,
): Promise<StoredBlob> {
  const { level } = changes;
  const unpacked = decompress(source.open(layer, signal), signal);
  // What was taken apart and is put together otherwise must still be the layer that the config names.
  const subject = `layer ${layer.digest} of ${source.name}`;
  const plain = diffId === undefined ? unpacked : verify(unpacked, { digest: diffId, subject });
  return await storeCompressed(plain, { compression: wanted, ...given({ level }), store: means.store }, signal);
}

/** How a layer is to be compressed anew; undefined where it stays. Docker's family has no word for zstd, so there it becomes gzip. */
function newCompression({ mediaType }: Descriptor, family: MediaFamily, { compression, onlyPlain }: Changes): Compression | undefined {
  const has = compressions.get(mediaType);
  if (has === undefined) return undefined;
  const isAsked = compression !== undefined && has !== compression && (onlyPlain !== true || has === 'none');
  if (isAsked) return compression;
  return family === 'docker' && mediaType === MediaType.ociLayerZstd ? 'gzip' : undefined;
}

function configTypeIn(family: MediaFamily, mediaType: string): string {
  if (!isConfigType(mediaType)) return mediaType;
  return family === 'oci' ? MediaType.ociConfig : MediaType.dockerConfig;
}

function refuseArtifact(name: string, { family, config, layers }: ImageManifest): void {
  if (family === 'docker') return; // it has been that before
  if (config.mediaType !== MediaType.ociConfig) throw noWord(name, `it is no image: its config is ${JSON.stringify(config.mediaType)}`);
  const other = layers.find((layer) => compressions.get(layer.mediaType) === undefined && !isForeign(layer));
  if (other !== undefined) throw noWord(name, `it has content of type ${JSON.stringify(other.mediaType)}`);
}

function tellLost({ source, means }: Conversion, { annotations, layers, subject, artifactType }: ImageManifest): void {
  const lost = [
    ...(annotations.size > 0 || layers.some((layer) => layer.annotations !== undefined) ? ['annotations'] : []),
    ...(subject === undefined ? [] : ['its subject']),
    ...(artifactType === undefined ? [] : ['its artifact type']),
  ];
  if (lost.length === 0) return;
  const message = `${source.name} loses ${lost.join(' and ')}: Docker's format has no place for that`;
  means.emit({ kind: 'warning', code: 'conversion', message });
}

function noWord(name: string, why: string): BuilderError {
  return new BuilderError('ERR_UNSUPPORTED', `Cannot convert ${name} to Docker's format: ${why}`, {
    hint: 'choose images with --platform, or --format oci',
  });
}

/** Entries of a list with type, digest and size as they have become, and all other members as they were. */
function editDescriptors(list: Json | undefined, before: readonly Descriptor[], after: readonly Descriptor[]): Json {
  if (!Array.isArray(list)) return after.map(formatDescriptor);
  return list.map((item: Json, position): Json => {
    const changed = after[position];
    if (changed === undefined || changed === before[position] || !(item instanceof Map)) return item;
    const { mediaType, digest, size, annotations } = changed;
    const entry = new Map<string, Json>(item).set('mediaType', mediaType).set('digest', digest).set('size', size);
    if (annotations === undefined) entry.delete('annotations');
    else if (entry.has('annotations')) entry.set('annotations', new Map(annotations));
    entry.delete('data'); // the content itself, as it was
    return entry;
  });
}

function objectOf(bytes: Buffer): JsonObject {
  const root = parseJson(bytes.toString('utf8'));
  return root instanceof Map ? root : new Map();
}
