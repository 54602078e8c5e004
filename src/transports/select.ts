// Which images of an index are copied.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { digestOf } from '../oci/digest.ts';
import { parseImageConfig } from '../oci/image-config.ts';
import { attestedImage, isAttestation } from '../oci/image-index.ts';
import { type Json, formatJson, parseJson } from '../oci/json.ts';
import { type ImageIndex, configLimitBytes, isManifestType, parseManifest, selectPlatform } from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import { type Platform, formatPlatform, platformMatches } from '../oci/platform.ts';
import type { ImageSource } from '../oci/source-and-sink.ts';
import { chooseManifest } from '../oci/stored-image.ts';

export type Selection =
  | { readonly kind: 'all' }
  /** What is there: of an index that came without some of its images the others. */
  | { readonly kind: 'present' }
  /** Of an index the image for this machine; of an image it says nothing. */
  | { readonly kind: 'host'; readonly platform: Platform }
  /** These, and no copy where one of them is missing. */
  | { readonly kind: 'platforms'; readonly platforms: readonly Platform[] };

/** The source with what was chosen as its root; several platforms make a smaller index. @throws ERR_UNSUPPORTED naming what there is */
export async function selectedSource(source: ImageSource, selection: Selection, signal: AbortSignal): Promise<ImageSource> {
  if (selection.kind === 'all') return source;
  const view = parseManifest(source.root.bytes, source.root.mediaType);
  if (view.kind === 'manifest') {
    if (selection.kind === 'platforms') await checkPlatforms(source, view.config, selection.platforms, signal);
    return source;
  }
  if (selection.kind === 'present') return await presentSource(source, view, signal);
  const platforms = selection.kind === 'host' ? [selection.platform] : selection.platforms;
  const [only] = platforms;
  if (only !== undefined && platforms.length === 1) return { ...source, root: (await chooseManifest(source, only, signal)).manifest };
  return withRoot(source, filterIndex(source.root.bytes, view, new Set(platforms.map((platform) => selectPlatform(view, platform)))));
}

/**
 * The index without images that are not there: docker and containerd write a whole index beside the images of some platforms. One
 * image is itself, with or without attestations. @throws ERR_LAYER where nothing is there
 */
async function presentSource(source: ImageSource, view: ImageIndex, signal: AbortSignal): Promise<ImageSource> {
  const images = view.manifests.filter((entry) => isManifestType(entry.mediaType) && !isAttestation(entry));
  const present: Descriptor[] = [];
  let missing: BuilderError | undefined;
  for (const entry of images) {
    try {
      await source.manifest(entry, signal);
      present.push(entry);
    } catch (error) {
      if (!(error instanceof BuilderError) || error.code !== 'ERR_LAYER') throw error;
      missing = error;
    }
  }
  const [only, ...others] = present;
  if (only === undefined && missing !== undefined) throw missing;
  if (only !== undefined && others.length === 0) {
    const root = { ...(await source.manifest(only, signal)), ...given({ platform: only.platform }) };
    return await selectedSource({ ...source, root }, { kind: 'present' }, signal);
  }
  return missing === undefined ? source : withRoot(source, filterIndex(source.root.bytes, view, new Set(present)));
}

function withRoot(source: ImageSource, bytes: Buffer): ImageSource {
  return { ...source, root: { bytes, mediaType: source.root.mediaType, digest: digestOf(bytes) } };
}

/** The index with these images and their attestations; entries that stay are as they were. */
function filterIndex(bytes: Buffer, view: ImageIndex, chosen: ReadonlySet<Descriptor>): Buffer {
  const digests = new Set<string>([...chosen].map(({ digest }) => digest));
  const isKept = (entry: Descriptor | undefined): boolean =>
    entry !== undefined && (chosen.has(entry) || digests.has(entry.annotations?.get(attestedImage) ?? ''));
  const root = parseJson(bytes.toString('utf8'));
  const list = root instanceof Map ? root.get('manifests') : undefined;
  if (!(root instanceof Map) || !Array.isArray(list)) throw new BuilderError('ERR_LAYER', 'Cannot read the manifest: it is no index');
  const kept: readonly Json[] = list.filter((_item: Json, position: number) => isKept(view.manifests[position]));
  return Buffer.from(formatJson(new Map<string, Json>(root).set('manifests', kept)));
}

async function checkPlatforms(source: ImageSource, config: Descriptor, platforms: readonly Platform[], signal: AbortSignal): Promise<void> {
  if (config.mediaType !== MediaType.ociConfig && config.mediaType !== MediaType.dockerConfig) return; // no image, for no platform
  const image = parseImageConfig((await source.bytes(config, configLimitBytes, signal)).toString('utf8'));
  const missing = platforms.filter((platform) => !platformMatches(image, platform));
  if (missing.length === 0) return;
  const wanted = missing.map(formatPlatform).join(', ');
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot copy ${source.name} for ${wanted}: it is one image, for ${formatPlatform(image)}`);
}
