// An entry of the cache: an OCI image of one layer, tagged by its key, whose annotations say what it is. Labels say the same to
// `skopeo inspect`.
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { Image, Layer } from '../../oci/image.ts';
import { emptyImageConfig } from '../../oci/image-config.ts';
import { type Platform, formatPlatform, platformMatches } from '../../oci/platform.ts';
import type { CacheKey } from './key.ts';

/** The result of one step. */
export interface CacheEntry {
  readonly key: CacheKey;
  readonly layer: Layer;
  /** RFC 3339, of the step's history entry: a build from the cache has the times of the first one. */
  readonly created: string;
  /** RFC 3339: when it was put here. */
  readonly stored: string;
  /** How long the step took, in whole milliseconds; entries of earlier versions don't say. */
  readonly tookMs?: number;
  /** What stands for the results that it was made on: of the steps before, then of each stage that was read; `-` where it needs none. */
  readonly madeOn: readonly string[];
  /** The instruction, for people. */
  readonly step: string;
}

const prefix = 'dev.yadokari.cache';
/** Counts up when keys or layers get another meaning. */
const version = '1';

/** The annotation of that name. */
export function cacheMark(name: string): string {
  return `${prefix}.${name}`;
}

/** The image that stands for an entry. */
export function entryImage(entry: CacheEntry, platform: Platform): Image {
  const marks = new Map([
    [`${prefix}.version`, version],
    [`${prefix}.key`, entry.key],
    [`${prefix}.made-on`, entry.madeOn.join(' ')],
    // Said twice, as a layer that is only mounted is never read.
    [`${prefix}.diff-id`, entry.layer.diffId],
    [`${prefix}.created`, entry.created],
    [`${prefix}.stored`, entry.stored],
    [`${prefix}.step`, entry.step],
    ...(entry.tookMs === undefined ? [] : [[`${prefix}.took-ms`, String(entry.tookMs)] as const]),
  ]);
  return markedImage(marks, entry, { platform, createdBy: entry.step });
}

/** An image of one layer, with marks as annotations and as labels. */
export function markedImage(
  marks: ReadonlyMap<string, string>,
  { layer, stored: created }: Pick<CacheEntry, 'layer' | 'stored'>,
  { platform, createdBy }: { readonly platform: Platform; readonly createdBy: string },
): Image {
  const base = emptyImageConfig(platform);
  const config = { ...base.config, labels: marks };
  return {
    config: { ...base, created, config, diffIds: [layer.diffId], history: [{ created, createdBy }] },
    layers: [layer],
    family: 'oci',
    annotations: marks,
  };
}

/** The entry that an image stands for, for a platform where one is wanted. @throws ERR_LAYER where it is none, or another one */
export function parseEntry({ annotations, layers, config }: Image, key: CacheKey, platform?: Platform): CacheEntry {
  const mark = (name: string): string => annotations.get(`${prefix}.${name}`) ?? '';
  const fail = (state: string): never => {
    throw new BuilderError('ERR_LAYER', `Cannot use a cache entry: ${state}`);
  };
  if (mark('version') !== version) fail('it is not one of this version');
  if (mark('key') !== key) fail('it is an entry of another key');
  if (platform !== undefined && !platformMatches(config, platform)) fail(`it is for ${formatPlatform(config)}`);
  const [layer] = layers;
  if (layer === undefined || layers.length !== 1) return fail(`it has ${layers.length} layers instead of one`);
  if (mark('diff-id') !== layer.diffId) fail(`its layer is ${mark('diff-id')}, and ${layer.diffId} by its config`);
  if (!isTime(mark('created')) || !isTime(mark('stored'))) fail('it does not say when it was made');
  const madeOn = mark('made-on').split(' ');
  const took = /^\d{1,9}$/.exec(mark('took-ms'))?.[0];
  const tookMs = took === undefined ? undefined : Number(took);
  return { key, layer, created: mark('created'), stored: mark('stored'), madeOn, step: mark('step'), ...given({ tookMs }) };
}

/** RFC 3339, in UTC. */
export function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/.test(text) && !Number.isNaN(Date.parse(text));
}
