// Where the images of a build go: the only one as it is, or several that an index names, which goes last.
import { join } from 'node:path';
import { imageUri } from '../attest/materials.ts';
import { type Statement, attestationOf, describeAttestation } from '../attest/statement.ts';
import { given } from '../given.ts';
import type { Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { encodeIndex } from '../oci/image-index.ts';
import type { StoredManifest } from '../oci/manifest.ts';
import { type Platform, formatPlatform } from '../oci/platform.ts';
import { type Reference, formatCommonName, formatReference, formatRepository } from '../oci/reference.ts';
import type { ImageSink } from '../oci/source-and-sink.ts';
import { type StoredImage, describeImage, writeImageBlobs } from '../oci/stored-image.ts';
import type { PushOptions } from '../registry/push-blob.ts';
import { addToList } from '../store/image-list.ts';
import { openOciArchiveSink } from '../store/oci-archive.ts';
import { imageStore, storeSink } from '../store/image-store.ts';
import { openLayoutSink } from '../store/oci-layout.ts';
import type { OutputRequest, PushedImage } from './output-request.ts';
import { namesOf } from './output-names.ts';
import type { StoreOutput } from './store-image.ts';
import { type FileExports, type PublishPorts, publishImage, retryPush, signPushed, writePushed, writeResults } from './publish.ts';
import { makeFolder } from '../folders.ts';

interface Published {
  readonly digest: Digest;
  readonly pushed: readonly PushedImage[];
  /** What engines call the image: the digest of its config, or that of an index. */
  readonly imageId: Digest;
}

/** What goes out with an image. */
export interface PublishedExtras {
  readonly files: FileExports;
  /** What is stated about it, for places that have an index. */
  readonly statements: readonly Statement[];
}

export interface Publication {
  /** Brings an image to every place. Where others are to come, no name stands for it. */
  readonly add: (image: StoredImage, platform: Platform, extras: PublishedExtras) => Promise<void>;
  /** All images are there. @throws as `publishImage` */
  readonly finish: () => Promise<Published>;
}

/** For one image, which is published when it comes. */
export function imagePublication(output: OutputRequest, ports: PublishPorts): Publication {
  const published = Promise.withResolvers<Published>();
  return {
    add: async (image, _platform, { files }) => published.resolve(await publishImage(image, output, { ...ports, files })),
    finish: async () => await published.promise,
  };
}

interface Target {
  readonly sink: ImageSink;
  /** Names that it gets, for people; a registry tells of its own. */
  readonly names: readonly string[];
  readonly phase: 'pushing' | 'writing';
  readonly detail?: string;
}

/** For images of several platforms, which one index names. */
export function indexPublication(output: OutputRequest, ports: PublishPorts): Publication {
  const { emit, signal } = ports;
  let sizeBytes = 0;
  const { onPushed, endsOf } = standingNames((destination, digest) => emit({ kind: 'image.written', destination, digest, sizeBytes }));
  const targets = targetsOf(output, ports, onPushed);
  const entries: Descriptor[] = [];
  /** Behind those of images, as nobody looks for one there. */
  const attestations: Descriptor[] = [];
  const images: StoredImage[] = [];
  const each = async (task: (sink: ImageSink) => Promise<void>): Promise<void> => {
    for (const { sink, phase, detail } of targets) {
      emit({ kind: 'phase', phase, ...given({ detail }) });
      await (phase === 'pushing' ? retryPush(output, ports, async () => await task(sink)) : task(sink));
    }
  };
  return {
    add: async (image, platform, { files, statements }) => {
      const { digest } = image.manifest;
      const names = namesOf(output).map((name) => imageUri(name, platform));
      const attestation = statements.length === 0 ? undefined : attestationOf(statements, { digest, names });
      const together = attestation === undefined ? [image] : [image, attestation];
      images.push(...together);
      await each(async (sink) => {
        for (const stored of together) {
          await writeImageBlobs(sink, stored, signal);
          await sink.writeManifest(stored.manifest, signal);
        }
      });
      if (attestation !== undefined) attestations.push(describeAttestation(attestation, digest));
      for (const { path } of output.exports.filter(({ type }) => type === 'local')) {
        const folder = join(path, formatPlatform(platform).replaceAll('/', '_'));
        makeFolder(folder);
        await files.copyTo(folder);
      }
      entries.push({ ...describeImage(image), platform });
      sizeBytes += image.image.layers.reduce((total, { descriptor }) => total + descriptor.size, 0);
    },
    finish: async () => {
      const index = encodeIndex([...entries, ...attestations]);
      const { digest } = index;
      // An archive is written in one go: its place may be in the root that images were built in.
      for (const { path } of output.exports.filter(({ type }) => type === 'oci'))
        await writeOciArchive(path, output, { index, images }, signal);
      await each(async (sink) => await sink.writeRoot(index, signal));
      const { store } = output;
      if (store?.list !== undefined) await addToList(store, store.list, entries, { emit, signal });
      for (const { names } of targets) for (const destination of names) emit({ kind: 'image.written', destination, digest, sizeBytes });
      const ends = output.noPush ? [] : endsOf(output.destinations, digest);
      const own = ends.filter((end) => end.digest === digest).map(({ reference }) => reference);
      const named = [...entries, ...attestations].map((entry) => entry.digest);
      await signPushed(own, [...named, digest], output, ports);
      const pushed = ends.map((end) => ({ destination: formatReference(end.reference), digest: end.digest }));
      await writeResults({ manifest: index }, output.destinations, ports.results);
      await writePushed(pushed, ports.results);
      return { digest, pushed, imageId: digest };
    },
  };
}

/** What each name in a registry stands for: one that may not be overwritten stays another image's. */
function standingNames(tell: (destination: string, digest: Digest) => void): {
  readonly onPushed: NonNullable<PushOptions['onPushed']>;
  readonly endsOf: (names: readonly Reference[], digest: Digest) => readonly { readonly reference: Reference; readonly digest: Digest }[];
} {
  const standing = new Map<Reference, Digest>();
  return {
    onPushed: ({ reference, digest }) => {
      if (standing.get(reference) !== digest) tell(`${formatRepository(reference)}@${digest}`, digest);
      standing.set(reference, digest);
    },
    endsOf: (names, digest) => names.map((reference) => ({ reference, digest: standing.get(reference) ?? digest })),
  };
}

async function writeOciArchive(
  path: string,
  output: OutputRequest,
  { index, images }: { readonly index: StoredManifest; readonly images: readonly StoredImage[] },
  signal: AbortSignal,
): Promise<void> {
  const [first, ...others] = namesOf(output).map(formatCommonName);
  await using archive = openOciArchiveSink({ folder: path, ...given({ tag: first }) }, others, signal);
  for (const image of images) {
    await writeImageBlobs(archive, image, signal);
    await archive.writeManifest(image.manifest, signal);
  }
  await archive.writeRoot(index, signal);
  await archive.finish();
}

function targetsOf(output: OutputRequest, { registry }: PublishPorts, onPushed: NonNullable<PushOptions['onPushed']>): readonly Target[] {
  const { destinations, ociLayoutPath, store } = output;
  const [first] = namesOf(output);
  const repositories = [...Map.groupBy(output.noPush ? [] : destinations, formatRepository).values()];
  const exported = output.exports.filter(({ type }) => type === 'layout').map(({ path }) => path);
  const layouts = [...(ociLayoutPath === undefined ? [] : [ociLayoutPath]), ...exported];
  return [
    ...layouts.map((folder): Target => ({
      sink: openLayoutSink({ folder, tag: first?.tag ?? 'latest' }),
      names: [`oci:${folder}`],
      phase: 'writing',
      detail: folder,
    })),
    ...(store === undefined ? [] : [storeTarget(store)]),
    ...repositories.map((names): Target => ({
      sink: registry.openSink(names, { ignoreImmutableTags: output.ignoreImmutableTags, isFresh: true, onPushed }),
      names: [],
      phase: 'pushing',
    })),
  ];
}

/** The store is held by the whole build. */
function storeTarget({ folder, names }: StoreOutput): Target {
  return { sink: storeSink(imageStore(folder), names), names: names.map((name) => `store:${name}`), phase: 'writing', detail: folder };
}
