// What is in a cache, for people who look after it; and taking away what is too old, or too much.
import { BuilderError } from '../../errors.ts';
import type { Image } from '../../oci/image.ts';
import type { EntryPlace } from '../../outputs/entry-place.ts';
import { createLimit } from '../../registry/limit.ts';
import { cacheMark } from './entry.ts';
import { mountName } from './mount-entry.ts';
import { recordName } from './record.ts';

/** One tag of a cache. What is not ours, or can't be read, is only named. */
export interface ListedEntry {
  readonly tag: string;
  readonly kind: 'step' | 'record' | 'mount' | 'foreign';
  /** The instruction, the id of a cache mount, or what else tells people what it is. */
  readonly text: string;
  /** Milliseconds since 1970: when it was put there. */
  readonly storedMs?: number;
  /** Of its layer. */
  readonly sizeBytes: number;
}

export interface PruneRules {
  /** Entries that were put there earlier go. */
  readonly olderThanMs: number;
  /** Of what is left the oldest go, until the layers have so many bytes together; undefined is no limit. */
  readonly mostBytes?: number;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

const parallelReads = 8;

/** All tags, the newest last. @throws BuilderError where the place can't be read */
export async function listEntries(place: EntryPlace, signal: AbortSignal): Promise<readonly ListedEntry[]> {
  const limit = createLimit(parallelReads);
  const tags = await place.list(signal);
  const entries = await Promise.all(tags.map((tag) => limit(() => readEntry(place, tag, signal))));
  return entries.flatMap((entry) => entry ?? []).toSorted((a, b) => (a.storedMs ?? 0) - (b.storedMs ?? 0) || (a.tag < b.tag ? -1 : 1));
}

/** Which of our entries have to go; what is not ours stays. `entries` as `listEntries` gives them. */
export function chooseStale(entries: readonly ListedEntry[], { olderThanMs, mostBytes, nowMs }: PruneRules): readonly ListedEntry[] {
  const stale = new Set(entries.filter(({ storedMs }) => storedMs !== undefined && storedMs + olderThanMs < nowMs));
  let left = mostBytes ?? Number.POSITIVE_INFINITY;
  for (const entry of entries.toReversed()) {
    if (entry.kind === 'foreign' || stale.has(entry)) continue;
    left -= entry.sizeBytes;
    if (left < 0) stale.add(entry);
  }
  return entries.filter((entry) => stale.has(entry));
}

/** Undefined for a tag that is gone by now. */
async function readEntry(place: EntryPlace, tag: string, signal: AbortSignal): Promise<ListedEntry | undefined> {
  try {
    const image = await place.find(tag, signal);
    return image === undefined ? undefined : describeImage(tag, image);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BuilderError)) throw error;
    return { tag, kind: 'foreign', text: error.message, sizeBytes: 0 };
  }
}

function describeImage(tag: string, { annotations, config, layers }: Image): ListedEntry {
  const sizeBytes = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const mark = (name: string): string | undefined => annotations.get(cacheMark(name));
  const stored = Date.parse(mark('stored') ?? config.created ?? '');
  const at = Number.isNaN(stored) ? {} : { storedMs: stored };
  const isRecord = tag.startsWith(recordName) && mark('record.steps') !== undefined;
  if (isRecord) return { tag, kind: 'record', text: `keys of a build with ${mark('record.steps')} steps`, sizeBytes, ...at };
  const id = tag.startsWith(mountName) ? mark('mount') : undefined;
  if (id !== undefined) return { tag, kind: 'mount', text: id, sizeBytes, ...at };
  const step = mark('step');
  if (step !== undefined) return { tag, kind: 'step', text: step, sizeBytes, ...at };
  return { tag, kind: 'foreign', text: 'an image of somebody else', sizeBytes };
}
