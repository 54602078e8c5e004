// `yadokari push PATH --destination NAME`, kaniko's command: an image on disk, to a registry. `yadokari push IMAGE [DESTINATION]`, buildah's:
// one of the store, to any place.
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { openBlobStore } from '../../layer/store.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { hostPlatform } from '../../oci/platform.ts';
import type { ImageSource } from '../../oci/source-and-sink.ts';
import { readImage } from '../../oci/stored-image.ts';
import { openResultFiles, publishImage } from '../../outputs/publish.ts';
import { openDockerArchiveSource } from '../../store/docker-archive-source.ts';
import { findImage, findImageIfAny } from '../../store/find-image.ts';
import { type ImageStore, openStoreSource } from '../../store/image-store.ts';
import { type LayoutReference, openLayoutSource } from '../../store/oci-layout.ts';
import { accessRegistries } from '../../surroundings/registries.ts';
import { openSigner } from '../../trust/signer.ts';
import { convertedSource } from '../../transports/convert.ts';
import type { CopyOptions } from '../../transports/copy.ts';
import { storePlace } from '../../transports/store-place.ts';
import type { CommandInput } from '../command.ts';
import { copyWithRetries } from '../transports/copy-command.ts';
import { makeOutputRequest } from '../requests/output-request.ts';
import { makeRegistryRequest } from '../requests/registry-request.ts';
import { openResultFile } from './result-file.ts';
import { storeOf } from '../requests/store-request.ts';
import { placeFlags, registryOnlyFlags } from '../tables/push.ts';
import { copyOptionsOf, openMeans, temporaryFolderOf } from '../requests/transport-request.ts';
import { placeOrImage } from '../../transports/places.ts';

/** With `--destination` kaniko's form, without it buildah's; a flag of the other one is a mistake. */
export async function runPushCommand(input: CommandInput): Promise<void> {
  const { settings, positionals } = input;
  const isKanikos = settings.has('destination');
  const strange = (isKanikos ? placeFlags : registryOnlyFlags).find(({ name }) => settings.has(name));
  if (strange !== undefined)
    throw new BuilderError('ERR_USAGE', `Cannot use --${strange.name} ${isKanikos ? 'with' : 'without'} --destination`, {
      hint: 'yadokari push IMAGE [DESTINATION], or yadokari push ARCHIVE|LAYOUT[:NAME]|IMAGE --destination NAME; each has flags of its own',
    });
  const [name, ...others] = positionals;
  if (name === undefined || others.length > (isKanikos ? 0 : 1))
    throw new BuilderError('ERR_USAGE', `Cannot push: ${positionals.length} images are named, and one is needed`, {
      hint: 'yadokari push IMAGE [DESTINATION], or yadokari push image.tar --destination registry.example/app:1.0',
    });
  return isKanikos ? await pushFromDisk(input, name) : await pushFromStore(input, name, others[0]);
}

/** An image of the store to a place, a registry where it says no other; without one to where its name says. */
export async function pushFromStore(input: CommandInput, name: string, destination: string | undefined): Promise<void> {
  const { settings, env, report } = input;
  const store = storeOf(settings, env);
  const found = await findImageIfAny(store, name, input.signal);
  if (found === undefined && existsSync(name))
    throw new BuilderError('ERR_USAGE', `Cannot push ${name}: there is nowhere to push it to`, {
      hint: 'a file or a folder is pushed with --destination IMAGE',
    });
  const { image } = found ?? (await findImage(store, name, input.signal));
  const target = destination ?? found?.name ?? image.names[0];
  if (target === undefined || (destination === undefined && target.startsWith('localhost/'))) {
    const message = `Cannot push ${name}: ${target === undefined ? 'it has no name' : `${target} is no name`} that says where to`;
    throw new BuilderError('ERR_USAGE', message, { hint: 'yadokari push IMAGE DESTINATION' });
  }
  const to = placeOrImage(target);
  await using file = await openResultFile(settings, 'digestfile');
  await using means = await openMeans(settings, '', { env, emit: report.emit });
  await using blobs = openBlobStore(temporaryFolderOf(settings, env));
  // What was built for several platforms, or pulled for all, goes as a whole where it can.
  const isChosen = ['all', 'override-os', 'override-arch', 'override-variant'].some((flag) => settings.has(flag));
  const isWhole = image.view.kind === 'index' && to.transport.hasIndexes && !isChosen;
  const options: CopyOptions = { ...copyOptionsOf(settings), ...(isWhole ? { selection: { kind: 'all' } } : {}) };
  const plain = settings.boolean('disable-compression') ? { compression: 'none' as const } : {};
  const copied = await copyWithRetries(
    storePlace(store, image.descriptor.digest),
    to,
    { ...options, ...plain },
    { ...input, means: { from: means, to: means, store: blobs, emit: report.emit } },
  );
  await file?.commit(copied.digest);
  report.close();
  if (!settings.boolean('quiet')) report.line('info', `${name} -> ${to.name} ${copied.digest}`);
}

/** The one image of a docker archive, whose layers are compressed where they are not, or of an OCI layout or the store, byte for byte. */
async function pushFromDisk({ settings, env, report, signal }: CommandInput, name: string): Promise<void> {
  const workingDirectory = process.cwd();
  const output = makeOutputRequest(settings, { env, workingDirectory });
  const { emit } = report;
  const request = makeRegistryRequest(settings, env, workingDirectory);
  await using access = await accessRegistries(request, { env, emit });
  const registry = access.clients.push;
  const signer = output.signing === undefined ? undefined : openSigner(output.signing, access.rules);
  const temporaryFolder = temporaryFolderOf(settings, env);
  await using source = await openImage({ name, store: storeOf(settings, env), temporaryFolder }, signal);
  refuseIndex(source, name);
  const results = await openResultFiles(output, { registry, signal });
  try {
    if (!output.skipPushPermissionCheck) for (const reference of output.destinations) await registry.checkPush(reference, signal);
    await using store = openBlobStore(temporaryFolder);
    // A layout's image has a digest to keep.
    const changes = source.isArchive ? ({ compression: 'gzip', onlyPlain: true } as const) : {};
    const image = await readImage(await convertedSource(source, changes, { store, emit }, signal), hostPlatform(process.arch), signal);
    const { digest, pushed } = await publishImage(image, output, { registry, results, emit, signal, ...given({ signer }) });
    report.close();
    for (const { destination } of pushed) report.line('info', `  ${destination}`);
    report.line('info', `digest ${digest}`);
  } finally {
    for (const file of results.values()) await file.close();
  }
}

type OpenImage = ImageSource & AsyncDisposable & { readonly isArchive: boolean };

/** A folder is a layout, a file an archive, and what is neither an image of a layout or of the store. */
async function openImage(
  { name, store, temporaryFolder }: { readonly name: string; readonly store: ImageStore; readonly temporaryFolder: string },
  signal: AbortSignal,
): Promise<OpenImage> {
  const path = resolve(name);
  const found = statSync(path, { throwIfNoEntry: false });
  const named = found === undefined ? namedIn(path) : undefined;
  if (named !== undefined) return await openLayout(named, signal);
  if (found === undefined) {
    const stored = await findImageIfAny(store, name, signal);
    if (stored !== undefined) return { ...(await openStoreSource(store, stored.image, signal)), isArchive: false };
    throw new BuilderError('ERR_USAGE', `Cannot push ${path}: it does not exist, and is no image of ${store.folder}`);
  }
  if (!found.isDirectory()) return { ...(await openDockerArchiveSource({ path }, temporaryFolder, signal)), isArchive: true };
  return await openLayout({ folder: path }, signal);
}

async function openLayout(place: LayoutReference, signal: AbortSignal): Promise<OpenImage> {
  const source = await openLayoutSource(place, undefined, signal);
  return { ...source, isArchive: false, [Symbol.asyncDispose]: async () => undefined };
}

/** `FOLDER:NAME` of a layout with several images, whose names may have colons, too. */
function namedIn(path: string): LayoutReference | undefined {
  for (const { index } of path.matchAll(/:/g)) {
    const folder = path.slice(0, index);
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return { folder, tag: path.slice(index + 1) };
  }
  return undefined;
}

function refuseIndex({ root }: ImageSource, name: string): void {
  if (parseManifest(root.bytes, root.mediaType).kind === 'manifest') return;
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot push ${name}: it holds an index of several images`, {
    hint: `yadokari copy --all oci:${name} docker://IMAGE`,
  });
}
