// An OCI layout as one tar file, as skopeo, podman and buildah write and read it.
import { Readable } from 'node:stream';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { type Descriptor, formatDescriptor } from '../oci/descriptor.ts';
import { splitDigest } from '../oci/digest.ts';
import { indexObject } from '../oci/image-index.ts';
import { formatJson } from '../oci/json.ts';
import type { StoredManifest } from '../oci/manifest.ts';
import type { Platform } from '../oci/platform.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import { type ArchiveFile, openArchiveFile } from './archive-file.ts';
import { type ImageArchive, openArchiveWriter } from './archive-writer.ts';
import { refName, referrerEntry } from './layout-referrers.ts';
import { type LayoutFiles, type LayoutReference, layoutTagsIn, openLayoutIn } from './oci-layout.ts';

/** An image of an archive; `folder` of the reference is the file. @throws as `openArchiveFile` and `openLayoutSource` */
export async function openOciArchiveSource(
  reference: LayoutReference,
  { platform, temporaryFolder }: { readonly platform?: Platform; readonly temporaryFolder: string },
  signal: AbortSignal,
): Promise<ImageSource & AsyncDisposable> {
  const archive = await openArchiveFile(reference.folder, temporaryFolder, signal);
  try {
    const source = await openLayoutIn(filesOf(archive), reference, platform, signal);
    return { ...source, [Symbol.asyncDispose]: archive[Symbol.asyncDispose] };
  } catch (error) {
    await archive[Symbol.asyncDispose]();
    throw error;
  }
}

/** The names of all images in an archive. @throws as `openOciArchiveSource` */
export async function ociArchiveTags(path: string, temporaryFolder: string, signal: AbortSignal): Promise<readonly string[]> {
  await using archive = await openArchiveFile(path, temporaryFolder, signal);
  return await layoutTagsIn(filesOf(archive), signal);
}

/** A new archive for one image, as `openOciArchive`. */
export function openOciArchiveSink(
  { folder: path, tag }: LayoutReference,
  moreTags: readonly string[],
  signal: AbortSignal,
): ImageSink & AsyncDisposable & { readonly finish: () => Promise<void> } {
  const archive = openOciArchive(path, signal);
  const names = [...(tag === undefined ? [] : [tag]), ...moreTags];
  return { ...archive.sinkFor(names), finish: archive.finish, [Symbol.asyncDispose]: archive[Symbol.asyncDispose] };
}

/** A new archive, which takes the place of one that is there when `finish` has ended. */
export function openOciArchive(path: string, signal: AbortSignal): ImageArchive {
  const archive = openArchiveWriter(path, signal);
  const entries: Descriptor[] = [];
  const addBytes = async (name: string, bytes: Buffer): Promise<void> =>
    await archive.add(name, bytes.length, Readable.from([bytes], { objectMode: false }));
  const writeManifest = async ({ bytes, mediaType, digest }: StoredManifest): Promise<Descriptor> => {
    await addBytes(blobName({ digest }), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  return {
    sinkFor: (names) => ({
      writeBlobs: async (blobs, writing) => {
        for (const { descriptor, open } of blobs) await archive.add(blobName(descriptor), descriptor.size, open(writing));
      },
      writeManifest: async (manifest) => void (await writeManifest(manifest)),
      writeRoot: async (root) => {
        const descriptor = { ...(await writeManifest(root)), ...given({ platform: root.platform }) };
        if (names.length === 0) entries.push(descriptor);
        for (const name of names) entries.push({ ...descriptor, annotations: new Map([[refName, name]]) });
      },
      writeReferrer: async (manifest) => {
        await writeManifest(manifest);
        entries.push(referrerEntry(manifest));
      },
    }),
    finish: async () => {
      await addBytes('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
      await addBytes('index.json', Buffer.from(formatJson(indexObject(entries.map(formatDescriptor)))));
      await archive.finish();
    },
    [Symbol.asyncDispose]: archive[Symbol.asyncDispose],
  };
}

/** The layout's files in an archive. */
export function filesOf(archive: ArchiveFile): LayoutFiles {
  return {
    name: archive.path,
    text: async (path, limitBytes, signal) => (await archive.readSmall(path, limitBytes, signal))?.toString('utf8'),
    open: (descriptor, signal) => {
      const file = archive.find(blobName(descriptor));
      if (file !== undefined) return archive.readBlob(file, descriptor, signal);
      throw new BuilderError('ERR_LAYER', `Cannot read blob ${descriptor.digest}: it is not in ${archive.path}`);
    },
  };
}

function blobName({ digest }: Pick<Descriptor, 'digest'>): string {
  const { algorithm, hex } = splitDigest(digest);
  return `blobs/${algorithm}/${hex}`;
}
