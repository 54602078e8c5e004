// The transports there are: registries, engines, OCI layouts, archives and folders, each as source and sink.
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { isDigest } from '../oci/digest.ts';
import { type Reference, formatCommonName, formatReference, parseReference, withDefaultTag } from '../oci/reference.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import { openDockerArchive } from '../store/docker-archive.ts';
import { type ArchiveChoice, dockerArchiveTags, openDockerArchiveSource } from '../store/docker-archive-source.ts';
import { addFolderSignature, openFolderSink, openFolderSource, readFolderSignatures } from '../store/image-folder.ts';
import { ociArchiveTags, openOciArchiveSink, openOciArchiveSource } from '../store/oci-archive.ts';
import { type LayoutReference, layoutTags, openLayoutSink, openLayoutSource } from '../store/oci-layout.ts';
import { removeLayoutImage } from '../store/layout-removal.ts';
import { loadImages, saveImage, usualEngine } from './docker-engine.ts';
import type { Means, OpenSink, OpenSource, Place, Transport } from './transport.ts';

/** An image of a registry's repository. */
const docker: Transport = {
  name: 'docker',
  families: ['oci', 'docker'],
  hasIndexes: true,
  hasManifests: true,
  layers: 'compressed',
  parse: (text) => {
    if (!text.startsWith('//')) throw malformed(`docker:${text}`, 'what follows "docker:" does not begin with "//"');
    return registryPlace(withDefaultTag(parseReference(text.slice(2))));
  },
};

/** What layouts hold, wherever they are. */
const layoutTraits = { families: ['oci'], hasIndexes: true, hasManifests: true, layers: 'compressed' } as const;

/** An image of a layout in a folder. */
const oci: Transport = {
  name: 'oci',
  ...layoutTraits,
  parse: (text) => layoutPlace(parseLayoutPlace('oci', text)),
};

/** An image of a layout in a tar file. */
const ociArchive: Transport = {
  name: 'oci-archive',
  ...layoutTraits,
  parse: (text) => ociArchivePlace(parseLayoutPlace('oci-archive', text)),
};

/** What `docker save` writes. */
const dockerArchive: Transport = {
  name: 'docker-archive',
  families: ['docker'],
  hasIndexes: false,
  hasManifests: false,
  layers: 'plain',
  parse: parseDockerArchive,
};

/** An image of Docker's engine, by its name or its id. */
const dockerDaemon: Transport = {
  ...dockerArchive,
  name: 'docker-daemon',
  parse: enginePlace,
};

/** One image as plain files in a folder. */
const dir: Transport = {
  name: 'dir',
  families: ['oci', 'docker'],
  hasIndexes: true,
  hasManifests: true,
  layers: 'kept',
  parse: folderPlace,
};

export const transports: readonly Transport[] = [docker, oci, ociArchive, dockerArchive, dockerDaemon, dir];

/** The place of a name in a registry, as a pull or push names it without a transport. */
export function registryPlace(reference: Reference): Place {
  return {
    transport: docker,
    name: `docker://${formatCommonName(reference)}`,
    reference,
    openSource: async ({ registry }, signal) => undisposed(await registry.openSource(reference, signal)),
    openSink: async ({ registry }, moreNames) => {
      const names = [reference, ...moreNames.map((name) => anotherTag(reference, name))];
      return unfinished(checkDigest(registry.openSink(names, {}), reference));
    },
    listNames: async ({ registry }, signal) => await registry.listTags(reference, signal),
    remove: async ({ registry }, signal) => void (await registry.deleteImage(reference, signal)),
  };
}

/** An image whose pieces lie somewhere, to be copied from there as it is. */
export function loosePlace(source: ImageSource): Place {
  const { name } = source;
  return {
    transport: dir,
    name,
    openSource: async () => undisposed(source),
    openSink: () => Promise.reject(malformed(name, 'nothing is written to loose pieces')),
  };
}

/** An image of a layout in a folder. */
export function layoutPlace(layout: LayoutReference): Place {
  return {
    transport: oci,
    name: `oci:${formatLayout(layout)}`,
    path: layout.folder,
    ...given({ imageName: layout.tag }),
    openSource: async ({ platform }, signal) => undisposed(await openLayoutSource(layout, platform, signal)),
    openSink: async (_means, moreNames) => unfinished(openLayoutSink(forWriting(layout), moreNames)),
    listNames: async (_means, signal) => await layoutTags(layout.folder, signal),
    remove: async (_means, signal) => await removeLayoutImage(layout, signal),
  };
}

/** An image of a layout in a tar file. */
export function ociArchivePlace(archive: LayoutReference): Place {
  return {
    transport: ociArchive,
    name: `oci-archive:${formatLayout(archive)}`,
    path: archive.folder,
    ...given({ imageName: archive.tag }),
    openSource: async (means, signal) => await openOciArchiveSource(archive, means, signal),
    openSink: (_means, moreNames, signal) => Promise.resolve(openOciArchiveSink(forWriting(archive), moreNames, signal)),
    listNames: async ({ temporaryFolder }, signal) => await ociArchiveTags(archive.folder, temporaryFolder, signal),
  };
}

function parseDockerArchive(text: string): Place {
  const { path, rest } = splitPath('docker-archive', text);
  const position = /^@(\d{1,9})$/.exec(rest ?? '')?.[1];
  const named = rest === undefined || position !== undefined ? undefined : withDefaultTag(parseReference(rest));
  return dockerArchivePlace({
    path,
    ...(position === undefined ? {} : { position: Number(position) }),
    ...given({ reference: named }),
  });
}

/** An image of a docker archive, by its name or its number. */
export function dockerArchivePlace(choice: ArchiveChoice): Place {
  const { path, position, reference } = choice;
  const named = reference === undefined ? undefined : formatCommonName(reference);
  const name = `docker-archive:${path}${position === undefined ? '' : `:@${position}`}${named === undefined ? '' : `:${named}`}`;
  return {
    transport: dockerArchive,
    name,
    path,
    ...given({ imageName: named }),
    openSource: async ({ temporaryFolder }, signal) => await openDockerArchiveSource(choice, temporaryFolder, signal),
    openSink: async (_means, moreNames, signal) => {
      if (position !== undefined) throw malformed(name, 'a number chooses an image to read');
      const names = moreNames.map((more) => formatCommonName(withDefaultTag(parseReference(more))));
      const archive = await openDockerArchive(path, signal);
      const sink = archive.sinkFor([...(named === undefined ? [] : [named]), ...names]);
      return { ...sink, finish: archive.finish, [Symbol.asyncDispose]: archive[Symbol.asyncDispose] };
    },
    listNames: async ({ temporaryFolder }, signal) => await dockerArchiveTags(path, temporaryFolder, signal),
  };
}

function enginePlace(text: string): Place {
  const isId = isDigest(text);
  const reference = isId ? undefined : withDefaultTag(parseReference(text));
  const image = reference === undefined ? text : formatCommonName(reference);
  const name = `docker-daemon:${image}`;
  if (reference?.digest !== undefined) throw malformed(name, 'an engine knows images by name and tag, or by id (sha256:…)');
  return {
    transport: dockerDaemon,
    name,
    imageName: image,
    openSource: async ({ engine = usualEngine, ...means }, signal) =>
      await withArchive(means, async (path) => {
        await saveImage(engine, image, path, signal);
        return await openDockerArchiveSource({ path, ...(isId ? { position: 0 } : given({ reference })) }, means.temporaryFolder, signal);
      }),
    openSink: async ({ engine = usualEngine, ...means }, moreNames, signal) =>
      await withArchive(means, async (path) => {
        if (isId) throw malformed(name, 'an image that is written gets its id from its bytes');
        const sink = await dockerArchivePlace({ path, ...given({ reference }) }).openSink(means, moreNames, signal);
        const finish = async (): Promise<void> => {
          await sink.finish();
          await loadImages(engine, path, signal);
        };
        return { ...sink, finish };
      }),
  };
}

/** What is opened of an archive in a folder of its own, which goes with it. */
async function withArchive<Opened extends AsyncDisposable>(
  { temporaryFolder }: Means,
  open: (path: string) => Promise<Opened>,
): Promise<Opened> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(
    await mkdtemp(join(temporaryFolder, 'yadokari-')),
    async (path) => await rm(path, { recursive: true, force: true }),
  );
  const opened = stack.use(await open(join(folder, 'image.tar')));
  const rest = stack.move();
  return { ...opened, [Symbol.asyncDispose]: async () => await rest.disposeAsync() };
}

/** The one image of a folder. */
export function folderPlace(folder: string): Place {
  if (folder === '') throw malformed('dir:', 'it names no folder');
  return {
    transport: dir,
    name: `dir:${folder}`,
    path: folder,
    openSource: async () => undisposed(await openFolderSource(folder)),
    openSink: async (_means, moreNames) => {
      if (moreNames.length > 0) throw malformed(`dir:${folder}`, 'an image in a folder has no names');
      return unfinished(await openFolderSink(folder));
    },
    readSignatures: async () => await readFolderSignatures(folder),
    addSignature: async (name, bytes) => await addFolderSignature(folder, name, bytes),
  };
}

/** Up to the first colon a path, as containers/image has it; behind it the name of an image. */
function splitPath(transport: string, text: string): { readonly path: string; readonly rest: string | undefined } {
  const colon = text.indexOf(':');
  const path = colon === -1 ? text : text.slice(0, colon);
  if (path === '') throw malformed(`${transport}:${text}`, 'it names no file or folder');
  const rest = colon === -1 ? '' : text.slice(colon + 1);
  return { path, rest: rest === '' ? undefined : rest };
}

function parseLayoutPlace(transport: string, text: string): LayoutReference {
  const digest = /@(sha(?:256|512):[^/]*)$/.exec(text)?.[1];
  if (digest !== undefined) {
    if (!isDigest(digest)) throw malformed(`${transport}:${text}`, 'what follows "@" is no digest');
    return { folder: splitPath(transport, text.slice(0, -digest.length - 1)).path, digest };
  }
  const { path, rest } = splitPath(transport, text);
  return { folder: path, ...given({ tag: rest }) };
}

function formatLayout({ folder, tag, digest }: LayoutReference): string {
  return `${folder}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function forWriting(layout: LayoutReference): LayoutReference {
  if (layout.digest === undefined) return layout;
  throw malformed(formatLayout(layout), 'an image that is written gets its digest from its bytes');
}

/** A tag alone, or a whole name in the same repository. @throws ERR_REFERENCE */
export function anotherTag(reference: Reference, name: string): Reference {
  const named = /[:/]/.test(name) ? parseReference(name) : { ...reference, tag: name };
  if (named.registry !== reference.registry || named.repository !== reference.repository || named.tag === undefined)
    throw malformed(name, `it is no tag in ${reference.registry}/${reference.repository}`);
  return parseReference(formatReference({ registry: named.registry, repository: named.repository, tag: named.tag }));
}

/** Refuses to give an image a digest's name that is another's. */
function checkDigest(sink: ImageSink, { digest }: Reference): ImageSink {
  if (digest === undefined) return sink;
  return {
    ...sink,
    writeRoot: async (root, signal) => {
      if (root.digest !== digest)
        throw new BuilderError('ERR_REFERENCE', `Cannot write the image under ${digest}: its digest is ${root.digest}`);
      await sink.writeRoot(root, signal);
    },
  };
}

function undisposed(source: Omit<OpenSource, typeof Symbol.asyncDispose>): OpenSource {
  return { ...source, [Symbol.asyncDispose]: async () => undefined };
}

/** A sink that has all in its place as it comes. */
export function unfinished(sink: ImageSink): OpenSink {
  return { ...sink, finish: async () => undefined, [Symbol.asyncDispose]: async () => undefined };
}

function malformed(text: string, why: string): BuilderError {
  return new BuilderError('ERR_REFERENCE', `Cannot use ${text}: ${why}`);
}
