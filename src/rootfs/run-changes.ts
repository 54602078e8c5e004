// What a RUN changed on the disk, as the entries of a layer of the image. The scan seen last is kept, so each RUN costs one walk.
import { type ByteString, textFromBytes } from '../bytes.ts';
import type { Emit } from '../events.ts';
import type { ReadAheadRequest } from '../files/read-ahead.ts';
import { absolutePath, isDirectoryMode } from '../files/resolve.ts';
import type { LocalEntry, Metadata } from '../layer/entry.ts';
import { statFieldCount, statInto } from '../linux/files.ts';
import { readPossibleOwner, readRefusedBits } from '../linux/owners.ts';
import { keepsChangeTimes } from '../linux/statfs.ts';
import { comparePaths, isWithin, splitPath } from '../paths.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import { type PodMap, engineOwn } from '../tree/pod-map.ts';
import { captureChanges } from './capture.ts';
import { diffTrees } from './diff.ts';
import type { Disk } from './disk.ts';
import { type LeftOut, changesBut, hasOtherMode } from './left-out.ts';
import { scanRoot, settleClock } from './scan.ts';
import type { LookRequest } from './second-look.ts';
import { settleTouched } from './settle.ts';
import type { StageLayer } from './stage-layer.ts';
import { entryAt } from './tree-columns.ts';
import { type Change, type Tree, typeOfMode } from './scanned-tree.ts';
import type { ChangeList } from './change-list.ts';

/** What of a RUN's changes is not the image's. */
export interface RunExceptions {
  /** Paths on the disk, with all below, that only the builder itself changed (the targets of mounts). */
  readonly except: readonly ByteString[];
  /** Folders on the disk that it put back as they were. */
  readonly unchanged: readonly ByteString[];
  /** By its place in the image. */
  readonly leftOut?: LeftOut | undefined;
}

type Present = Exclude<Change, { readonly kind: 'deleted' }>;

interface RunChangesOptions {
  readonly lookAgain?: ((request: LookRequest) => void) | undefined;
  readonly readAhead?: ((request: ReadAheadRequest) => void) | undefined;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export class RunChanges {
  readonly #disk: Disk;
  readonly #lookAgain: RunChangesOptions['lookAgain'];
  readonly #readAhead: RunChangesOptions['readAhead'];
  readonly #emit: Emit;
  readonly #signal: AbortSignal;
  readonly #possibleOwner = readPossibleOwner();
  readonly #refusedBits = readRefusedBits();
  #scan: Tree | undefined;
  #trueTimes: boolean | undefined;

  constructor(disk: Disk, options: RunChangesOptions) {
    this.#disk = disk;
    this.#lookAgain = options.lookAgain;
    this.#readAhead = options.readAhead;
    this.#emit = options.emit;
    this.#signal = options.signal;
  }

  /** The builder itself changed the disk: nothing is known of it but what it saw afterwards. */
  forget(seen?: Tree): void {
    this.#scan = seen;
  }

  /** Before anything that may touch any file: remembers what the root is like. */
  async prepare(): Promise<void> {
    this.#emit({ kind: 'phase', phase: 'snapshotting' });
    this.#scan ??= await scanRoot(this.#disk.root, this.#signal);
    // A change in the same clock tick as the newest one seen would keep its ctime.
    await settleClock(this.#scan, this.#signal);
  }

  /**
   * What has changed since then, as the entries of a layer above `layers`, which are `tree`. Contents are valid until the next entry is
   * asked for, and only read where they are `isRead`.
   * @throws ERR_ROOTFS, ERR_LAYER
   */
  async take(tree: ImageTree, layers: readonly StageLayer[], exceptions: RunExceptions, isRead = true): Promise<Iterable<LocalEntry>> {
    const started = performance.now();
    const { root, map } = this.#disk;
    const before = this.#scan;
    if (before === undefined) throw new Error('take() without prepare()');
    const after = await scanRoot(root, this.#signal, { tree: before, hasTrueTimes: this.hasTrueTimes(), lookAgain: this.#lookAgain });
    this.#scan = after;
    const isExcepted = (path: ByteString): boolean => exceptions.except.some((each) => isWithin(path, each));
    const unchanged = new Set(exceptions.unchanged);
    const found = diffTrees(before, after);
    const isAll = exceptions.except.length + unchanged.size === 0;
    const own = isAll ? found : found.filter(({ kind, path }) => !isExcepted(path) && !(kind === 'modified' && unchanged.has(path)));
    const settling = { image: () => ({ tree, layers, map }), timesDrift: !this.hasTrueTimes() };
    // What is not read makes no layer that could be larger than need be.
    const settled = isRead ? await settleTouched(root, own, settling, this.#signal) : own;
    const changes = changesBut(exceptions.leftOut, this.#inImage(settled, before, tree), before);
    this.#emit({ kind: 'snapshot.finished', scanned: after.size, changed: changes.length, durationMs: performance.now() - started });
    return this.#captured(changes, this.#unheld(changes, before, tree, map), map, isRead);
  }

  /** Whether a file has the very times that a scan saw for as long as nobody touches it. */
  hasTrueTimes(): boolean {
    return (this.#trueTimes ??= keepsChangeTimes(this.#disk.root.path));
  }

  // A folder that is only there since something is mounted below it becomes the image's where a RUN made something in it.
  #inImage(changes: ChangeList, before: Tree, tree: ImageTree): ChangeList {
    const { root, map } = this.#disk;
    const isImages = (path: ByteString): boolean => tree.at(map.toImage(path)) !== undefined;
    const kept = changes.filter((change) => {
      const isHeld = change.kind === 'modified' && root.protection.holds(change.path) && !isImages(change.path);
      // `chown -R` of /run meets the folders above the token.
      return !isHeld || (!engineOwn.test(map.toImage(change.path)) && hasOtherMode(change.entry, before.get(change.path)));
    });
    const others = this.#missingParents(kept, isImages);
    if (others.length === 0 && map.turned.length === 0) return kept;
    // Two folders of the disk may be one of the image.
    const byPlace = new Map<ByteString, Change>();
    const isInPlace = (change: Change): boolean => map.toImage(change.path) === change.path;
    for (const change of kept) if (!isInPlace(change)) addTo(byPlace, map.toImage(change.path), change);
    for (const change of others) {
      if (isInPlace(change)) byPlace.set(change.path, change);
      else addTo(byPlace, map.toImage(change.path), change);
    }
    const inPlace = kept.filter(isInPlace);
    for (const { path } of inPlace) byPlace.delete(path);
    return inPlace.mergedWith([...byPlace.values()], (a, b) => comparePaths(map.toImage(a.path), map.toImage(b.path)));
  }

  /** Folders of what was made that nobody has told the image of. */
  #missingParents(changes: ChangeList, isImages: (path: ByteString) => boolean): readonly Present[] {
    const { root } = this.#disk;
    const known = new Set<ByteString>();
    const parents: Present[] = [];
    for (const change of changes) {
      const { path, kind } = change;
      if (kind === 'deleted') continue;
      if (isDirectoryMode(change.entry.mode)) known.add(path);
      for (let { parent } = splitPath(path); parent !== '.' && !known.has(parent); { parent } = splitPath(parent)) {
        known.add(parent);
        if (isImages(parent)) break;
        const numbers = new Float64Array(statFieldCount);
        if (statInto(absolutePath(root, parent), numbers)) parents.push({ kind: 'added', path: parent, entry: entryAt(numbers) });
      }
    }
    return parents;
  }

  *#captured(changes: ChangeList, unheld: ReadonlyMap<ByteString, Partial<Metadata>>, map: PodMap, isRead: boolean): Generator<LocalEntry> {
    const { root } = this.#disk;
    const hasToken = root.protection.paths.some(isTokenFolder);
    for (const entry of captureChanges(root, changes, this.#signal, { isRead, readAhead: this.#readAhead })) {
      const { path, type, linkTarget } = entry;
      if (hasToken && type === 'directory' && isTokenFolder(path)) this.#warnOfToken(map.toImage(path));
      const isLink = type === 'hardlink' && linkTarget !== undefined;
      yield { ...entry, ...unheld.get(path), path: map.toImage(path), ...(isLink ? { linkTarget: map.toImage(linkTarget) } : {}) };
    }
  }

  /** `cp -a`, and `mv` where a folder can't be renamed, take along what is mounted below. */
  #warnOfToken(path: ByteString): void {
    const message = `this RUN has copied the token of this pod's service account: whoever has the image has /${textFromBytes(path)}`;
    this.#emit({ kind: 'warning', code: `token-copied ${path}`, message });
  }

  /** What the disk can't hold, an owner or the set-group-ID bit: where a RUN left it as it was, it is still what the image says. */
  #unheld(changes: ChangeList, before: Tree, tree: ImageTree, map: PodMap): ReadonlyMap<ByteString, Partial<Metadata>> {
    const unheld = new Map<ByteString, Partial<Metadata>>();
    for (const change of changes) {
      if (change.kind !== 'modified' || !isStill(change)) continue;
      const { path, entry } = change;
      const number = tree.at(map.toImage(path));
      if (number === undefined) continue;
      const { uid, gid, mode } = tree.node(number);
      const possible = this.#possibleOwner({ uid, gid });
      if (possible.uid !== entry.uid || possible.gid !== entry.gid) continue;
      const possibleMode = mode & ~this.#refusedBits(entry.gid);
      const keepsMode = (entry.mode & 0o7777) === possibleMode && entry.mode === before.get(path)?.mode;
      if (possible.uid !== uid || possible.gid !== gid || (keepsMode && mode !== possibleMode))
        unheld.set(path, { uid, gid, ...(keepsMode ? { mode } : {}) });
    }
    return unheld;
  }
}

/** Where the kubelet mounts a token, and where a copy of that has it. */
function isTokenFolder(path: ByteString): boolean {
  return path.endsWith('/kubernetes.io/serviceaccount');
}

function isStill(change: Present): boolean {
  return change.isSameFile === true || typeOfMode(change.entry.mode) === 'directory';
}

function addTo(byPlace: Map<ByteString, Change>, place: ByteString, change: Change): void {
  if (!byPlace.has(place)) byPlace.set(place, change);
}
