// Entries by key, from several places and into one. Trouble with a place is a warning and a miss: it never fails a build.
import { Readable } from 'node:stream';
import { BuilderError, messageOf } from '../../errors.ts';
import type { Emit } from '../../events.ts';
import type { BlobStore } from '../../layer/store.ts';
import type { Image, Layer } from '../../oci/image.ts';
import { type EntryPlace, openPlace } from '../../outputs/entry-place.ts';
import type { Platform } from '../../oci/platform.ts';
import { formatTime } from '../../oci/time.ts';
import type { Reference } from '../../oci/reference.ts';
import type { RegistryClient } from '../../registry/client.ts';
import { createLimit } from '../../registry/limit.ts';
import type { StageLayer } from '../../rootfs/stage-layer.ts';
import type { CacheRequest } from '../request.ts';
import { type CacheEntry, entryImage, parseEntry } from './entry.ts';
import type { CacheKey } from './key.ts';
import { type BuildRecord, parseRecord, recordImage } from './record.ts';

/** An entry, its layer ready to be taken over. */
export interface FoundEntry extends CacheEntry {
  readonly stageLayer: StageLayer;
}

export interface LayerCacheOptions {
  readonly request: CacheRequest;
  readonly registry: RegistryClient;
  readonly platform: Platform;
  /** Where layers wait that somebody reads. */
  readonly store: BlobStore;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const parallelLookups = 8;
const parallelPushes = 2;
/** A cache that takes longer to answer one question than this saves nobody's time. */
const patienceMs = 15_000;
/** So far ahead of ours may the clock of who stored an entry be. */
const clockSkewMs = 24 * 3_600_000;

/** Disposing it waits until what was put is where it belongs. */
export class LayerCache implements AsyncDisposable {
  readonly #options: LayerCacheOptions;
  #sources: readonly EntryPlace[];
  readonly #found = new Map<CacheKey, Promise<FoundEntry | undefined>>();
  readonly #lookups = createLimit(parallelLookups);
  readonly #pushes = createLimit(parallelPushes);
  readonly #underWay = new Set<Promise<void>>();
  readonly #broken = new Map<CacheKey, string>();
  readonly #given = new Map<CacheKey, CacheEntry>();
  /** By tag, what was found, and not where new entries go; an entry of a step is ready to be put there. */
  readonly #elsewhere = new Map<string, FoundEntry | undefined>();
  #target: EntryPlace | undefined;

  constructor(options: LayerCacheOptions) {
    this.#options = options;
    const open = (place: CacheRequest['from'][number]): EntryPlace => openPlace(place, options.registry, options.platform);
    this.#sources = options.request.from.map(open);
    this.#target = options.request.to === undefined ? undefined : open(options.request.to);
  }

  /** Asked once for each key; undefined where no place has it. @throws the signal's reason only */
  find(key: CacheKey): Promise<FoundEntry | undefined> {
    return this.#found.getOrInsertComputed(key, () => {
      const looking = this.#lookups(() => this.#lookUp(key));
      // It is awaited when its step is due; until then a failure must not count as unhandled.
      looking.catch(() => undefined);
      return looking;
    });
  }

  /** Begins to keep an entry, while the build goes on. `near` is a repository that gets the layer, too. */
  put(entry: Omit<CacheEntry, 'stored'>, near: Reference | undefined): void {
    this.#begin((target, signal) => this.#putOne(target, entry, near, signal));
  }

  /** Begins to put what steps found elsewhere to where new entries go, as old as it is, so that nobody needs the other places for it. */
  putFound(): void {
    if (this.#options.request.copiesFound !== true) return;
    for (const entry of this.#elsewhere.values())
      if (entry !== undefined) this.#begin((target, signal) => this.#copyOne(target, entry, signal));
  }

  /** True where what was found under this tag has to be put to where new entries go, though it has not changed. */
  isWanted(tag: string): boolean {
    return this.#options.request.copiesFound === true && this.#elsewhere.has(tag);
  }

  /** What the last build wrote down under this tag; undefined where there is nothing to be had. @throws the signal's reason only */
  async findRecord(tag: string): Promise<BuildRecord | undefined> {
    const { signal, emit } = this.#options;
    for (const place of this.#sources) {
      try {
        const image = await this.#ask(place, tag);
        if (image === undefined) continue;
        if (place.name !== this.#target?.name) this.#elsewhere.set(tag, undefined);
        return parseRecord(image);
      } catch (error) {
        signal.throwIfAborted();
        // It only explains. Where the place does not answer, look-ups say so.
        emit({ kind: 'note', level: 'debug', message: `${place.name}:${tag} can't be read: ${messageOf(error)}` });
      }
    }
    return undefined;
  }

  /** False where nothing is kept, or no longer. */
  get keepsNew(): boolean {
    return this.#target !== undefined;
  }

  /** The newest of what the places have under this tag, as `parse` reads it. @throws the signal's reason only */
  async newest<Value extends { readonly stored: string }>(tag: string, parse: (image: Image) => Value): Promise<Value | undefined> {
    const read = async (place: EntryPlace): Promise<{ readonly place: EntryPlace; readonly value: Value } | undefined> => {
      const value = await this.#read(place, tag, parse);
      return value === undefined ? undefined : { place, value };
    };
    const found = (await Promise.all(this.#sources.map(read))).filter((each) => each !== undefined);
    const [newest] = found.toSorted((a, b) => Date.parse(b.value.stored) - Date.parse(a.value.stored));
    if (newest !== undefined && newest.place.name !== this.#target?.name) this.#elsewhere.set(tag, undefined);
    return newest?.value;
  }

  /** True where what was stored then need not be stored anew to be found in the next days. */
  isFresh({ stored }: { readonly stored: string }): boolean {
    const { request, now } = this.#options;
    return Date.parse(stored) + request.ttlMs / 2 > now();
  }

  /** Begins to put an image under this tag. */
  putImage(tag: string, image: Image): void {
    this.#begin((target, signal) => target.put(tag, image, signal));
  }

  /** Begins to write down what the keys of this build were. */
  putRecord(tag: string, record: BuildRecord): void {
    const { now, platform } = this.#options;
    this.putImage(tag, recordImage(record, platform, formatTime(now())));
  }

  /** Why a build failed that could do without some entries: their layers can't be read. They are not found again. */
  takeBroken(failure: unknown): readonly string[] {
    // What can be read and is no layer is known by the message; a registry that does not take a layer names it, too.
    const contentCodes: readonly string[] = ['ERR_LAYER', 'ERR_DIGEST_MISMATCH', 'ERR_UNSAFE_PATH'];
    const complaint = failure instanceof BuilderError && contentCodes.includes(failure.code) ? failure.message : '';
    for (const { key, layer } of this.#given.values()) if (complaint.includes(layer.descriptor.digest)) this.#broken.set(key, complaint);
    const messages = [...this.#broken.values()];
    for (const key of this.#broken.keys()) {
      this.#found.set(key, Promise.resolve(undefined));
      this.#given.delete(key);
      this.#elsewhere.delete(key);
    }
    this.#broken.clear();
    return [...new Set(messages)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#underWay.size > 0) this.#options.emit({ kind: 'phase', phase: 'pushing', detail: 'what is new in the cache' });
    await Promise.all(this.#underWay);
  }

  async #lookUp(key: CacheKey): Promise<FoundEntry | undefined> {
    for (const place of this.#sources) {
      if (!this.#sources.includes(place)) continue;
      const entry = await this.#read(place, key, (image) => parseEntry(image, key, this.#options.platform));
      if (entry === undefined) continue;
      const ready = this.#ready(entry);
      if (place.name !== this.#target?.name) this.#elsewhere.set(key, ready);
      return ready;
    }
    return undefined;
  }

  async #read<Value extends { readonly stored: string }>(
    place: EntryPlace,
    tag: string,
    parse: (image: Image) => Value,
  ): Promise<Value | undefined> {
    try {
      const image = await this.#ask(place, tag);
      const entry = image === undefined ? undefined : parse(image);
      if (entry !== undefined && Date.parse(entry.stored) > this.#options.now() + clockSkewMs)
        throw new BuilderError('ERR_LAYER', `Cannot use a cache entry: it says that it was stored at ${entry.stored}`);
      return entry === undefined || this.#isExpired(entry) ? undefined : entry;
    } catch (error) {
      this.#options.signal.throwIfAborted();
      this.#judgeFailure(place, tag, error);
      return undefined;
    }
  }

  async #ask(place: EntryPlace, tag: string): Promise<Image | undefined> {
    const patience = AbortSignal.timeout(patienceMs);
    try {
      return await place.find(tag, AbortSignal.any([this.#options.signal, patience]));
    } catch (error) {
      if (error instanceof BuilderError || !patience.aborted) throw error;
      throw new BuilderError('ERR_REGISTRY', `it does not answer within ${patienceMs / 1000} s`, { cause: error });
    }
  }

  #isExpired({ stored }: { readonly stored: string }): boolean {
    const { request, now } = this.#options;
    return Date.parse(stored) + request.ttlMs < now();
  }

  // An entry that is no good is a miss; a place that does not answer is not asked again.
  #judgeFailure(place: EntryPlace, key: CacheKey, error: unknown): void {
    const { emit } = this.#options;
    const reason = messageOf(error);
    if (error instanceof BuilderError && ['ERR_LAYER', 'ERR_DIGEST_MISMATCH', 'ERR_UNSUPPORTED', 'ERR_UNSAFE_PATH'].includes(error.code)) {
      emit({ kind: 'warning', code: `cache-entry ${key}`, message: `${place.name}:${key.slice(0, 12)} is not used: ${reason}` });
      return;
    }
    if (!this.#sources.includes(place)) return;
    this.#sources = this.#sources.filter((each) => each !== place);
    // Some registries forbid reading what does not exist yet.
    const mayWrite = this.#target?.name !== place.name || (error instanceof BuilderError && error.code === 'ERR_AUTH');
    if (!mayWrite) this.#target = undefined;
    const state = mayWrite ? 'not read' : 'not used';
    emit({ kind: 'warning', code: `cache-read ${place.name}`, message: `the cache ${place.name} is ${state}: ${reason}` });
  }

  #begin(task: (target: EntryPlace, signal: AbortSignal) => Promise<void>): void {
    const putting = this.#pushes(() => this.#push(task)).finally(() => this.#underWay.delete(putting));
    this.#underWay.add(putting);
  }

  async #push(task: (target: EntryPlace, signal: AbortSignal) => Promise<void>): Promise<void> {
    const { emit, signal } = this.#options;
    const target = this.#target;
    if (target === undefined || signal.aborted) return;
    try {
      await task(target, signal);
    } catch (error) {
      if (signal.aborted || this.#target === undefined) return;
      this.#target = undefined;
      const hint = error instanceof BuilderError && error.hint !== undefined ? `; ${error.hint}` : '';
      const message = `the cache ${target.name} is not written: ${messageOf(error)}${hint}`;
      emit({ kind: 'warning', code: `cache-write ${target.name}`, message });
    }
  }

  async #putOne(target: EntryPlace, entry: Omit<CacheEntry, 'stored'>, near: Reference | undefined, signal: AbortSignal): Promise<void> {
    const { registry, now, emit, platform } = this.#options;
    const stored = formatTime(now());
    const from = near !== undefined && near.registry === target.reference?.registry ? near : undefined;
    if (from !== undefined) await registry.pushLayer(entry.layer, [from], signal);
    const layer = from === undefined ? entry.layer : { ...entry.layer, from };
    await target.put(entry.key, entryImage({ ...entry, layer, stored }, platform), signal);
    emit({ kind: 'note', level: 'debug', message: `in the cache as ${target.name}:${entry.key}: ${entry.step}` });
  }

  // What can't be read any more is one entry less; a place that takes nothing is told by whoever puts.
  async #copyOne(target: EntryPlace, entry: FoundEntry, signal: AbortSignal): Promise<void> {
    const { emit, platform } = this.#options;
    try {
      await target.put(entry.key, entryImage(entry, platform), signal);
      emit({ kind: 'note', level: 'debug', message: `copied to ${target.name}:${entry.key}: ${entry.step}` });
    } catch (error) {
      const complaint = this.#broken.get(entry.key);
      if (complaint === undefined) throw error;
      const message = `${entry.key.slice(0, 12)} is not copied to ${target.name}: ${complaint}`;
      emit({ kind: 'warning', code: `cache-copy ${entry.key}`, message });
    }
  }

  #ready(entry: CacheEntry): FoundEntry {
    const { store, signal } = this.#options;
    this.#given.set(entry.key, entry);
    const remote: Layer = { ...entry.layer, open: (opening) => this.#watched(entry, opening) };
    let received: Promise<Layer> | undefined;
    const receive = (): Promise<Layer> => (received ??= store.receive(remote, signal));
    const layer: Layer = { ...remote, open: (opening) => openReceived(received, remote, opening) };
    return { ...entry, layer, stageLayer: { diffId: layer.diffId, layer: receive } };
  }

  // What can't be read is remembered, so that the build can do without it.
  #watched(entry: CacheEntry, opening: AbortSignal): Readable {
    const broken = this.#broken;
    const chunks = async function* (): AsyncGenerator<Buffer> {
      try {
        yield* entry.layer.open(opening);
      } catch (error) {
        if (!opening.aborted) broken.set(entry.key, messageOf(error));
        throw error;
      }
    };
    return Readable.from(chunks(), { objectMode: false });
  }
}

function openReceived(received: Promise<Layer> | undefined, remote: Layer, signal: AbortSignal): Readable {
  if (received === undefined) return remote.open(signal);
  const chunks = async function* (): AsyncGenerator<Buffer> {
    yield* (await received).open(signal);
  };
  return Readable.from(chunks(), { objectMode: false });
}
