// An index made of images that are there already, in whatever places, and brought to where it shall be: images first, the index last.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { copyNamed } from '../oci/copy-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseImageConfig } from '../oci/image-config.ts';
import { attestedImage, encodeIndex, isAttestation, refuseSamePlatform } from '../oci/image-index.ts';
import { type StoredManifest, configLimitBytes, indexDepthLimit, isManifestType, parseManifest } from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import { type Platform, formatPlatform, platformMatches } from '../oci/platform.ts';
import { formatRepository } from '../oci/reference.ts';
import type { ImageSource } from '../oci/source-and-sink.ts';
import { nestedTooDeep } from '../oci/stored-image.ts';
import type { Means, Place } from './transport.ts';

/** One image of a source, as the index will name it. */
export interface IndexImage {
  /** With its platform. */
  readonly descriptor: Descriptor;
  readonly manifest: StoredManifest;
  readonly source: ImageSource;
}

/** What is wanted of the images of a source. */
export interface SourceWishes {
  /** What the index says of its one image, instead of what that says itself. */
  readonly platform?: Platform;
  /** Each image has to have these. */
  readonly annotations: ReadonlyMap<string, string>;
}

/**
 * The images that a source stands for: one, or those of its indexes with their attestations, however deep.
 * @throws ERR_REFERENCE where one has other annotations, ERR_UNSUPPORTED for what is no image, ERR_USAGE for a platform of several
 */
export async function readIndexImages(source: ImageSource, wishes: SourceWishes, signal: AbortSignal): Promise<readonly IndexImage[]> {
  const found = await flatten(source, { descriptor: describeManifest(source.root), manifest: source.root }, 0, signal);
  for (const image of found) if (!isAttestation(image.descriptor)) checkAnnotations(source, image, wishes.annotations);
  const { platform } = wishes;
  if (platform === undefined) return await Promise.all(found.map(async (image) => await withPlatform(image, signal)));
  const [only, ...others] = found;
  if (only === undefined || others.length > 0)
    throw new BuilderError('ERR_USAGE', `Cannot say that ${source.name} is for ${formatPlatform(platform)}: it is ${found.length} images`);
  return [{ ...only, descriptor: { ...only.descriptor, platform } }];
}

/** The index of all of them. @throws ERR_USAGE where two are for the same platform, ERR_UNSUPPORTED where one that is wanted is missing */
export function makeIndex(
  images: readonly IndexImage[],
  { annotations, platforms }: { readonly annotations: ReadonlyMap<string, string>; readonly platforms: readonly Platform[] },
): { readonly index: StoredManifest; readonly images: readonly IndexImage[] } {
  const real = images.filter(({ descriptor }) => !isAttestation(descriptor));
  const isWanted = ({ platform }: Descriptor): boolean =>
    platforms.length === 0 || platforms.some((wanted) => platform !== undefined && platformMatches(platform, wanted));
  const chosen = real.filter(({ descriptor }) => isWanted(descriptor));
  const named = chosen.flatMap(({ descriptor: { platform, digest }, source }) =>
    platform === undefined ? [] : [{ name: `${source.name.replace(/@.*/, '')}@${digest}`, platform }],
  );
  refuseSamePlatform(named);
  const missing = platforms.filter((wanted) => !named.some(({ platform }) => platformMatches(platform, wanted)));
  if (missing.length > 0)
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot make the index for ${missing.map(formatPlatform).join(', ')}: no image is for that`, {
      hint: `there are ${real.flatMap(({ descriptor: { platform } }) => (platform === undefined ? [] : [formatPlatform(platform)])).join(', ')}`,
    });
  const digests = new Set<string>(chosen.map(({ descriptor }) => descriptor.digest));
  const kept = images.filter((image) => chosen.includes(image) || digests.has(image.descriptor.annotations?.get(attestedImage) ?? ''));
  return {
    index: encodeIndex(
      kept.map(({ descriptor }) => descriptor),
      annotations,
    ),
    images: kept,
  };
}

/** A place for the index, with further names in the same repository. */
export interface IndexTarget {
  readonly place: Place;
  readonly moreNames: readonly string[];
}

/**
 * Brings images and index to every target. No name stands for the index before all of its images are in all places.
 * @throws ERR_UNSUPPORTED for a place that can't have it, and what places throw
 */
export async function writeIndex(
  index: StoredManifest,
  images: readonly IndexImage[],
  { targets, means }: { readonly targets: readonly IndexTarget[]; readonly means: Means },
  signal: AbortSignal,
): Promise<void> {
  for (const { place } of targets) checkPlace(place, index, images);
  await using stack = new AsyncDisposableStack();
  const sinks = [];
  for (const { place, moreNames } of targets) {
    const sink = stack.use(await place.openSink(means, moreNames, signal));
    sinks.push(sink);
    for (const { manifest, source } of images) {
      if (isThere(source, place)) continue;
      await copyNamed(source, sink, manifest, signal);
      await sink.writeManifest(manifest, signal);
    }
  }
  for (const sink of sinks) {
    await sink.writeRoot(index, signal);
    await sink.finish();
  }
}

interface Found {
  readonly descriptor: Descriptor;
  readonly manifest: StoredManifest;
}

async function flatten(source: ImageSource, found: Found, depth: number, signal: AbortSignal): Promise<readonly IndexImage[]> {
  const view = parseManifest(found.manifest.bytes, found.manifest.mediaType);
  if (view.kind === 'manifest') return [{ ...found, source }];
  if (depth >= indexDepthLimit) throw nestedTooDeep(source);
  const images: IndexImage[] = [];
  for (const descriptor of view.manifests) {
    if (!isManifestType(descriptor.mediaType))
      throw new BuilderError(
        'ERR_UNSUPPORTED',
        `Cannot use ${source.name}: it names ${JSON.stringify(descriptor.mediaType)}, which is no image`,
      );
    images.push(...(await flatten(source, { descriptor, manifest: await source.manifest(descriptor, signal) }, depth + 1, signal)));
  }
  return images;
}

function describeManifest({ mediaType, digest, bytes }: StoredManifest): Descriptor {
  return { mediaType, digest, size: bytes.length };
}

function checkAnnotations(source: ImageSource, { manifest, descriptor }: Found, wanted: ReadonlyMap<string, string>): void {
  if (wanted.size === 0) return;
  const { annotations: has } = parseManifest(manifest.bytes, manifest.mediaType);
  for (const [key, value] of wanted) {
    const state = has.has(key) ? `its ${key} is ${JSON.stringify(has.get(key))}` : `it has no annotation ${key}`;
    if (has.get(key) !== value)
      throw new BuilderError('ERR_REFERENCE', `Cannot use ${source.name}: ${state}, not ${JSON.stringify(value)} (${descriptor.digest})`);
  }
}

/** The platform that the index it comes from says, or else its config. */
async function withPlatform(image: IndexImage, signal: AbortSignal): Promise<IndexImage> {
  const { descriptor, manifest, source } = image;
  if (descriptor.platform !== undefined) return image;
  const view = parseManifest(manifest.bytes, manifest.mediaType);
  const type = view.kind === 'manifest' ? view.config.mediaType : view.mediaType;
  if (view.kind !== 'manifest' || (type !== MediaType.ociConfig && type !== MediaType.dockerConfig))
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot use ${source.name} as an image: its config is ${JSON.stringify(type)}`, {
      hint: '--platform SOURCE=OS/ARCH says what it is for',
    });
  const config = parseImageConfig((await source.bytes(view.config, configLimitBytes, signal)).toString('utf8'));
  const { os, architecture, variant, osVersion } = config;
  const more = given({ variant, osVersion });
  return { ...image, descriptor: { ...descriptor, platform: { os, architecture, ...more } } };
}

/** Read from the very repository that the index goes to. */
function isThere({ from }: ImageSource, { reference }: Place): boolean {
  return from !== undefined && reference !== undefined && formatRepository(from) === formatRepository(reference);
}

function checkPlace({ name, transport }: Place, index: StoredManifest, images: readonly IndexImage[]): void {
  if (!transport.hasIndexes) throw new BuilderError('ERR_UNSUPPORTED', `Cannot put an index into ${name}: it holds one image`);
  for (const manifest of [index, ...images.map((image) => image.manifest)]) {
    const { family } = parseManifest(manifest.bytes, manifest.mediaType);
    if (transport.families.includes(family)) continue;
    const hint = 'yadokari copy --format oci converts an image; or build with --image-format=oci';
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot put an index into ${name}: one of its images has Docker's format`, { hint });
  }
}
