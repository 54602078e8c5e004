// What RUN --mount=type=cache holds, kept in the layer cache's repository between builders: fetched while the files of the first RUN that
// uses it are put on disk, stored when all RUNs are done. What comes from there is a stranger's: it is unpacked beside the cache's folder,
// never through a link, and takes its place only whole. Trouble is a warning, and a cache that is as it was here.
import { isFolder, lstatIfThere } from '../../linux/files.ts';
import { chmodSync, mkdirSync, renameSync } from 'node:fs';
import { type ByteString, fsPath } from '../../bytes.ts';
import { BuilderError, messageOf } from '../../errors.ts';
import type { Emit } from '../../events.ts';
import { diskView } from '../../files/disk-view.ts';
import { EntryWriter } from '../../files/entry-writer.ts';
import { removeTree } from '../../files/remove.ts';
import { plainRoot } from '../../files/root.ts';
import type { Entry, EntryType } from '../../layer/entry.ts';
import { openEntries } from '../../layer/open-entries.ts';
import type { BlobStore } from '../../layer/store.ts';
import { writeLayer } from '../../layer/write.ts';
import { tryLock, waitForLock } from '../../linux/file-lock.ts';
import type { Platform } from '../../oci/platform.ts';
import { formatTime } from '../../oci/time.ts';
import { rootPath, splitPath } from '../../paths.ts';
import { diffTrees } from '../../rootfs/diff.ts';
import { scanRoot, settleClock } from '../../rootfs/scan.ts';
import { type Tree, typeOfMode } from '../../rootfs/scanned-tree.ts';
import type { CacheOnDisk, KeptCaches } from '../instructions/cache-mounts.ts';
import { treeEntries } from '../instructions/mount-copy.ts';
import type { LayerCache } from './layer-cache.ts';
import { type MountEntry, mountImage, mountTag, parseMount } from './mount-entry.ts';

export interface KeptMountsOptions {
  readonly cache: LayerCache;
  readonly store: BlobStore;
  /** Ids of one namespace mean nothing in another. */
  readonly namespace: string;
  /** Of the machine that commands run on. */
  readonly platform: Platform;
  /** Of one cache, counted in blocks of a disk; what is larger is neither stored nor taken. */
  readonly mostBytes: number;
  /** Throws where somebody has had his hands on the builder. */
  readonly verifySeal: () => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const blockBytes = 4096;

export class KeptMounts implements KeptCaches {
  readonly #options: KeptMountsOptions;
  /** By tag, as all others: entries whose layers are here. */
  readonly #fetched = new Map<string, Promise<MountEntry | undefined>>();
  readonly #brought = new Set<string>();
  /** What was taken, and what the folder was like then. */
  readonly #taken = new Map<string, { readonly stored: string; readonly tree: Tree }>();
  readonly #inUse = new Map<string, CacheOnDisk>();
  readonly #used = new Map<string, CacheOnDisk>();
  /** Ends fetches that nobody waits for any more, as the build has failed. */
  readonly #ended = new AbortController();
  #saving: Promise<void> | undefined;

  constructor(options: KeptMountsOptions) {
    this.#options = options;
  }

  foresee(cache: CacheOnDisk): void {
    const fetching = this.#fetch(cache);
    // It is awaited when the cache is needed; until then a stop must not count as unhandled.
    fetching.catch(() => undefined);
  }

  async bring(cache: CacheOnDisk): Promise<void> {
    const tag = this.#tagOf(cache);
    if (this.#brought.has(tag)) return;
    this.#brought.add(tag);
    const entry = await this.#fetch(cache);
    if (entry === undefined) return;
    const { store, signal } = this.#options;
    try {
      using lock = tryLock(cache.lock, 'exclusive');
      // Who has it now makes it newer than anything that is stored.
      if (lock !== undefined && !isNewer(cache, entry)) await this.#unpack(entry, cache);
    } catch (error) {
      signal.throwIfAborted();
      this.#warn('read', cache, 'is not taken from where it is kept', error);
    } finally {
      await store.release(entry.layer);
    }
  }

  use(cache: CacheOnDisk): void {
    this.#inUse.set(this.#tagOf(cache), cache);
  }

  confirm(): void {
    for (const [tag, cache] of this.#inUse) this.#used.set(tag, cache);
    this.#inUse.clear();
  }

  /** Stores what RUNs left in the caches, once, and only where the last RUN that used one has succeeded. Throws nothing. */
  async save(): Promise<void> {
    await (this.#saving ??= this.#saveAll());
  }

  #tagOf({ name }: CacheOnDisk): string {
    return mountTag(name, this.#options.namespace, this.#options.platform);
  }

  #fetch(cache: CacheOnDisk): Promise<MountEntry | undefined> {
    const tag = this.#tagOf(cache);
    return this.#fetched.getOrInsertComputed(tag, () => this.#fetchNow(cache, tag));
  }

  async #fetchNow(cache: CacheOnDisk, tag: string): Promise<MountEntry | undefined> {
    const { cache: layers, store, mostBytes, signal } = this.#options;
    const fetching = AbortSignal.any([signal, this.#ended.signal]);
    try {
      const entry = await layers.newest(tag, (image) => parseMount(image, tag));
      if (entry === undefined || isNewer(cache, entry)) return undefined;
      if (entry.layer.descriptor.size > mostBytes) throw tooLarge(mostBytes);
      return { ...entry, layer: await store.receive(entry.layer, fetching) };
    } catch (error) {
      fetching.throwIfAborted();
      this.#warn('read', cache, 'is not taken from where it is kept', error);
      return undefined;
    }
  }

  async #unpack({ layer, stored }: MountEntry, cache: CacheOnDisk): Promise<void> {
    const { mostBytes, emit, signal } = this.#options;
    emit({ kind: 'phase', phase: 'unpacking', detail: `the cache ${cache.id}` });
    removeAt(cache.beside);
    try {
      mkdirSync(fsPath(cache.beside), { mode: 0o700 });
      const writer = new EntryWriter(plainRoot(cache.beside), { kind: 'archive', keepsOwners: true, refuseXattr: () => undefined });
      await writer.writeAll(bounded(openEntries(layer, signal), mostBytes), signal);
      removeAt(cache.folder);
      renameSync(fsPath(cache.beside), fsPath(cache.folder));
    } finally {
      removeAt(cache.beside);
    }
    chmodSync(fsPath(cache.lock), 0o600);
    const tree = await scanRoot(plainRoot(cache.folder), signal);
    await settleClock(tree, signal);
    this.#taken.set(this.#tagOf(cache), { stored, tree });
    emit({ kind: 'note', level: 'info', message: `the cache ${cache.id} is here as it was kept at ${stored.slice(0, 19)}Z` });
  }

  async #saveAll(): Promise<void> {
    const { cache: layers, verifySeal, emit, signal } = this.#options;
    this.#ended.abort();
    for (const [tag, { id }] of this.#inUse) {
      this.#used.delete(tag);
      emit({ kind: 'note', level: 'info', message: `the cache ${id} is not kept: the RUN that used it failed` });
    }
    if (this.#used.size === 0 || !layers.keepsNew) return;
    try {
      verifySeal();
    } catch {
      return; // whoever pushes says so
    }
    for (const [tag, cache] of this.#used) {
      if (signal.aborted) return;
      try {
        await this.#saveOne(tag, cache);
      } catch (error) {
        if (!signal.aborted) this.#warn('write', cache, 'is not kept', error);
      }
    }
  }

  async #saveOne(tag: string, cache: CacheOnDisk): Promise<void> {
    const { cache: layers, store, platform, mostBytes, now, emit, signal } = this.#options;
    using lock = tryLock(cache.lock, 'shared');
    // A build that has it now, alone, stores it in its turn.
    if (lock === undefined) return;
    using _ = await waitForLock(cache.copy, 'shared', signal);
    // A RUN may have put a link there, to somebody else's files.
    if (!isFolder(cache.folder)) return;
    const tree = await scanRoot(plainRoot(cache.folder), signal);
    const taken = this.#taken.get(tag);
    const isKept = taken !== undefined && layers.isFresh(taken) && !layers.isWanted(tag) && diffTrees(taken.tree, tree).length === 0;
    if (isKept) return;
    measure(tree, mostBytes);
    emit({ kind: 'phase', phase: 'pushing', detail: `the cache ${cache.id}` });
    const source = { files: diskView(cache.folder), label: 'the cache', keepsOwners: true };
    const entries = treeEntries(source, rootPath, rootPath, signal);
    const { layer } = await writeLayer(entries, { compression: 'gzip', family: 'oci', store }, signal);
    const stored = formatTime(now());
    layers.putImage(tag, mountImage({ tag, id: cache.id, layer, stored }, platform));
    emit({ kind: 'note', level: 'info', message: `the cache ${cache.id} is kept for other builds: ${megabytes(layer.descriptor.size)}` });
  }

  #warn(code: string, { id }: CacheOnDisk, state: string, error: unknown): void {
    const reason = messageOf(error);
    this.#options.emit({ kind: 'warning', code: `cache-mount-${code} ${id}`, message: `the cache ${id} ${state}: ${reason}` });
  }
}

/** True where the folder was used after what is stored was. The ctime of its lock says when: see `CacheMounts`. */
function isNewer({ folder, lock }: CacheOnDisk, { stored }: MountEntry): boolean {
  return lstatIfThere(folder) !== undefined && Number(lstatIfThere(lock)?.ctimeNs ?? 0n) / 1e6 > Date.parse(stored);
}

async function* bounded(entries: AsyncIterable<Entry>, mostBytes: number): AsyncGenerator<Entry> {
  let bytes = 0;
  for await (const entry of entries) {
    bytes += roomFor(entry);
    if (bytes > mostBytes) throw tooLarge(mostBytes);
    yield entry;
  }
}

/** @throws ERR_UNSUPPORTED for what would not be taken either */
function measure(tree: Tree, mostBytes: number): void {
  let bytes = 0;
  const seen = new Set<string>();
  for (let position = 0; position < tree.size; position++) {
    const { mode, size, links, device, inode } = tree.entry(position);
    const isFirst = links < 2 || !seen.has(`${device}:${inode}`);
    if (links > 1) seen.add(`${device}:${inode}`);
    const type = typeOfMode(mode);
    if (type !== undefined) bytes += roomFor({ type, size: isFirst && type === 'file' ? size : 0 });
    if (bytes > mostBytes) throw tooLarge(mostBytes);
  }
}

function roomFor({ type, size }: { readonly type: EntryType; readonly size: number }): number {
  if (type === 'character' || type === 'block') throw new BuilderError('ERR_UNSUPPORTED', 'it holds a device');
  return Math.max(1, Math.ceil(size / blockBytes)) * blockBytes;
}

function tooLarge(mostBytes: number): BuilderError {
  return new BuilderError('ERR_UNSUPPORTED', `it is larger than ${mostBytes / 1e6} MB (--cache-mounts-size)`);
}

function megabytes(bytes: number): string {
  return `${Math.max(0.1, Number((bytes / 1e6).toPrecision(2)))} MB`;
}

function removeAt(path: ByteString): void {
  const { parent, name } = splitPath(path);
  removeTree(plainRoot(parent), name);
}
