// What an instruction changed in the root, as a layer. The tree seen last is kept, so each RUN costs one walk.
import type { ByteString } from '../bytes.ts';
import type { Emit } from '../events.ts';
import type { Entry, Timestamp } from '../layer/entry.ts';
import { type LayerOptions, type WrittenLayer, writeLayer } from '../layer/write.ts';
import type { Layer } from '../oci/image.ts';
import type { Owner } from '../linux/owners.ts';
import { keepsChangeTimes } from '../linux/statfs.ts';
import { captureChanges } from '../rootfs/capture.ts';
import { type ContentNotes, watchDigest } from '../rootfs/content-notes.ts';
import { diffTrees } from '../rootfs/diff.ts';
import type { Root } from '../rootfs/root.ts';
import { scanPaths, scanRoot, settleClock } from '../rootfs/scan.ts';
import { type Settling, settleTouched } from '../rootfs/settle.ts';
import { type Change, type Tree, typeOfMode } from '../rootfs/tree.ts';
import type { Touched } from './effect.ts';
import { createSecretScan, type SecretScan } from './instructions/secret-scan.ts';

export interface SnapshotOptions {
  readonly root: Root;
  readonly layer: LayerOptions;
  /** Later times in new layers become this: SOURCE_DATE_EPOCH, in seconds. */
  readonly latestTime?: number;
  /** Gets each layer as soon as it is written. */
  readonly onLayer?: (layer: Layer) => void;
  /** Whom a path of the base belongs to, where the disk can't tell. */
  readonly ownerOf?: (path: ByteString) => Owner | undefined;
  /** What the files of the root hold, as far as it is known. */
  readonly notes: () => ContentNotes;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** A layer, and the ids of the secrets that were seen in its files. */
export interface TakenSnapshot extends WrittenLayer {
  readonly leakedSecrets: readonly string[];
}

export class Snapshots {
  readonly #options: SnapshotOptions;
  #tree: Tree | undefined;
  #timesDrift: boolean | undefined;

  constructor(options: SnapshotOptions) {
    this.#options = options;
  }

  /** Another root's files are in place: nothing is known of them. */
  forget(): void {
    this.#tree = undefined;
  }

  /** Before anything that may touch any file: remembers what the root is like. */
  async prepare(): Promise<void> {
    const { root, emit, signal } = this.#options;
    emit({ kind: 'phase', phase: 'snapshotting' });
    this.#tree ??= await scanRoot(root, signal);
    // A change in the same clock tick as the newest one seen would keep its ctime.
    await settleClock(this.#tree, signal);
  }

  /**
   * Writes what was touched since the last snapshot as a layer, an empty one if nothing was. `secrets` are looked for in the
   * files that go into it.
   * @throws ERR_ROOTFS, ERR_LAYER
   */
  async take(touched: Touched, secrets: ReadonlyMap<string, Buffer> = new Map()): Promise<TakenSnapshot> {
    const { root, layer, emit, signal } = this.#options;
    emit({ kind: 'phase', phase: 'snapshotting' });
    const started = performance.now();
    const { changes, tree } =
      touched.kind === 'anything'
        ? await this.#everything(touched.except ?? [], new Set(touched.unchanged))
        : await this.#touchedPaths(touched.kind === 'paths' ? touched.paths : []);
    emit({ kind: 'snapshot.finished', scanned: tree.size, changed: changes.length, durationMs: performance.now() - started });
    const scan = createSecretScan(secrets);
    const captured = this.#owned(this.#noted(captureChanges(root, changes, signal), changes), changes);
    const entries = this.#clamped(scan === undefined ? captured : watchContent(captured, scan));
    const written = await writeLayer(entries, layer, signal);
    this.#options.onLayer?.(written.layer);
    return { ...written, leakedSecrets: scan?.found() ?? [] };
  }

  async #everything(
    except: readonly ByteString[],
    unchanged: ReadonlySet<ByteString>,
  ): Promise<{ readonly changes: readonly Change[]; readonly tree: Tree }> {
    const { root, signal } = this.#options;
    const after = await scanRoot(root, signal);
    const before = this.#tree;
    this.#tree = after;
    if (before === undefined) throw new Error('take() of everything without prepare()');
    const isExcepted = (path: ByteString): boolean => except.some((item) => path === item || path.startsWith(`${item}/`));
    const isPutBack = (change: Change): boolean => change.kind === 'modified' && unchanged.has(change.path);
    const changes = diffTrees(before, after).filter((change) => !isExcepted(change.path) && !isPutBack(change));
    return { changes: await settleTouched(root, changes, this.#settling(), signal), tree: after };
  }

  async #touchedPaths(paths: readonly ByteString[]): Promise<{ readonly changes: readonly Change[]; readonly tree: Tree }> {
    const { root, signal } = this.#options;
    const { changes, tree } = await scanPaths(root, paths, this.#tree, signal);
    if (this.#tree !== undefined) this.#tree = tree;
    return { changes: await settleTouched(root, changes, { ...this.#settling(), asked: new Set(paths) }, signal), tree };
  }

  #settling(): Settling {
    const { notes, root } = this.#options;
    this.#timesDrift ??= !keepsChangeTimes(root.path);
    return { notes: notes(), timesDrift: this.#timesDrift };
  }

  /** Notes what goes into the layer: the next RUN may touch it without changing it. */
  async *#noted(entries: AsyncIterable<Entry>, changes: readonly Change[]): AsyncGenerator<Entry> {
    const notes = this.#options.notes();
    for (const { path } of changes) notes.forget(path);
    for await (const entry of entries) {
      const { watched, digest } = watchDigest(entry);
      yield watched;
      if (entry.type === 'hardlink' && entry.linkTarget !== undefined) notes.noteSame(entry.path, entry.linkTarget);
      else notes.note(entry.path, digest());
    }
  }

  /** What is in the root still, though changed, stays with its owner; what is new belongs to whoever the disk says. */
  async *#owned(entries: AsyncIterable<Entry>, changes: readonly Change[]): AsyncGenerator<Entry> {
    const { ownerOf } = this.#options;
    const owners = new Map<ByteString, Owner>();
    for (const change of changes) {
      const owner = change.kind === 'modified' && isStill(change) ? ownerOf?.(change.path) : undefined;
      if (owner !== undefined) owners.set(change.path, owner);
    }
    for await (const entry of entries) {
      const owner = owners.get(entry.path);
      yield owner === undefined ? entry : { ...entry, uid: owner.uid, gid: owner.gid };
    }
  }

  async *#clamped(entries: AsyncIterable<Entry>): AsyncGenerator<Entry> {
    const { latestTime } = this.#options;
    for await (const entry of entries) {
      if (latestTime === undefined || !isLater(entry.mtime, latestTime)) yield entry;
      else yield { ...entry, mtime: { seconds: latestTime, nanoseconds: 0 } };
    }
  }
}

function isStill(change: Extract<Change, { readonly kind: 'added' | 'modified' }>): boolean {
  return change.isSameFile === true || typeOfMode(change.entry.mode) === 'directory';
}

async function* watchContent(entries: AsyncIterable<Entry>, scan: SecretScan): AsyncGenerator<Entry> {
  for await (const entry of entries) {
    scan.nextFile();
    yield entry.content === undefined ? entry : { ...entry, content: watchChunks(entry.content, scan) };
  }
}

async function* watchChunks(chunks: AsyncIterable<Buffer>, scan: SecretScan): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    scan.push(chunk);
    yield chunk;
  }
}

function isLater(time: Timestamp, seconds: number): boolean {
  return time.seconds > seconds || (time.seconds === seconds && time.nanoseconds > 0);
}
