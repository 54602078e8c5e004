// An image out of the tar file that `docker save`, `podman save` and kaniko's --tar-path write. It has no manifest of its own but a
// list of file names, so one is made of what is there.
import { createHash } from 'node:crypto';
import { BuilderError } from '../errors.ts';
import { sniffCompression } from '../layer/decompress.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import { encodeDockerManifest } from '../oci/docker-manifest.ts';
import { parseImageConfig } from '../oci/image-config.ts';
import { type Json, type JsonObject, parseJson } from '../oci/json.ts';
import { configLimitBytes, manifestLimitBytes } from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import { type Reference, parseReference } from '../oci/reference.ts';
import type { ImageSource } from '../oci/source-and-sink.ts';
import { type ArchiveFile, type ArchivedFile, openArchiveFile } from './archive-file.ts';
import { repoTag } from './docker-archive.ts';

/** Which image of an archive: a name or a number, counted from 0; neither where it holds one only. */
export interface ArchiveChoice {
  readonly path: string;
  readonly reference?: Reference;
  readonly position?: number;
}

interface ArchivedImage {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

/**
 * The image. Layers are as they are in the archive, compressed or not.
 * @throws ERR_LAYER for what is no such archive, ERR_REFERENCE when it has no such image
 */
export async function openDockerArchiveSource(
  choice: ArchiveChoice,
  temporaryFolder: string,
  signal: AbortSignal,
): Promise<ImageSource & AsyncDisposable> {
  const archive = await openArchiveFile(choice.path, temporaryFolder, signal);
  try {
    const image = chooseImage(await readImages(archive, signal), choice);
    return { ...(await imageSource(archive, image, signal)), [Symbol.asyncDispose]: archive[Symbol.asyncDispose] };
  } catch (error) {
    await archive[Symbol.asyncDispose]();
    throw error;
  }
}

/** The names of all images in an archive. @throws as `openDockerArchiveSource` */
export async function dockerArchiveTags(path: string, temporaryFolder: string, signal: AbortSignal): Promise<readonly string[]> {
  await using archive = await openArchiveFile(path, temporaryFolder, signal);
  return (await readImages(archive, signal)).flatMap(({ tags }) => tags);
}

async function imageSource(archive: ArchiveFile, image: ArchivedImage, signal: AbortSignal): Promise<ImageSource> {
  const fail = (why: string): BuilderError => malformed(archive.path, why);
  const configBytes = await archive.readSmall(image.config, configLimitBytes, signal);
  if (configBytes === undefined) throw fail(`its manifest.json names ${JSON.stringify(image.config)}, which is not in it`);
  const { diffIds } = parseImageConfig(configBytes.toString('utf8'));
  if (diffIds.length !== image.layers.length)
    throw fail(`its config names ${diffIds.length} layers, its manifest.json ${image.layers.length}`);
  const config: Descriptor = { mediaType: MediaType.dockerConfig, digest: digestOf(configBytes), size: configBytes.length };
  const files = new Map<Digest, ArchivedFile>();
  const layers: Descriptor[] = [];
  for (const [position, name] of image.layers.entries()) {
    const file = archive.find(name);
    const diffId = diffIds[position];
    if (file === undefined || diffId === undefined) throw fail(`its manifest.json names ${JSON.stringify(name)}, which is not in it`);
    const layer = await describeLayer(archive, file, diffId, signal);
    files.set(layer.digest, file);
    layers.push(layer);
  }
  const root = encodeDockerManifest(config, layers);
  const configFile = archive.find(image.config);
  if (configFile !== undefined) files.set(config.digest, configFile);
  return {
    name: archive.path,
    root,
    manifest: ({ digest }) => Promise.reject(fail(`it has no manifest ${digest}`)),
    bytes: async (descriptor, limitBytes, reading) => {
      const chunks: Buffer[] = [];
      if (descriptor.size > limitBytes) throw fail(`${descriptor.digest} has more than ${limitBytes} bytes`);
      for await (const chunk of openBlob(archive, files, descriptor, reading)) chunks.push(Buffer.from(chunk));
      return Buffer.concat(chunks);
    },
    open: (descriptor, reading) => openBlob(archive, files, descriptor, reading),
  };
}

function openBlob(
  archive: ArchiveFile,
  files: ReadonlyMap<Digest, ArchivedFile>,
  descriptor: Descriptor,
  signal: AbortSignal,
): ReturnType<ArchiveFile['readBlob']> {
  const file = files.get(descriptor.digest);
  if (file === undefined) throw malformed(archive.path, `${descriptor.digest} is not in it`);
  return archive.readBlob(file, descriptor, signal);
}

/** A plain layer is known by its diff_id; a compressed one has to be hashed. */
async function describeLayer(archive: ArchiveFile, file: ArchivedFile, diffId: Digest, signal: AbortSignal): Promise<Descriptor> {
  const hash = createHash('sha256');
  let head: Buffer = Buffer.alloc(0);
  for await (const chunk of archive.read({ offset: file.offset, size: Math.min(file.size, 6) }, signal)) head = Buffer.from(chunk);
  const format = sniffCompression(head);
  if (format === 'none') return { mediaType: MediaType.dockerLayer, digest: diffId, size: file.size };
  if (format !== 'gzip' && format !== 'zstd') {
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot use ${archive.path}: layer ${diffId} is compressed by ${format}`, {
      hint: 'use gzip or zstd',
    });
  }
  for await (const chunk of archive.read(file, signal)) hash.update(Buffer.from(chunk));
  const mediaType = format === 'gzip' ? MediaType.dockerLayerGzip : MediaType.dockerLayerZstd;
  return { mediaType, digest: `sha256:${hash.digest('hex')}`, size: file.size };
}

function chooseImage(images: readonly ArchivedImage[], { path, reference, position }: ArchiveChoice): ArchivedImage {
  const has = images.flatMap(({ tags }) => tags).join(', ');
  const fail = (why: string): BuilderError =>
    new BuilderError('ERR_REFERENCE', `Cannot choose an image in ${path}: ${why}`, has === '' ? {} : { hint: `it has: ${has}` });
  if (reference !== undefined) {
    const wanted = repoTag(reference);
    const found = images.find(({ tags }) => tags.some((tag) => isNamed(tag, wanted)));
    if (found === undefined) throw fail(`none is named ${JSON.stringify(wanted)}`);
    return found;
  }
  const found = images[position ?? 0];
  if (found === undefined) throw fail(position === undefined ? 'it has none' : `there is no number ${position}`);
  if (position === undefined && images.length > 1) throw fail('it holds several');
  return found;
}

/** Names in archives are short or whole, as whoever wrote it liked. */
function isNamed(tag: string, wanted: string): boolean {
  if (tag === wanted) return true;
  try {
    return repoTag(parseReference(tag)) === wanted;
  } catch {
    return false; // no name at all
  }
}

/** What is in an archive, in its own order. @throws ERR_LAYER */
export async function readImages(archive: ArchiveFile, signal: AbortSignal): Promise<readonly ArchivedImage[]> {
  const bytes = await archive.readSmall('manifest.json', manifestLimitBytes, signal);
  if (bytes === undefined) throw malformed(archive.path, 'there is no manifest.json in it');
  const root = parseJson(bytes.toString('utf8'));
  if (!Array.isArray(root)) throw malformed(archive.path, 'its manifest.json is not a list');
  return root.map((item: Json) => {
    if (!(item instanceof Map)) throw malformed(archive.path, 'its manifest.json is not a list of objects');
    const config = item.get('Config');
    if (typeof config !== 'string') throw malformed(archive.path, 'Config in its manifest.json is not a string');
    return { config, tags: texts(item, 'RepoTags', archive.path), layers: texts(item, 'Layers', archive.path) };
  });
}

function texts(object: JsonObject, key: string, path: string): readonly string[] {
  const value = object.get(key) ?? [];
  if (!Array.isArray(value)) throw malformed(path, `${key} in its manifest.json is not a list`);
  return value.map((item: Json) => {
    if (typeof item !== 'string') throw malformed(path, `${key} in its manifest.json is not a list of strings`);
    return item;
  });
}

function malformed(path: string, why: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read docker archive ${path}: ${why}`);
}
