// A tar file for `docker load` and `podman load`, written blob by blob: layers plain, the list of names last.
import { Readable } from 'node:stream';
import { stat } from 'node:fs/promises';
import { BuilderError, ifCode } from '../errors.ts';
import { type Descriptor, isForeign } from '../oci/descriptor.ts';
import { type Digest, splitDigest } from '../oci/digest.ts';
import { type Json, formatJson, jsonObject } from '../oci/json.ts';
import { parseManifest } from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import { parseReference } from '../oci/reference.ts';
import { type ImageArchive, openArchiveWriter } from './archive-writer.ts';
import { repoTag } from './docker-archive.ts';

/**
 * A new archive, in its place when `finish` has ended. Names are whole ones.
 * @throws ERR_USAGE when there is something at `path`: other images would be lost
 */
export async function openDockerArchive(path: string, signal: AbortSignal): Promise<ImageArchive> {
  await refuseExisting(path);
  const archive = openArchiveWriter(path, signal);
  const images: Json[] = [];
  const refuseIndex = (): BuilderError =>
    new BuilderError('ERR_UNSUPPORTED', `Cannot write an index to ${path}: a docker archive has none`);
  return {
    sinkFor: (names) => ({
      writeBlobs: async (blobs, writing) => {
        for (const { descriptor, open } of blobs) {
          const { digest, mediaType, size } = descriptor;
          await archive.add(mediaType === MediaType.dockerConfig ? configName(digest) : layerName(digest), size, open(writing));
        }
      },
      writeManifest: () => Promise.reject(refuseIndex()),
      writeRoot: async ({ bytes, mediaType }) => {
        const view = parseManifest(bytes, mediaType);
        if (view.kind === 'index') throw refuseIndex();
        refuseForeign(path, view.layers);
        const tags = new Set(names.map((name) => repoTag(parseReference(name))));
        const layers = view.layers.map(({ digest }) => layerName(digest));
        images.push(jsonObject({ Config: configName(view.config.digest), RepoTags: [...tags], Layers: layers }));
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

function configName(digest: Digest): string {
  return `${splitDigest(digest).hex}.json`;
}

function layerName(digest: Digest): string {
  return `${splitDigest(digest).hex}.tar`;
}

async function refuseExisting(path: string): Promise<void> {
  const { size } = (await stat(path).catch(ifCode(['ENOENT']))) ?? { size: 0 };
  if (size === 0) return;
  throw new BuilderError('ERR_USAGE', `Cannot write ${path}: there is a file already, and an archive can't take another image`, {
    hint: 'remove it first, or name another file',
  });
}
