// The images of this machine: an OCI layout whose entries are named by whole references, with locks beside it. Blobs are written first
// and index.json changes in one rename, so whoever is killed leaves at most blobs that nothing names, which a sweep finds.
import { link, lstat, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ByteString, bytesFromText } from '../bytes.ts';
import { BuilderError, systemReason, systemCode } from '../errors.ts';
import { given } from '../given.ts';
import { type LockKind, tryLock, waitForLock } from '../linux/file-lock.ts';
import { type Descriptor, formatDescriptor, parseDescriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Json, JsonObject } from '../oci/json.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import { blobPath } from './blob-file.ts';
import { readIndexEntries, writeIndexEntries } from './layout-index.ts';
import { refName } from './layout-referrers.ts';
import { namesIn, noteBlobs } from './layout-removal.ts';
import { makeFolder } from '../folders.ts';
import { openLayoutSink, openLayoutSource } from './oci-layout.ts';

/** Where a store is. `images/` is the layout, and `containers/ID/state.json` say which of its images are in use. */
export interface ImageStore {
  readonly folder: string;
  readonly layout: string;
  /** Results of builds, a layout each. */
  readonly cache: string;
}

/** What one manifest or index of the store is called. */
export interface StoreEntry {
  /** Without a name. */
  readonly descriptor: Descriptor;
  /** Whole references; none for an image that lost its name to another one. */
  readonly names: readonly string[];
}

/** How long others have to wait: for who reads or writes images, who changes index.json, or who changes an index of images. */
const locks = { blobs: 'blobs.lock', index: 'index.lock', lists: 'lists.lock' } as const;

export function imageStore(folder: string): ImageStore {
  return { folder, layout: join(folder, 'images'), cache: join(folder, 'cache') };
}

/** What there is, in the order in which it came. A store that is not there is empty. @throws ERR_LAYER when index.json is malformed */
export async function listEntries({ layout }: ImageStore): Promise<readonly StoreEntry[]> {
  const entries = new Map<Digest, { readonly descriptor: Descriptor; readonly names: string[] }>();
  for (const { json, name } of (await readIndexEntries(layout)).map(namedEntry)) {
    const descriptor = parseDescriptor(unnamed(json), `${layout}/index.json`);
    const entry = entries.getOrInsertComputed(descriptor.digest, () => ({ descriptor, names: [] }));
    if (name !== undefined) entry.names.push(name);
  }
  return [...entries.values()];
}

/** Gives names to an image of the store; whatever had them stays, without. @throws ERR_REFERENCE when the image is gone */
export async function addNames(store: ImageStore, digest: Digest, names: readonly string[], signal: AbortSignal): Promise<void> {
  await changeIndex(store, signal, (entries) => {
    const own = entries.find(({ json }) => json.get('digest') === digest);
    if (own === undefined) throw new BuilderError('ERR_REFERENCE', `Cannot name ${digest}: it is not in ${store.folder} any more`);
    return renamed(entries, unnamed(own.json), names);
  });
}

/** Takes names away; an image that had no other is gone. */
export async function removeNames(store: ImageStore, names: readonly string[], signal: AbortSignal): Promise<void> {
  await changeIndex(store, signal, (entries) => entries.filter(({ name }) => name === undefined || !names.includes(name)));
}

/** Takes names away; an image that had no other stays without one. */
export async function untag(store: ImageStore, names: readonly string[], signal: AbortSignal): Promise<void> {
  await changeIndex(store, signal, (entries) => withoutNames(entries, names));
}

/** Takes images away with all their names. */
export async function removeEntries(store: ImageStore, digests: ReadonlySet<Digest>, signal: AbortSignal): Promise<void> {
  await changeIndex(store, signal, (entries) => entries.filter((entry) => !isOneOf(digests, entry)));
}

/**
 * While it is held nothing of the store is removed: for who reads an image, makes a container of it, or writes blobs that nothing names
 * yet. Others may hold it too. The store is made where it is missing; who may only read it gets by without holding it.
 */
export async function holdStore(store: ImageStore, signal: AbortSignal): Promise<Disposable> {
  try {
    return await openStore(store, signal);
  } catch (error) {
    if (error instanceof BuilderError && error.code === 'ERR_USAGE') return { [Symbol.dispose]: () => undefined };
    throw error;
  }
}

async function openStore(store: ImageStore, signal: AbortSignal): Promise<Disposable> {
  await makeStore(store);
  return await lockStore(store, 'blobs', 'shared', signal);
}

/** @throws SystemError where the lock's file can't be opened; `onWait` is called once while others have it */
export async function lockStore(
  store: ImageStore,
  of: keyof typeof locks,
  kind: LockKind,
  signal: AbortSignal,
  onWait?: () => void,
): Promise<Disposable> {
  return await waitForLock(lockPath(store, of), kind, signal, onWait);
}

/** The same without waiting: undefined while others have it. */
export function tryLockStore(store: ImageStore, of: keyof typeof locks, kind: LockKind): Disposable | undefined {
  return tryLock(lockPath(store, of), kind);
}

/** An image of the store, which stays while it is open. */
export async function openStoreSource(
  store: ImageStore,
  { descriptor, names }: StoreEntry,
  signal: AbortSignal,
): Promise<ImageSource & AsyncDisposable> {
  const held = await holdStore(store, signal);
  try {
    const source = await openLayoutSource({ folder: store.layout, digest: descriptor.digest }, undefined, signal);
    return { ...source, name: names[0] ?? descriptor.digest, [Symbol.asyncDispose]: async () => await releaseLock(held) };
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}

/** The store as the place for one image, which gets these names with its root. @throws ERR_USAGE where the store can't be written */
export async function openStoreSink(
  store: ImageStore,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ImageSink & AsyncDisposable & { readonly finish: () => Promise<void> }> {
  const held = await openStore(store, signal);
  return {
    ...storeSink(store, names),
    finish: async () => undefined,
    [Symbol.asyncDispose]: async () => await releaseLock(held),
  };
}

/** The same for who holds the store as long as the image is written. */
export function storeSink(store: ImageStore, names: readonly string[]): ImageSink {
  const layout = openLayoutSink({ folder: store.layout });
  return {
    ...layout,
    writeBlobs: async (blobs, writing) => {
      await makeStore(store);
      await linkResults(
        store,
        blobs.map(({ descriptor }) => descriptor.digest),
      );
      await layout.writeBlobs(blobs, writing);
    },
    writeRoot: async (root, writing) => {
      await layout.writeManifest(root, writing);
      const { mediaType, digest, bytes, platform } = root;
      const descriptor = { mediaType, digest, size: bytes.length, ...given({ platform }) };
      await checkWhole(store, descriptor, writing);
      const json = formatDescriptor(descriptor);
      await changeIndex(store, writing, (entries) => renamed(entries, json, names));
    },
  };
}

/** What a build has just kept in the cache is on disk once, under two names. Whoever writes blobs looks whether it is what it should be. */
async function linkResults({ layout, cache }: ImageStore, digests: readonly Digest[]): Promise<void> {
  const results = await namesIn(cache);
  for (const digest of results.length === 0 ? [] : digests) {
    const place = blobPath(layout, digest);
    makeFolder(dirname(place));
    for (const result of results) if (await isLinked(blobPath(join(cache, result), digest), place)) break;
  }
}

/** Also where there is one already. */
async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    return systemCode(error) === 'EEXIST'; // not there, on another disk, or somebody else's: it is copied then
  }
}

/** What was written before the store was held may be gone again. @throws ERR_LAYER naming the first blob that is missing */
async function checkWhole({ folder, layout }: ImageStore, descriptor: Descriptor, signal: AbortSignal): Promise<void> {
  const needed = new Set<Digest>();
  await noteBlobs(layout, descriptor, { needed, depth: 0 }, signal);
  for (const digest of needed)
    await lstat(blobPath(layout, digest)).catch((error: unknown) => {
      throw new BuilderError('ERR_LAYER', `Cannot add an image to ${folder}: its blob ${digest} is not there`, {
        cause: error,
        hint: 'somebody may have pruned it meanwhile; try again',
      });
    });
}

/** An entry of index.json as it stands. */
interface NamedEntry {
  readonly json: JsonObject;
  readonly name: string | undefined;
}

async function changeIndex(
  store: ImageStore,
  signal: AbortSignal,
  change: (entries: readonly NamedEntry[]) => readonly NamedEntry[],
): Promise<void> {
  await makeStore(store);
  using _lock = await lockStore(store, 'index', 'exclusive', signal);
  const before = (await readIndexEntries(store.layout)).map(namedEntry);
  const after = change(before);
  const named = new Set(after.filter(({ name }) => name !== undefined).map(({ json }) => json.get('digest')));
  // An entry without a name is for an image that has none, and one is enough.
  const kept = after.filter(({ json, name }) => name !== undefined || (!named.has(json.get('digest')) && named.add(json.get('digest'))));
  await writeIndexEntries(
    store.layout,
    kept.map(({ json }) => json),
  );
}

/** The entries with `json`, which has no name, under these; who had one of them before goes without it. */
function renamed(entries: readonly NamedEntry[], json: JsonObject, names: readonly string[]): readonly NamedEntry[] {
  return [
    ...withoutNames(entries, names),
    ...(names.length === 0 ? [{ json, name: undefined }] : names.map((name) => ({ json: withName(json, name), name }))),
  ];
}

function withoutNames(entries: readonly NamedEntry[], names: readonly string[]): readonly NamedEntry[] {
  return entries.map((entry) =>
    entry.name !== undefined && names.includes(entry.name) ? { json: unnamed(entry.json), name: undefined } : entry,
  );
}

function isOneOf(digests: ReadonlySet<Digest>, { json }: NamedEntry): boolean {
  return [...digests].some((digest) => digest === json.get('digest'));
}

function namedEntry(json: JsonObject): NamedEntry {
  const annotations = json.get('annotations');
  const name = annotations instanceof Map ? annotations.get(refName) : undefined;
  return { json, name: typeof name === 'string' ? name : undefined };
}

function unnamed(json: JsonObject): JsonObject {
  const annotations = json.get('annotations');
  if (!(annotations instanceof Map)) return json;
  const kept = new Map<string, Json>(annotations);
  kept.delete(refName);
  const without = new Map(json);
  if (kept.size === 0) without.delete('annotations');
  else without.set('annotations', kept);
  return without;
}

function withName(json: JsonObject, name: string): JsonObject {
  const annotations = json.get('annotations');
  const others: JsonObject = annotations instanceof Map ? annotations : new Map<string, Json>();
  return new Map(json).set('annotations', new Map(others).set(refName, name));
}

async function makeStore({ folder, layout }: ImageStore): Promise<void> {
  try {
    makeFolder(folder, 0o700);
    // By the umask, as all else in it: who may share the folder may share the images.
    await mkdir(layout).catch(unlessThere);
    for (const name of Object.values(locks)) await (await open(join(folder, name), 'a', 0o666)).close();
  } catch (error) {
    throw new BuilderError('ERR_USAGE', `Cannot use the image store ${folder}: ${systemReason(error)}`, {
      cause: error,
      hint: 'name another folder with --root DIR, or the variable YADOKARI_ROOT',
    });
  }
}

function unlessThere(error: unknown): void {
  if (systemCode(error) !== 'EEXIST') throw error;
}

function lockPath({ folder }: ImageStore, of: keyof typeof locks): ByteString {
  return bytesFromText(join(folder, locks[of]));
}

async function releaseLock(held: Disposable): Promise<void> {
  held[Symbol.dispose]();
}
