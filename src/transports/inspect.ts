// What there is to say about an image, in skopeo's words.
import { BuilderError } from '../errors.ts';
import { type Descriptor, formatAnnotations } from '../oci/descriptor.ts';
import { type Json, type JsonObject, jsonObject, parseJson } from '../oci/json.ts';
import { configLimitBytes } from '../oci/manifest.ts';
import { isConfigType } from '../oci/media-type.ts';
import type { Platform } from '../oci/platform.ts';
import { dockerHub } from '../oci/reference.ts';
import type { ImageSource } from '../oci/source-and-sink.ts';
import { chooseManifest } from '../oci/stored-image.ts';
import type { Place } from './transport.ts';

/**
 * Name, digest, tags, times, labels, platform, layers and environment. Of an index, those of the image for `platform`.
 * @throws ERR_UNSUPPORTED for what is no image
 */
export async function inspectImage(
  { place, source, tags }: { readonly place: Place; readonly source: ImageSource; readonly tags: readonly string[] },
  platform: Platform,
  signal: AbortSignal,
): Promise<JsonObject> {
  const { config, layers } = await readParts(source, platform, signal);
  const read = config instanceof Map ? config : new Map<string, Json>();
  const run = read.get('config');
  const settings: JsonObject = run instanceof Map ? run : new Map<string, Json>();
  const of = (key: string, otherwise: Json = ''): Json => read.get(key) ?? otherwise;
  const { reference } = place;
  const registry = reference?.registry === dockerHub ? 'docker.io' : reference?.registry;
  return jsonObject({
    Name: reference === undefined ? undefined : `${registry ?? ''}/${reference.repository}`,
    Digest: source.root.digest,
    RepoTags: tags,
    Created: of('created', null),
    DockerVersion: of('docker_version'),
    Labels: settings.get('Labels') ?? null,
    Architecture: of('architecture'),
    Os: of('os'),
    Layers: layers.map(({ digest }) => digest),
    LayersData: layers.map(describeLayer),
    Env: settings.get('Env') ?? null,
  });
}

/** What the manifest for `platform` names as its config, whatever that is: an image's, a chart's, a signature's. */
export async function readConfigBlob(source: ImageSource, platform: Platform, signal: AbortSignal): Promise<Buffer> {
  return await source.bytes((await chooseManifest(source, platform, signal)).view.config, configLimitBytes, signal);
}

/** The config of the image for `platform`, as it is stored. @throws ERR_UNSUPPORTED for what is no image */
export async function readConfig(source: ImageSource, platform: Platform, signal: AbortSignal): Promise<Buffer> {
  const { view } = await chooseManifest(source, platform, signal);
  const { mediaType } = view.config;
  if (!isConfigType(mediaType))
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot inspect ${source.name}: it is no image, its config is ${JSON.stringify(mediaType)}`, {
      hint: '--raw prints its manifest, --raw --config what that names as its config',
    });
  return await source.bytes(view.config, configLimitBytes, signal);
}

async function readParts(
  source: ImageSource,
  platform: Platform,
  signal: AbortSignal,
): Promise<{ readonly config: Json; readonly layers: readonly Descriptor[] }> {
  const { view } = await chooseManifest(source, platform, signal);
  return { config: parseJson((await readConfig(source, platform, signal)).toString('utf8')), layers: view.layers };
}

function describeLayer({ mediaType, digest, size, annotations }: Descriptor): JsonObject {
  const shown = annotations === undefined ? null : formatAnnotations(annotations);
  return jsonObject({ MIMEType: mediaType, Digest: digest, Size: size, Annotations: shown });
}
