// `yadokari tag`, `untag`, `rmi`, `prune` and `du`: names of images, and what they take.
import { BuilderError } from '../../errors.ts';
import { type Digest, splitDigest } from '../../oci/digest.ts';
import { jsonObject } from '../../oci/json.ts';
import { formatBytes, formatCount } from '../../report/units.ts';
import { findImage, listImages } from '../../store/find-image.ts';
import { localName } from '../../store/image-names.ts';
import { type ImageStore, addNames, untag } from '../../store/image-store.ts';
import { type RemovedImage, removeImage, removeWholeImage, unusedImages } from '../../store/remove-images.ts';
import { emptyCache, findLeftovers, readPins, sweepStore } from '../../store/store-sweep.ts';
import { type CacheUsage, blobsOf, cacheUsage, totalOf } from '../../store/store-usage.ts';
import { type CommandInput, buildahFailure } from '../command.ts';
import { containersOf } from '../containers/from-command.ts';
import { asStoreOwner } from '../sandbox/store-owner.ts';
import type { Leftover as HalfContainer } from '../../containers/container-store.ts';
import { describeFailure } from '../exit.ts';
import { shortId } from './images-command.ts';
import { storeOf } from '../requests/store-request.ts';
import { formatRows } from '../table.ts';

/** More names for an image. */
export async function runTagCommand({ settings, positionals, env, signal }: CommandInput): Promise<void> {
  const [text, ...names] = positionals;
  if (text === undefined || names.length === 0)
    throw new BuilderError('ERR_USAGE', 'Cannot tag: an image and a new name for it are needed', { hint: 'yadokari tag IMAGE NAME…' });
  const store = storeOf(settings, env);
  const whole = names.map(localName);
  await addNames(store, (await findImage(store, text, signal)).image.descriptor.digest, whole, signal);
}

/** Takes names away and leaves the image, as podman does. */
export async function runUntagCommand({ settings, positionals, env, signal }: CommandInput): Promise<void> {
  const [text, ...names] = positionals;
  if (text === undefined) throw new BuilderError('ERR_USAGE', 'Cannot untag: an image is needed', { hint: 'yadokari untag IMAGE [NAME…]' });
  const store = storeOf(settings, env);
  const { image } = await findImage(store, text, signal);
  const gone = names.length === 0 ? image.names : names.map(localName);
  const missing = gone.find((name) => !image.names.includes(name));
  if (missing !== undefined)
    throw new BuilderError('ERR_REFERENCE', `Cannot take ${missing} from image ${text}: it has no such name`, {
      hint: `it has ${image.names.join(', ') || 'none'}`,
    });
  await untag(store, gone, signal);
}

/** Prints each name that went, and the id of each image that did. What failed is told, and the others go all the same. */
export async function runRemoveCommand(input: CommandInput): Promise<number | void> {
  const { settings, positionals } = input;
  const [isAll, isPrune, isForced] = [settings.boolean('all'), settings.boolean('prune'), settings.boolean('force')];
  checkOperands(positionals, isAll, isPrune);
  const removesContainers = isForced && containersOf(input).list().length > 0;
  return removesContainers ? await asStoreOwner(input, 'rmi', async () => await removeAll(input)) : await removeAll(input);
}

async function removeAll(input: CommandInput): Promise<number> {
  const { settings, positionals, env, report, stdout, signal } = input;
  const [isAll, isPrune] = [settings.boolean('all'), settings.boolean('prune')];
  const force = settings.boolean('force') ? async (id: string): Promise<void> => await removeContainer(input, id) : undefined;
  const store = storeOf(settings, env);
  const tell = ({ untagged, id }: RemovedImage): void => {
    for (const name of untagged) stdout.write(`untagged: ${name}\n`);
    if (id !== undefined) stdout.write(`${splitDigest(id).hex}\n`);
  };
  let status = 0;
  const attempt = async (removal: () => Promise<RemovedImage>): Promise<void> => {
    try {
      tell(await removal());
    } catch (error) {
      if (!(error instanceof BuilderError) || signal.aborted) throw error;
      for (const line of describeFailure(error, false)) report.line('error', line);
      status = buildahFailure;
    }
  };
  const chosen = isAll ? await listImages(store, signal) : isPrune ? await unusedImages(store, false, signal) : [];
  for (const image of chosen) await attempt(async () => await removeWholeImage(store, image, force, signal));
  for (const text of positionals) await attempt(async () => await removeImage(store, text, force, signal));
  if ((await sweepStore(store, undefined, signal)) === undefined)
    report.emit({
      kind: 'note',
      level: 'info',
      message: `others work with ${store.folder}: what is not needed stays until yadokari prune`,
    });
  return status;
}

async function removeContainer(input: CommandInput, id: string): Promise<void> {
  const containers = containersOf(input);
  const onWait = (): void => input.report.emit({ kind: 'note', level: 'info', message: `waiting for what runs in container ${id}` });
  using container = await containers.open(id, 'exclusive', input.signal, onWait);
  await containers.remove(container, input.signal);
}

function checkOperands(positionals: readonly string[], isAll: boolean, isPrune: boolean): void {
  const fail = (why: string): BuilderError => new BuilderError('ERR_USAGE', `Cannot remove images: ${why}`);
  if (isAll && isPrune) throw fail('--all and --prune can not be used together');
  if ((isAll || isPrune) && positionals.length > 0) throw fail(`${isAll ? '--all' : '--prune'} takes no names`);
  if (!isAll && !isPrune && positionals.length === 0) throw fail('a name or an id is needed, or --all');
}

/** Images without a name (or without a container), results of builds and everything that killed processes left; prints the ids. */
export async function runPruneCommand(input: CommandInput): Promise<number | void> {
  const leftovers = containersOf(input).leftovers();
  return leftovers.length === 0 ? await prune(input, []) : await asStoreOwner(input, 'prune', async () => await prune(input, leftovers));
}

async function prune({ settings, env, report, stdout, signal }: CommandInput, leftovers: readonly HalfContainer[]): Promise<void> {
  const store = storeOf(settings, env);
  // First: what is half made may keep an image.
  for (const { id, remove } of leftovers) {
    await remove();
    stdout.write(`${id}\n`);
  }
  const unused = await unusedImages(store, settings.boolean('all'), signal);
  for (const image of unused) {
    const { id } = await removeWholeImage(store, image, undefined, signal);
    if (id !== undefined) stdout.write(`${splitDigest(id).hex}\n`);
  }
  const onWait = (): void => report.emit({ kind: 'note', level: 'info', message: `waiting for others who work with ${store.folder}` });
  // Before the images' blobs: what is in both goes with the last of the two.
  const { results, uniqueBytes } = await emptyCache(store, onWait, signal);
  const swept = (await sweepStore(store, onWait, signal)) ?? [];
  const freed = swept.reduce((sum, { sizeBytes }) => sum + sizeBytes, uniqueBytes);
  const cached = results === 0 ? '' : ` and ${formatCount(results, 'result')} of builds`;
  if (!settings.boolean('quiet')) report.line('info', `${formatCount(swept.length, 'file')}${cached} removed, ${formatBytes(freed)} freed`);
}

/** What each image takes, what of that no other needs, and whether a container uses it; and what builds have kept. */
export async function runDiskUsageCommand({ settings, env, stdout, signal }: CommandInput): Promise<void> {
  const store = storeOf(settings, env);
  const pins = await readPins(store);
  const images = await listImages(store, signal);
  const parts: { readonly blobs: ReadonlyMap<Digest, number>; readonly isUsed: boolean }[] = [];
  for (const image of images) parts.push({ blobs: await blobsOf(store, image, signal), isUsed: pins.has(image.descriptor.digest) });
  const owners = new Map<Digest, number>();
  for (const digest of parts.flatMap(({ blobs }) => [...blobs.keys()])) owners.set(digest, (owners.get(digest) ?? 0) + 1);
  const rows = images.map((image, position) => {
    const { blobs = new Map<Digest, number>(), isUsed = false } = parts[position] ?? {};
    const unique = totalOf(new Map([...blobs].filter(([digest]) => owners.get(digest) === 1)));
    return { id: shortId(image, settings.boolean('no-trunc')), isUsed, size: totalOf(blobs), unique, name: image.names[0] ?? '<none>' };
  });
  const cache = await cacheUsage(store);
  if (cache.results > 0)
    rows.push({
      id: 'cache',
      isUsed: false,
      size: cache.sizeBytes,
      unique: cache.uniqueBytes,
      name: `${formatCount(cache.results, 'result')} of builds`,
    });
  const texts = rows.map(({ id, isUsed, size, unique, name }) =>
    jsonObject({ ID: id, Reclaimable: !isUsed, Size: formatBytes(size), Unique: formatBytes(unique), Name: name }),
  );
  const json = rows.map(({ id, isUsed, size, unique, name }) => jsonObject({ id, reclaimable: !isUsed, size, unique, name }));
  const columns = { ID: 'ID', RECLAIMABLE: 'Reclaimable', SIZE: 'Size', UNIQUE: 'Unique', NAME: 'Name' };
  stdout.write(formatRows(texts, { columns, json }, settings));
  if (settings.boolean('json') || settings.has('format')) return;
  stdout.write(totalsOf(parts, await leftoverBytes(store, signal), cache));
}

function totalsOf(
  parts: readonly { readonly blobs: ReadonlyMap<Digest, number>; readonly isUsed: boolean }[],
  leftover: number,
  { uniqueBytes }: CacheUsage,
): string {
  const all = new Map(parts.flatMap(({ blobs }) => [...blobs]));
  const used = new Map(parts.filter(({ isUsed }) => isUsed).flatMap(({ blobs }) => [...blobs]));
  const total = totalOf(all) + leftover + uniqueBytes;
  return [
    ...(leftover === 0 ? [] : [`Leftover:     ${formatBytes(leftover)}\n`]),
    `Reclaimable:  ${formatBytes(total - totalOf(used))}\n`,
    `Total:        ${formatBytes(total)}\n`,
  ].join('');
}

async function leftoverBytes(store: ImageStore, signal: AbortSignal): Promise<number> {
  return (await findLeftovers(store, signal)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
