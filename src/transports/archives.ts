// Archives of several images: all that is in one, and one that is written image by image.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BuilderError, ifCode, systemCode } from '../errors.ts';
import { openArchiveFile } from '../store/archive-file.ts';
import type { ImageArchive } from '../store/archive-writer.ts';
import { openDockerArchive } from '../store/docker-archive.ts';
import { readImages } from '../store/docker-archive-source.ts';
import { filesOf, openOciArchive } from '../store/oci-archive.ts';
import { folderFiles, listLayout } from '../store/oci-layout.ts';
import type { Place } from './transport.ts';
import { dockerArchivePlace, folderPlace, layoutPlace, ociArchivePlace, unfinished } from './transports.ts';

/** An image, and what it is called where it is. */
export interface NamedPlace {
  readonly place: Place;
  readonly names: readonly string[];
}

/**
 * Every image of a docker archive or an OCI archive, compressed or not, of a layout, or of a folder as of `dir:`.
 * @throws ERR_LAYER for what is none of these
 */
export async function placesIn(path: string, temporaryFolder: string, signal: AbortSignal): Promise<readonly NamedPlace[]> {
  if (await isFolder(path)) {
    if (!(await isThere(join(path, 'oci-layout')))) return [{ place: folderPlace(path), names: [] }];
    const images = await listLayout(folderFiles(path), signal);
    return images.map(({ digest, names }) => ({ place: layoutPlace({ folder: path, digest }), names }));
  }
  await using archive = await openArchiveFile(path, temporaryFolder, signal);
  const layout = archive.find('oci-layout') === undefined ? [] : await listLayout(filesOf(archive), signal);
  // docker writes both into one archive: an index only into the layout, and before version 25 whole names only into the first.
  if (archive.find('manifest.json') !== undefined && !layout.some(({ isIndex }) => isIndex)) {
    const images = await readImages(archive, signal);
    return images.map(({ tags }, position) => ({ place: dockerArchivePlace({ path, position }), names: tags }));
  }
  if (archive.find('oci-layout') === undefined)
    throw new BuilderError(
      'ERR_LAYER',
      `Cannot read ${path}: it is no archive of images, there is neither manifest.json nor oci-layout in it`,
    );
  return layout.map(({ digest, names }) => ({ place: ociArchivePlace({ folder: path, digest }), names }));
}

/** An archive, and the place in it for the next image under these whole names. */
export interface OpenArchive extends AsyncDisposable {
  readonly placeFor: (names: readonly string[]) => Place;
  readonly finish: () => Promise<void>;
}

/** A new archive; nothing of it is seen before `finish`. @throws ERR_USAGE where another archive would be lost */
export async function openArchive(kind: 'docker-archive' | 'oci-archive', path: string, signal: AbortSignal): Promise<OpenArchive> {
  const isDockers = kind === 'docker-archive';
  const archive: ImageArchive = isDockers ? await openDockerArchive(path, signal) : openOciArchive(path, signal);
  const one = isDockers ? dockerArchivePlace({ path }) : ociArchivePlace({ folder: path });
  return {
    placeFor: (names) => ({ ...one, openSink: () => Promise.resolve(unfinished(archive.sinkFor(names))) }),
    finish: archive.finish,
    [Symbol.asyncDispose]: archive[Symbol.asyncDispose],
  };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    throw new BuilderError('ERR_LAYER', `Cannot read ${path}: there is no such file`, { cause: error });
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(ifCode(['ENOENT']))) !== undefined;
}
