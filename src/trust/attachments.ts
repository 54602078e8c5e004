// Signatures beside an image in its repository: an image whose layers they are, tagged by the digest that they are about.
// github.com/sigstore/cosign, specs/SIGNATURE_SPEC.md, "Storage"
import { Readable } from 'node:stream';
import { BuilderError, RegistryError } from '../errors.ts';
import { type Descriptor, formatDescriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf, splitDigest } from '../oci/digest.ts';
import { type Json, type JsonObject, formatJson, jsonObject, parseJson } from '../oci/json.ts';
import { configLimitBytes, parseManifest, storedManifest } from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import { type Reference, formatCommonName } from '../oci/reference.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import { signatureAnnotation, signatureType } from './signature.ts';

/** A registry, as far as signatures go; a client is one. */
export interface SignatureReader {
  /** @throws RegistryError with status 404 where nothing has the name */
  readonly openSource: (reference: Reference, signal: AbortSignal) => Promise<ImageSource>;
}

export interface SignatureWriter {
  /** Not at a mirror. */
  readonly findOwn: (reference: Reference, signal: AbortSignal) => Promise<ImageSource | undefined>;
  readonly openSink: (names: readonly Reference[], options: object) => ImageSink;
}

export interface FoundSignature {
  readonly payload: Buffer;
  /** In base64; undefined where the layer has none. */
  readonly signature: string | undefined;
}

/** Whoever may push there decides how many there are, and how large. */
const signatureLimit = 256;
const payloadLimitBytes = 64 * 1024;

/** Those about `digest` in the repository of `at` or a mirror of it. @throws ERR_LAYER for more, or larger ones, than anybody needs */
export async function readSignatures(
  registry: SignatureReader,
  at: Reference,
  digest: Digest,
  signal: AbortSignal,
): Promise<readonly FoundSignature[]> {
  const reference = attachmentOf(at, digest);
  let source: ImageSource;
  try {
    source = await registry.openSource(reference, signal);
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return [];
    throw error;
  }
  const payloads = new Map<Digest, Buffer>();
  const found: FoundSignature[] = [];
  for (const layer of layersOf(source, reference)) {
    if (layer.mediaType !== signatureType) continue;
    const payload = payloads.get(layer.digest) ?? (await source.bytes(layer, payloadLimitBytes, signal));
    payloads.set(layer.digest, payload);
    found.push({ payload, signature: layer.annotations?.get(signatureAnnotation) });
  }
  return found;
}

/**
 * Adds what `signaturesBeside` gives for those that are there to them, if anything.
 * @throws ERR_LAYER where something else has the tag, or many are there; and what the registry refuses
 */
export async function addSignatures(
  registry: SignatureWriter,
  at: Reference,
  digest: Digest,
  signaturesBeside: (found: readonly Descriptor[]) => readonly { readonly payload: Buffer; readonly signature: string }[],
  signal: AbortSignal,
): Promise<void> {
  const reference = attachmentOf(at, digest);
  const source = await registry.findOwn(reference, signal);
  const found = source === undefined ? [] : layersOf(source, reference);
  const added = signaturesBeside(found.filter(({ mediaType }) => mediaType === signatureType)).map(({ payload, signature }) => ({
    payload,
    descriptor: {
      mediaType: signatureType,
      digest: digestOf(payload),
      size: payload.length,
      annotations: new Map([[signatureAnnotation, signature]]),
    },
  }));
  if (added.length === 0) return;
  if (found.length + added.length > signatureLimit) throw tooMany(reference, found.length);
  const descriptors = added.map(({ descriptor }) => descriptor);
  const config = await configWith(source, descriptors, signal);
  const manifest = manifestWith(source, config.descriptor, descriptors);
  const sink = registry.openSink([reference], {});
  const blobs = [...added.map((item) => ({ bytes: item.payload, descriptor: item.descriptor })), config];
  await sink.writeBlobs(
    blobs.map(({ bytes, descriptor }) => ({ descriptor, open: () => Readable.from([bytes], { objectMode: false }) })),
    signal,
  );
  await sink.writeRoot(storedManifest(manifest, MediaType.ociManifest), signal);
}

function attachmentOf({ registry, repository }: Reference, digest: Digest): Reference {
  const { algorithm, hex } = splitDigest(digest);
  return { registry, repository, tag: `${algorithm}-${hex}.sig` };
}

/** @throws ERR_LAYER */
function layersOf({ root }: ImageSource, reference: Reference): readonly Descriptor[] {
  const view = parseManifest(root.bytes, root.mediaType);
  if (view.kind !== 'manifest' || view.family !== 'oci')
    throw new BuilderError('ERR_LAYER', `Cannot use ${formatCommonName(reference)}: it is no manifest of signatures`);
  if (view.layers.length > signatureLimit) throw tooMany(reference, view.layers.length);
  return view.layers;
}

function tooMany(reference: Reference, count: number): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot use ${formatCommonName(reference)}: it has ${count} signatures`, {
    hint: `${signatureLimit} at most are looked at; whoever made it may delete the tag and sign anew`,
  });
}

/** The manifest there, all of it, with more layers and their config. */
function manifestWith(source: ImageSource | undefined, config: Descriptor, added: readonly Descriptor[]): Buffer {
  const before = source === undefined ? jsonObject({ schemaVersion: 2, mediaType: MediaType.ociManifest }) : objectIn(source.root.bytes);
  const layers = before.get('layers');
  const all = [...(Array.isArray(layers) ? layers : []), ...added.map(formatDescriptor)] as readonly Json[]; // of JSON, all of them
  return Buffer.from(formatJson(new Map<string, Json>(before).set('config', formatDescriptor(config)).set('layers', all)));
}

/** The config there with more layers; one that is none of an image stays as it is. */
async function configWith(
  source: ImageSource | undefined,
  added: readonly Descriptor[],
  signal: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly descriptor: Descriptor }> {
  const view = source === undefined ? undefined : parseManifest(source.root.bytes, source.root.mediaType);
  const descriptor = view?.kind === 'manifest' ? view.config : undefined;
  const there = descriptor === undefined ? undefined : await source?.bytes(descriptor, configLimitBytes, signal);
  if (there !== undefined && descriptor !== undefined && descriptor.mediaType !== MediaType.ociConfig) return { bytes: there, descriptor };
  const before = there === undefined ? jsonObject({ architecture: '', os: '', config: jsonObject({}) }) : objectIn(there);
  const files = before.get('rootfs');
  const ids = files instanceof Map ? files.get('diff_ids') : undefined;
  const all = [...(Array.isArray(ids) ? ids : []), ...added.map(({ digest }) => digest)] as readonly Json[]; // of JSON, all of them
  const rootfs = jsonObject({ type: 'layers', diff_ids: all });
  const bytes = Buffer.from(formatJson(new Map<string, Json>(before).set('rootfs', rootfs)));
  return { bytes, descriptor: { mediaType: MediaType.ociConfig, digest: digestOf(bytes), size: bytes.length } };
}

function objectIn(bytes: Buffer): JsonObject {
  const value = parseJson(bytes.toString('utf8'), 'the signatures');
  if (value instanceof Map) return value;
  throw new BuilderError('ERR_LAYER', 'Cannot read the signatures: they are no object');
}
