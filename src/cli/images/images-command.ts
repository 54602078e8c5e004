// `yadokari images`: what there is, as buildah lists it.
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { splitDigest } from '../../oci/digest.ts';
import { type JsonObject, jsonObject } from '../../oci/json.ts';
import { isManifestType } from '../../oci/manifest.ts';
import { formatAge, formatBytes } from '../../report/units.ts';
import { type StoreImage, describeImage, findImage, listImages } from '../../store/find-image.ts';
import { splitName } from '../../store/image-names.ts';
import type { ImageStore } from '../../store/image-store.ts';
import { blobsOf, totalOf } from '../../store/store-usage.ts';
import type { CommandInput } from '../command.ts';
import type { Settings } from '../settings.ts';
import { storeOf } from '../requests/store-request.ts';
import { type Columns, formatRows } from '../table.ts';

/** All images, or the one of a name, newest first. */
export async function runImagesCommand({ settings, positionals, env, stdout, signal }: CommandInput): Promise<void> {
  const [text, ...others] = positionals;
  if (others.length > 0) throw new BuilderError('ERR_USAGE', `Cannot list images: ${positionals.length} names are given, and one is taken`);
  const [isQuiet, template] = [settings.boolean('quiet'), settings.text('format')];
  if (isQuiet && template !== undefined) throw new BuilderError('ERR_USAGE', 'Cannot use --quiet with --format: choose one');
  const store = storeOf(settings, env);
  const found = text === undefined ? await listImages(store, signal) : [(await findImage(store, text, signal)).image];
  const all: DatedImage[] = [];
  for (const image of found) all.push(await dated(store, image, signal));
  const listed: Listed[] = [];
  for (const image of await filtered(store, all, settings.list('filter'), signal))
    listed.push({ image, sizeBytes: totalOf(await blobsOf(store, image, signal)) });
  const ordered = listed.toSorted((a, b) => createdMs(b.image) - createdMs(a.image));
  const options = { isWhole: settings.boolean('no-trunc'), nowMs: Date.now() };
  if (isQuiet && !settings.boolean('json')) {
    stdout.write([...new Set(ordered.map(({ image }) => `${shortId(image, options.isWhole)}\n`))].join(''));
    return;
  }
  const rows = ordered.flatMap((each) => rowsOf(each, options));
  stdout.write(formatRows(rows, { columns: columnsOf(settings), json: ordered.map((each) => jsonOf(each, options)) }, settings));
}

/** 12 digits, or all of it. */
export function shortId({ id }: Pick<StoreImage, 'id'>, isWhole = false): string {
  return isWhole ? id : splitDigest(id).hex.slice(0, 12);
}

/** With the time at which it was made, RFC 3339, where it says; an index was made when the last of its images was. */
interface DatedImage extends StoreImage {
  readonly created?: string;
}

async function dated(store: ImageStore, image: StoreImage, signal: AbortSignal): Promise<DatedImage> {
  if (image.view.kind === 'manifest') return { ...image, ...given({ created: image.config?.image.created }) };
  let newest: DatedImage = image;
  for (const descriptor of image.view.manifests.filter(({ mediaType }) => isManifestType(mediaType))) {
    const one = await dated(store, await describeImage(store, { descriptor, names: image.names }, signal), signal);
    if (createdMs(one) > createdMs(newest)) newest = one;
  }
  return { ...image, ...given({ created: newest.created }) };
}

/** How long ago it was made; undefined where it doesn't say. */
function ageOf(image: DatedImage, nowMs: number): string | undefined {
  return image.created === undefined ? undefined : formatAge(nowMs - createdMs(image));
}

/** When it was made; 0 where it doesn't say. */
function createdMs({ created = '' }: DatedImage): number {
  const time = Date.parse(created);
  return Number.isNaN(time) ? 0 : time;
}

interface Listed {
  readonly image: DatedImage;
  readonly sizeBytes: number;
}

interface RowOptions {
  readonly isWhole: boolean;
  readonly nowMs: number;
}

function columnsOf(settings: Settings): Columns {
  const more = (flag: string, column: Columns): Columns => (settings.boolean(flag) ? column : {});
  return {
    REPOSITORY: 'Name',
    TAG: 'Tag',
    ...more('digests', { DIGEST: 'Digest' }),
    'IMAGE ID': 'ID',
    CREATED: 'CreatedAt',
    SIZE: 'Size',
    ...more('history', { HISTORY: 'History' }),
  };
}

/** A row for each name. */
function rowsOf({ image, sizeBytes }: Listed, { isWhole, nowMs }: RowOptions): readonly JsonObject[] {
  return (image.names.length === 0 ? [undefined] : image.names).map((name) => {
    const { repository, tag } = splitName(name);
    const others = image.names.filter((other) => other !== name);
    return jsonObject({
      ID: shortId(image, isWhole),
      Name: repository,
      Tag: tag,
      Digest: image.descriptor.digest,
      CreatedAt: ageOf(image, nowMs) ?? 'N/A',
      CreatedAtRaw: image.created ?? '',
      Size: formatBytes(sizeBytes),
      ReadOnly: false,
      History: others.length === 0 ? '<none>' : others.join(', '),
    });
  });
}

function jsonOf({ image, sizeBytes }: Listed, { isWhole, nowMs }: RowOptions): JsonObject {
  return jsonObject({
    id: shortId(image, isWhole),
    names: image.names.length === 0 ? null : image.names,
    digest: image.descriptor.digest,
    createdat: ageOf(image, nowMs) ?? '',
    size: formatBytes(sizeBytes),
    created: Math.floor(createdMs(image) / 1000),
    createdatraw: image.created ?? '',
    readonly: false,
    history: null,
  });
}

/** Those that every filter takes. @throws ERR_USAGE for a filter that there is not */
async function filtered(
  store: ImageStore,
  images: readonly DatedImage[],
  filters: readonly string[],
  signal: AbortSignal,
): Promise<readonly DatedImage[]> {
  let left = images;
  for (const filter of filters.flatMap((each) => each.split(','))) {
    const equals = filter.indexOf('=');
    const [name, value] = equals === -1 ? [filter, ''] : [filter.slice(0, equals), filter.slice(equals + 1)];
    const matches = await filterOf(store, name, value, signal);
    if (matches === undefined)
      throw new BuilderError('ERR_USAGE', `Cannot use --filter ${filter}: there is no such filter`, {
        hint: 'dangling=true, label=KEY=VALUE, before=IMAGE, since=IMAGE, reference=PATTERN, readonly=true, intermediate=true',
      });
    left = left.filter(matches);
  }
  return left;
}

type Filter = (image: DatedImage) => boolean;

async function filterOf(store: ImageStore, name: string, value: string, signal: AbortSignal): Promise<Filter | undefined> {
  switch (name) {
    case 'dangling':
      return ({ names }) => (names.length === 0) === (value !== 'false');
    case 'label':
      return ({ config }) => hasLabel(config?.image.config.labels ?? new Map(), value);
    case 'before':
    case 'since': {
      const other = createdMs(await dated(store, (await findImage(store, value, signal)).image, signal));
      return (image) => (name === 'before' ? createdMs(image) < other : createdMs(image) > other);
    }
    case 'reference': {
      const pattern = globPattern(value);
      return ({ names }) => names.some((each) => namePartsOf(each).some((part) => pattern.test(part)));
    }
    case 'readonly':
    case 'intermediate':
      return () => value === 'false';
    default:
      return undefined;
  }
}

function hasLabel(labels: ReadonlyMap<string, string>, wanted: string): boolean {
  const equals = wanted.indexOf('=');
  return equals === -1 ? labels.has(wanted) : labels.get(wanted.slice(0, equals)) === wanted.slice(equals + 1);
}

/** A name with and without its tag, and each of its ends that begins with a part of its path. */
function namePartsOf(name: string): readonly string[] {
  const parts = name.split('/');
  const ends = parts.map((_part, start) => parts.slice(start).join('/'));
  return [...ends, ...ends.map((end) => end.replace(/[:@][^/]*$/, ''))];
}

function globPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '[^/]*').replaceAll('?', '[^/]')}$`);
}
