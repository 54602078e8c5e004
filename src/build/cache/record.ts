// What the keys of a build were made of, kept in the cache for the next one: so a miss can say what has changed. Values are digests:
// what an argument was is nobody's business.
import { BuilderError } from '../../errors.ts';
import type { Image } from '../../oci/image.ts';
import { emptyImageConfig } from '../../oci/image-config.ts';
import { type Json, formatJson, jsonObject, parseJson } from '../../oci/json.ts';
import type { Platform } from '../../oci/platform.ts';
import { type CacheKey, type KeyPart, digestOfTexts } from './key.ts';

export interface RecordedStep {
  readonly stage: string;
  /** The instruction. */
  readonly text: string;
  readonly key: CacheKey;
  /** Digests of values, by name. */
  readonly parts: ReadonlyMap<string, string>;
}

/** Steps that make a layer, in the order of the plan; those of a stage are told apart by their order. */
export type BuildRecord = readonly RecordedStep[];

const label = 'dev.yadokari.cache.record';
/** Of a whole record; what is beyond is only told by its key. */
const mostParts = 20_000;
/** What is likeliest to be what somebody changed is named first. */
const order = ['file ', 'argument ', 'command', 'variable ', 'download ', 'source '];

/** Digests of parts, by name; of several with one name, one for all. */
export function digestParts(parts: readonly KeyPart[]): ReadonlyMap<string, string> {
  const digests = new Map<string, string>();
  for (const { name, value } of parts) digests.set(name, digestOfTexts([digests.get(name) ?? '', value]).slice(0, 16));
  return digests;
}

/** How the tags of records begin. */
export const recordName = 'record-';

/** The tag of the record of a build of this Dockerfile, targets and platform. */
export function recordTag(names: readonly string[]): string {
  return `${recordName}${digestOfTexts(names).slice(0, 32)}`;
}

/** An image without layers that holds a record. */
export function recordImage(record: BuildRecord, platform: Platform, created: string): Image {
  const config = emptyImageConfig(platform);
  const labels = new Map([[label, formatJson(recordJson(record, mostParts))]]);
  const annotations = new Map([[`${label}.steps`, String(record.length)]]);
  return { config: { ...config, created, config: { ...config.config, labels } }, layers: [], family: 'oci', annotations };
}

/** The record as JSON, with `limit` parts at most. */
export function recordJson(record: BuildRecord, limit = Number.POSITIVE_INFINITY): Json {
  let left = limit;
  return record.map(({ stage, text, key, parts }) => {
    left -= parts.size;
    return jsonObject({ stage, step: text, key, parts: left < 0 ? new Map() : parts });
  });
}

/** @throws ERR_LAYER where the image holds none */
export function parseRecord(image: Image): BuildRecord {
  const text = image.config.config.labels.get(label);
  const root = text === undefined ? undefined : parseJson(text);
  if (!Array.isArray(root)) throw new BuilderError('ERR_LAYER', 'Cannot read the record of the last build: it is none');
  return root.flatMap((item: Json): readonly RecordedStep[] => {
    if (!(item instanceof Map)) return [];
    const parts: unknown = item.get('parts');
    const field = (name: string): string => String(item.get(name) ?? '');
    const digests = parts instanceof Map ? [...parts].map(([name, digest]): [string, string] => [String(name), String(digest)]) : [];
    return [{ stage: field('stage'), text: field('step'), key: field('key'), parts: new Map(digests) }];
  });
}

/** Why a step is not in the cache, as far as the last build tells. `position` is that of the step in its stage's record. */
export function whyMissed(step: RecordedStep, position: number, before: BuildRecord | undefined): string {
  if (before === undefined) return 'the cache knows no earlier build of this';
  const others = before.filter(({ stage }) => stage === step.stage);
  const at = others[position];
  const twin = at?.text === step.text ? at : (others.find(({ text }) => text === step.text) ?? at);
  if (twin === undefined) return 'it is a new step';
  if (twin.key === step.key) return "its result was not kept, is too old, or can't be used";
  if (twin.text !== step.text) return `the instruction changed: it was ${twin.text}`;
  if (twin.parts.size === 0) return 'something that it reads changed';
  const names = [...new Set([...twin.parts.keys(), ...step.parts.keys()])];
  const changed = names.filter((name) => twin.parts.get(name) !== step.parts.get(name) && name !== 'steps before');
  if (changed.length === 0) {
    return position === 0 ? 'the base changed' : 'a step before it changed';
  }
  const rank = (name: string): number => {
    const place = order.findIndex((start) => name.startsWith(start));
    return place === -1 ? order.length : place;
  };
  const [first = ''] = changed.toSorted((a, b) => rank(a) - rank(b));
  const state = !twin.parts.has(first) ? 'is new' : step.parts.has(first) ? 'changed' : 'is gone';
  return `${first} ${state}${changed.length === 1 ? '' : `, and ${changed.length - 1} more`}`;
}
