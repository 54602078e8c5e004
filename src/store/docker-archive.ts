// A tar file that `docker load` and `podman load` read, written blob by blob, the list of names last. There is no specification but their code.
import { Readable } from 'node:stream';
import { stat } from 'node:fs/promises';
import { BuilderError, ifCode } from '../errors.ts';
import { given } from '../given.ts';
import { type Descriptor, isForeign } from '../oci/descriptor.ts';
import { splitDigest } from '../oci/digest.ts';
import { type Json, formatJson, jsonObject } from '../oci/json.ts';
import { parseManifest } from '../oci/manifest.ts';
import { isConfigType } from '../oci/media-type.ts';
import { type Reference, formatCommonName, parseReference } from '../oci/reference.ts';
import { type StoredImage, writeImage } from '../oci/stored-image.ts';
import { type ImageArchive, openArchiveWriter } from './archive-writer.ts';

/**
 * A new archive, in its place when `finish` has ended. Names are whole ones.
 * @throws ERR_USAGE when there is something at `path`: other images would be lost
 */
export async function openDockerArchive(path: string, signal: AbortSignal): Promise<ImageArchive> {
  await refuseExisting(path);
  return dockerArchive(path, signal);
}

/**
 * Writes an archive of one image in place of what is there. Layers stay compressed as they are, which every reader takes; names without a
 * tag are left out. @throws ERR_LAYER when the file can't be written
 */
export async function writeDockerArchive(
  path: string,
  image: StoredImage,
  names: readonly Reference[],
  signal: AbortSignal,
): Promise<void> {
  const tagged = names.filter(({ tag }) => tag !== undefined).map(formatCommonName);
  await using archive = dockerArchive(path, signal);
  await writeImage(archive.sinkFor(tagged), image, signal);
  await archive.finish();
}

function dockerArchive(path: string, signal: AbortSignal): ImageArchive {
  const archive = openArchiveWriter(path, signal);
  const images: Json[] = [];
  const refuseIndex = (): BuilderError =>
    new BuilderError('ERR_UNSUPPORTED', `Cannot write an index to ${path}: a docker archive has none`);
  return {
    sinkFor: (names) => ({
      writeBlobs: async (blobs, writing) => {
        for (const { descriptor, open } of blobs) {
          const isConfig = isConfigType(descriptor.mediaType);
          await archive.add(isConfig ? configName(descriptor) : layerName(descriptor), descriptor.size, open(writing));
        }
      },
      writeManifest: () => Promise.reject(refuseIndex()),
      writeRoot: async ({ bytes, mediaType }) => {
        const view = parseManifest(bytes, mediaType);
        if (view.kind === 'index') throw refuseIndex();
        refuseForeign(path, view.layers);
        const tags = new Set(names.map((name) => repoTag(parseReference(name))));
        images.push(jsonObject({ Config: configName(view.config), RepoTags: [...tags], Layers: view.layers.map(layerName) }));
      },
    }),
    finish: async () => {
      const list = Buffer.from(formatJson(images), 'utf8');
      await archive.add('manifest.json', list.length, Readable.from([list], { objectMode: false }));
      await archive.finish();
    },
    [Symbol.asyncDispose]: archive[Symbol.asyncDispose],
  };
}

function refuseForeign(path: string, layers: readonly Descriptor[]): void {
  const away = layers.find(isForeign);
  if (away === undefined) return;
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot write ${path}: a docker archive has all layers, and ${away.digest} is kept elsewhere`, {
    hint: `dir:, oci: and docker:// keep its address, ${away.urls?.join(', ') ?? ''}`,
  });
}

/** A name as archives have it: by its tag, if it has one. */
export function repoTag({ registry, repository, tag }: Reference): string {
  return formatCommonName({ registry, repository, ...given({ tag }) });
}

function configName({ digest }: Descriptor): string {
  return `${splitDigest(digest).hex}.json`;
}

function layerName({ digest, mediaType }: Descriptor): string {
  return `${splitDigest(digest).hex}${mediaType.endsWith('gzip') ? '.tar.gz' : '.tar'}`;
}

async function refuseExisting(path: string): Promise<void> {
  const { size } = (await stat(path).catch(ifCode(['ENOENT']))) ?? { size: 0 };
  if (size === 0) return;
  throw new BuilderError('ERR_USAGE', `Cannot write ${path}: there is a file already, and an archive can't take another image`, {
    hint: 'remove it first, or name another file',
  });
}
