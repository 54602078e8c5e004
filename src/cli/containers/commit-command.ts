// `yadokari commit CONTAINER [IMAGE]`: an image of a container, into the store or to any place for images.
import { mkdtempDisposableSync } from 'node:fs';
import { join } from 'node:path';
import { type CommitOptions, type CommitScope, commitContainer } from '../../containers/commit.ts';
import { removeMountPoints } from '../../containers/run.ts';
import type { ContainerState } from '../../containers/state.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { openBlobStore } from '../../layer/store.ts';
import { splitDigest } from '../../oci/digest.ts';
import { hostPlatform } from '../../oci/platform.ts';
import { type StoredImage, describeImage, writeImage } from '../../oci/stored-image.ts';
import { addToList } from '../../store/image-list.ts';
import { localName } from '../../store/image-names.ts';
import { type ImageStore, openStoreSink } from '../../store/image-store.ts';
import { writeLayout } from '../../store/oci-layout.ts';
import { type CopyOptions, copyBetween } from '../../transports/copy.ts';
import { isPlaceName, parsePlace } from '../../transports/places.ts';
import type { Place } from '../../transports/transport.ts';
import { readStored } from '../images/obtain-image.ts';
import type { CommandInput } from '../command.ts';
import { containersOf, waiting } from './from-command.ts';
import { openResultFile } from '../images/result-file.ts';
import { storeOf } from '../requests/store-request.ts';
import { openMeans, temporaryFolderOf } from '../requests/transport-request.ts';
import { version } from '../version.ts';

/** Commits and prints the image's id, or writes it to a file. */
export async function runCommitCommand(input: CommandInput): Promise<void> {
  const { settings, positionals, report, stdout, signal } = input;
  const [name, text, ...others] = positionals;
  if (name === undefined || others.length > 0)
    throw new BuilderError('ERR_USAGE', 'Cannot commit: a container and at most one name for the image are needed');
  const place = text !== undefined && isPlaceName(text) ? parsePlace(text) : undefined;
  const names = text === undefined || place !== undefined ? [] : [localName(text)];
  const store = storeOf(settings, input.env);
  const containers = containersOf(input);
  await using file = await openResultFile(settings, 'iidfile');
  using container = await containers.open(name, 'exclusive', signal, () => waiting(input, name));
  await removeMountPoints(container, containers);
  await using layers = openBlobStore(temporaryFolderOf(settings, input.env));
  const scope = { store: layers, emit: report.emit, signal };
  await using base = await baseOf(container.state, store, signal);
  const image = await commitContainer(container, base?.stored, optionsOf(input), scope);
  const list = settings.text('manifest');
  if (place === undefined || list !== undefined) await writeToStore({ store, names, ...given({ list }) }, image, scope);
  if (place !== undefined) await writeToPlace(input, image, place);
  const id = splitDigest(image.config.descriptor.digest).hex;
  // One or the other, as with buildah.
  if (file === undefined) stdout.write(`${id}\n`);
  else await file.commit(`sha256:${id}`);
  if (settings.boolean('rm')) await containers.remove(container, signal);
}

function optionsOf({ settings }: CommandInput): CommitOptions {
  const timestamp = settings.number('timestamp');
  return {
    family: settings.choice('format', ['oci', 'docker', 'v2s2'], 'oci') === 'oci' ? 'oci' : 'docker',
    squashes: settings.boolean('squash'),
    ...given({ timestamp }),
    omitsHistory: settings.boolean('omit-history'),
    labels: new Map(settings.boolean('identity-label', true) ? [['io.yadokari.version', version]] : []),
    unsetEnv: settings.list('unsetenv'),
    compression: settings.boolean('disable-compression') ? 'none' : 'gzip',
    now: () => new Date(),
  };
}

/** The image that the container began as, which stays while it is held; undefined for scratch, or where the store has lost it. */
async function baseOf(
  { image }: ContainerState,
  store: ImageStore,
  signal: AbortSignal,
): Promise<({ readonly stored: StoredImage } & AsyncDisposable) | undefined> {
  if (image === undefined) return undefined;
  // Whatever index.json names: a container keeps its image by the digest alone.
  const descriptor = { mediaType: '', digest: image, size: 0 };
  return await readStored(store, { descriptor, names: [] }, hostPlatform(process.arch), signal);
}

async function writeToStore(
  { store, names, list }: { readonly store: ImageStore; readonly names: readonly string[]; readonly list?: string },
  image: StoredImage,
  { emit, signal }: Pick<CommitScope, 'emit' | 'signal'>,
): Promise<void> {
  await using sink = await openStoreSink(store, names, signal);
  await writeImage(sink, image, signal);
  await sink.finish();
  if (list !== undefined) await addToList(store, localName(list), [describeImage(image)], { emit, signal });
}

/** By way of a layout: what another place expects is changed on the way as with any other copy. */
async function writeToPlace(input: CommandInput, image: StoredImage, place: Place): Promise<void> {
  const { settings, env, report, signal } = input;
  await using means = await openMeans(settings, '', { env, emit: report.emit });
  using folder = mkdtempDisposableSync(join(means.temporaryFolder, 'yadokari-'));
  await writeLayout({ folder: folder.path, tag: 'commit' }, image, signal);
  await using store = openBlobStore(folder.path);
  const from = parsePlace(`oci:${folder.path}:commit`);
  // Only who asked for a format is told where a place has another one.
  const options: CopyOptions = { selection: { kind: 'all' }, ...(settings.has('format') ? { family: image.image.family } : {}) };
  await copyBetween(from, place, options, { from: means, to: means, store, emit: report.emit }, signal);
}
