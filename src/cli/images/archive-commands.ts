// `yadokari save` and `load`: images of the store in one file, as podman, docker and img write and read it.
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BuilderError } from '../../errors.ts';
import type { Digest } from '../../oci/digest.ts';
import { formatPlatform } from '../../oci/platform.ts';
import { findImage } from '../../store/find-image.ts';
import { standardOutput } from '../../store/whole-file.ts';
import { openArchive, placesIn } from '../../transports/archives.ts';
import type { CopyOptions } from '../../transports/copy.ts';
import type { Selection } from '../../transports/select.ts';
import { storePlace } from '../../transports/store-place.ts';
import type { Place } from '../../transports/transport.ts';
import { folderPlace } from '../../transports/transports.ts';
import type { CommandInput } from '../command.ts';
import { copyWithRetries, openCopyMeans } from '../transports/copy-command.ts';
import { copyInto, wholeNames } from './copy-into-store.ts';
import type { Settings } from '../settings.ts';
import { storeOf } from '../requests/store-request.ts';
import { saveFormats } from '../tables/store.ts';
import { copyOptionsOf, selectionOf, temporaryFolderOf } from '../requests/transport-request.ts';

/** One archive of all images that are named; an image that is named twice is in it once, with both names. */
export async function runSaveCommand(input: CommandInput): Promise<void> {
  const { settings, positionals, signal } = input;
  if (positionals.length === 0)
    throw new BuilderError('ERR_USAGE', 'Cannot save: an image is needed', { hint: 'yadokari save --output FILE IMAGE…' });
  const asked = settings.choice('format', saveFormats, 'docker-archive');
  const format = asked === 'docker' || asked === 'oci' ? (`${asked}-archive` as const) : asked;
  const output = settings.text('output');
  if (output === undefined && process.stdout.isTTY)
    throw new BuilderError('ERR_USAGE', 'Cannot save to a terminal', { hint: 'name a file with --output, or send it on by > or |' });
  const path = output === undefined || output === '-' ? standardOutput : resolve(output);
  const selection = selectionFor(input.settings, format.startsWith('oci') ? { kind: 'all' } : undefined);
  const images = await namesByImage(input, selection);
  if (format === 'docker-archive' || format === 'oci-archive') {
    await using archive = await openArchive(format, path, signal);
    for (const [digest, names] of images) await copyOut(digest, archive.placeFor(names), { selection }, input);
    await archive.finish();
    return;
  }
  const [only, ...others] = images;
  if (path === standardOutput || only === undefined || others.length > 0)
    throw new BuilderError('ERR_USAGE', `Cannot save as ${format}: it is a folder for one image, which --output names`);
  await copyOut(only[0], folderPlace(path), { selection, family: format === 'oci-dir' ? 'oci' : 'docker' }, input);
}

/** Takes every image of an archive, and prints what it is called. */
export async function runLoadCommand(input: CommandInput): Promise<void> {
  const { settings, positionals, env, stdout, signal } = input;
  const given = [...(settings.text('input') === undefined ? [] : [settings.text('input') ?? '']), ...positionals];
  if (given.length > 1) throw new BuilderError('ERR_USAGE', `Cannot load ${given.join(' and ')}: one archive is taken at a time`);
  const [path] = given;
  const store = storeOf(settings, env);
  const temporaryFolder = temporaryFolderOf(settings, env);
  await using archive = path === undefined || path === '-' ? await spoolInput(temporaryFolder, signal) : undefined;
  const options = { ...copyOptionsOf(settings), selection: selectionFor(settings, { kind: 'present' }) };
  const places = await placesIn(archive?.path ?? resolve(path ?? ''), temporaryFolder, signal);
  if (places.length === 0) throw new BuilderError('ERR_LAYER', `Cannot load ${path ?? 'standard input'}: there is no image in it`);
  for (const { place, names } of places) {
    const whole = wholeNames(place, names);
    const image = await copyInto(store, place, options, input, whole);
    for (const name of whole.length === 0 ? [image.id] : whole) stdout.write(`Loaded image: ${name}\n`);
  }
}

/** Of an index what flags choose; else `whole`, or the image for this machine. */
function selectionFor(settings: Settings, whole: Selection | undefined): Selection {
  const isChosen = ['override-os', 'override-arch', 'override-variant'].some((flag) => settings.has(flag));
  const selection = selectionOf(settings);
  return whole === undefined || isChosen || selection.kind !== 'host' ? selection : whole;
}

/** By the digest of each image the whole names that it was asked for by. */
async function namesByImage(
  { settings, positionals, env, report, signal }: CommandInput,
  selection: Selection,
): Promise<readonly (readonly [Digest, readonly string[]])[]> {
  const images = new Map<Digest, readonly string[]>();
  for (const word of positionals) {
    const { image, name } = await findImage(storeOf(settings, env), word, signal);
    if (image.view.kind === 'index' && selection.kind === 'host') {
      const message = `${word} is an index: its image for ${formatPlatform(selection.platform)} is saved; --platform chooses another, --format oci-archive takes all`;
      report.emit({ kind: 'note', level: 'info', message });
    }
    const { digest } = image.descriptor;
    images.set(digest, [...(images.get(digest) ?? []), ...(name === undefined || name.includes('@') ? [] : [name])]);
  }
  return [...images];
}

async function copyOut(digest: Digest, to: Place, options: CopyOptions, input: CommandInput): Promise<void> {
  const { settings, env, report, signal } = input;
  await using means = await openCopyMeans(input);
  const from = storePlace(storeOf(settings, env), digest);
  await copyWithRetries(from, to, options, { settings, report, signal, means });
}

/** Standard input as a file that goes away. */
async function spoolInput(folder: string, signal: AbortSignal): Promise<{ readonly path: string } & AsyncDisposable> {
  if (process.stdin.isTTY)
    throw new BuilderError('ERR_USAGE', 'Cannot load from a terminal', { hint: 'name a file with --input, or send one by < or |' });
  const path = join(folder, `yadokari-${randomUUID()}.tar`);
  const remove = async (): Promise<void> => await rm(path, { force: true });
  try {
    await pipeline(createReadStream('', { fd: 0, autoClose: false }), createWriteStream(path, { mode: 0o600, flags: 'wx' }), { signal });
    return { path, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
