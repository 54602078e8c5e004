// The disk that is our root: which image it holds now, and how it comes to hold another one. A stage that is read from later is
// moved aside; the layers can always be unpacked again.
import { chmodSync } from 'node:fs';
import { type ByteString, fsPath, textFromBytes } from '../bytes.ts';
import type { Emit } from '../events.ts';
import { absolutePath } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import type { Digest } from '../oci/digest.ts';
import { isWithin } from '../paths.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import { type PodMap, hiddenPlaces, isSamePodMap, mapPod, plainPodMap } from '../tree/pod-map.ts';
import { clearRoot } from './clear.ts';
import { FolderMoves } from './folder-moves.ts';
import type { Ground } from './ground.ts';
import { HeldFolders } from './held-folders.ts';
import { Asides, type HeldImage, isPrefix } from './held-image.ts';
import { createUnpackReport, tellUnpackReport } from './unpack-report.ts';
import type { OwnRoot } from './own-root.ts';
import type { Tree } from './scanned-tree.ts';
import { takeRootBack, setRootAside } from './set-aside.ts';
import type { StageLayer } from './stage-layer.ts';
import { turnLinks } from './turn-links.ts';
import { type KnownFiles, undoChanges } from './undo.ts';
import { type MissingOptions, unpackMissing } from './unpack-missing.ts';

/** What to make of a stage's layers while they are unpacked. */
export interface HoldOptions extends Pick<MissingOptions, 'follow'> {
  /** The stage's tree, once all layers have gone by. */
  readonly tree: () => ImageTree;
  /** Undefined where the tree is only known once all layers have gone by. */
  readonly known?: KnownFiles;
  readonly isForRun?: boolean;
}

export class Disk {
  readonly root: Root;
  readonly ground: Ground | undefined;
  readonly moves = new FolderMoves();
  /** Makes an empty folder of the builder's own, for what has to be out of the way. */
  readonly newFolder = (): ByteString => this.#asides.newFolder();
  readonly #ownRoot: OwnRoot | undefined;
  readonly #emit: Emit;
  readonly #signal: AbortSignal;
  readonly #asides: Asides;
  readonly #heldFolders: HeldFolders;
  /** Places of which was said already that the image's own can't be seen there. */
  readonly #told = new Set<ByteString>();
  // At first what the engine, or an earlier build in this container, left behind, and must go.
  #held: HeldImage | undefined;
  #isEmpty = false;
  /** Whether what it holds is read later, and whether a stage begins with it. */
  #use: 'none' | 'read' | 'begun with' = 'none';
  #scan: Tree | undefined;

  /** `folder` is the builder's own, for what is set aside; it must be protected in `root`. */
  constructor(options: {
    readonly root: Root;
    readonly folder: ByteString;
    readonly ground?: Ground;
    /** Takes what is there before the first image; it goes where there is none. */
    readonly ownRoot?: OwnRoot;
    readonly emit: Emit;
    readonly signal: AbortSignal;
  }) {
    this.root = options.root;
    this.ground = options.ground;
    this.#asides = new Asides(options.folder);
    this.#ownRoot = options.ownRoot;
    this.#emit = options.emit;
    this.#signal = options.signal;
    this.#heldFolders = new HeldFolders(options.root);
  }

  /** The image that the root holds, path by path. */
  get map(): PodMap {
    return this.#held?.map ?? plainPodMap;
  }

  /** How many of these layers would not have to be unpacked. */
  countHeld(layers: readonly StageLayer[]): number {
    const { chain } = this.#held ?? { chain: [] };
    return Math.max(isPrefix(chain, layers) ? chain.length : 0, this.#asides.countHeld(layers));
  }

  /** True where the root is what these layers say already. */
  isHolding(layers: readonly StageLayer[]): boolean {
    return this.#held !== undefined && this.#held.chain.length === layers.length && isPrefix(this.#held.chain, layers);
  }

  /**
   * Makes the root what these layers say, and nothing else; empty where that fails. Anything but `holds` means that it has to be done
   * again: ground that the image has was got only afterwards, a layer was fetched anew, or what was moved was not the layer's. @throws ERR_LAYER, ERR_DIGEST_MISMATCH, ERR_ROOTFS, ERR_CONTEXT
   */
  async hold(layers: readonly StageLayer[], options: HoldOptions): Promise<'holds' | 'has new ground' | 'other bytes' | 'other files'> {
    this.#scan = undefined;
    const held = await this.#begin(layers, options);
    const started = performance.now();
    const report = createUnpackReport();
    const missing = layers.length - held.chain.length;
    // A layer may put something else in place of a link that is turned.
    if (missing > 0) await this.#turn(held, plainPodMap);
    const { known, isForRun = false } = options;
    const moves = known !== undefined && this.isPlain(known.tree) ? this.moves : undefined;
    const common = { ...options, root: this.root, held, report, moves, emit: this.#emit, signal: this.#signal };
    const unpacked = await this.#orClear(() => unpackMissing(layers, common));
    if (unpacked === undefined) return 'other bytes';
    if (missing > 0) this.#scan = unpacked.scan;
    if (unpacked.other !== undefined) return 'other files';
    if (known === undefined && (await this.ground?.adjust(options.tree(), isForRun)) === true) return 'has new ground';
    if (await this.settle(options.tree())) this.#scan = undefined;
    tellUnpackReport(report, this.#emit);
    if (missing > 0) this.#emit({ kind: 'unpack.finished', entries: unpacked.entries, durationMs: performance.now() - started });
    return 'holds';
  }

  /** What the root is like, told once, where that was looked at after it had changed last. */
  takeScan(): Tree | undefined {
    const scan = this.#scan;
    this.#scan = undefined;
    return this.ground?.isOthers === false ? undefined : scan;
  }

  /** Puts the links of the image right that stand in the way of what the pod mounts; tells whether that changed the disk. */
  async settle(tree: ImageTree): Promise<boolean> {
    const held = this.#held;
    if (held === undefined) return false;
    held.tree = tree;
    const map = mapPod(tree, this.root.protection);
    this.#tellHidden(hiddenPlaces(tree, map, this.root.protection));
    if (!(await this.#turn(held, map))) return false;
    for (const { held: folder, target, free } of map.turned) {
      if (free !== undefined) continue;
      const mount = this.root.protection.paths.find((path) => isWithin(path, folder)) ?? folder;
      const instead = `mount /${textFromBytes(mount)} at /${textFromBytes(map.toImage(mount))} instead`;
      const message = `/${folder} is a link to /${target} in the image, and something is mounted below both here: RUN sees two folders, and may miss programs; ${instead}`;
      this.#emit({ kind: 'warning', code: `turned ${folder}`, message });
    }
    return true;
  }

  /** True where everything of an image is on the disk under its own path, and stays there until the root is another image's. */
  isPlain(tree: ImageTree): boolean {
    return this.ground?.isOthers !== false && mapPod(tree, this.root.protection).turned.length === 0;
  }

  /** Says that the root now has one layer more: what a RUN changed was captured. */
  append(diffId: Digest): void {
    this.#held?.chain.push(diffId);
  }

  /** Says that a RUN has been here. */
  noteRun(): void {
    this.#asides.forget();
  }

  /** Says what the files that the root holds now are needed for once another image is there. */
  keep(use: 'none' | 'read' | 'begun with'): void {
    this.#use = use;
  }

  /** Where a stage's file is on disk that layer `layer` of the stage brought; undefined where it is not. It may be something else. */
  placeOf(layers: readonly StageLayer[], layer: number, path: ByteString): ByteString | undefined {
    const isThere = (held: HeldImage): boolean => layer < held.chain.length && isPrefix(held.chain, layers);
    if (this.#held !== undefined && isThere(this.#held)) {
      const place = this.#held.map.toDisk(path);
      return this.root.protection.covers(place) ? undefined : absolutePath(this.root, place);
    }
    return this.#asides.placeOf(layers, layer, path, this.root.protection);
  }

  /** Where a directory of a stage with these layers was set aside, with all that is in it. */
  folderAside(layers: readonly StageLayer[], path: ByteString): ByteString | undefined {
    return this.#asides.folderOf(layers, path);
  }

  /** Empties the root of what was there before the build. @throws ERR_ROOTFS */
  async prepare(): Promise<void> {
    chmodSync(fsPath(this.root.path), 0o755);
    await this.#leave();
  }

  /** Empties the root where it holds an image: another build is going to begin. */
  giveUp(): void {
    if (this.#held !== undefined) this.clear();
  }

  /** Leaves the root as empty as before the build. */
  clear(): void {
    clearRoot(this.root, this.#signal);
    this.#heldFolders.restore();
    this.#held = undefined;
    this.#isEmpty = true;
  }

  async #turn(held: HeldImage, map: PodMap): Promise<boolean> {
    if (isSamePodMap(map, held.map)) return false;
    await turnLinks(this.root, held.map, map, this.#signal);
    held.map = map;
    return true;
  }

  #tellHidden(places: readonly ByteString[]): void {
    for (const place of places) {
      if (this.#told.has(place)) continue;
      this.#told.add(place);
      const name = `/${textFromBytes(place)}`;
      const message = `RUN can't see the image's ${name}: ${name} is this container's, and what a RUN makes there is not the image's`;
      this.#emit({ kind: 'warning', code: `hidden ${name}`, message });
    }
  }

  async #begin(layers: readonly StageLayer[], { known, isForRun = false }: HoldOptions): Promise<HeldImage> {
    if (this.#held !== undefined && isPrefix(this.#held.chain, layers)) {
      if (known !== undefined) await this.ground?.adjust(known.tree, isForRun);
      return this.#held;
    }
    if (known !== undefined) {
      const undone = await this.#undo(layers, known);
      if (undone !== undefined) return undone;
    }
    // Some engines make it 0555, and no layer says what it should be; root without capabilities can't even empty it then.
    if (this.#held === undefined) chmodSync(fsPath(this.root.path), 0o755);
    await this.#leave();
    if (known !== undefined) await this.ground?.adjust(known.tree, isForRun);
    const best = await this.#asides.takeBest(layers, this.#emit, this.#signal);
    this.#isEmpty = false;
    if (best === undefined) {
      chmodSync(fsPath(this.root.path), 0o755);
      this.#held = { chain: [], map: plainPodMap };
      return this.#held;
    }
    await takeRootBack(this.root, best.folder, this.#signal);
    this.#held = best.held;
    return best.held;
  }

  /**
   * Back to layers that the root began with, where that is less than to unpack them again; undefined where it can't be, or went wrong.
   * A RUN that has left something behind that is in no layer is a reason to empty the root.
   */
  async #undo(layers: readonly StageLayer[], known: KnownFiles): Promise<HeldImage | undefined> {
    const held = this.#held;
    if (held?.tree === undefined || this.#use === 'begun with' || layers.length === 0) return undefined;
    if (layers.some(({ diffId }, number) => held.chain[number] !== diffId)) return undefined;
    const isSameGround = this.ground?.suits(known.tree) !== false;
    if (!isSameGround || !isSamePodMap(held.map, mapPod(known.tree, this.root.protection))) return undefined;
    const { map } = held;
    const aside =
      this.#use === 'read' ? { folder: this.#asides.newFolder(), held, since: layers.length, folders: new Set<ByteString>() } : undefined;
    // While it is under way the root is nothing that anybody knows.
    this.#held = { chain: [], map };
    const undoing = { root: this.root, from: held.tree, to: known, map, ...aside };
    const { scan, other } = await this.#orClear(() => undoChanges(undoing, this.#signal));
    if (aside !== undefined) await this.#asides.add(aside, this.#signal);
    this.#use = 'none';
    const isBack = other === undefined;
    const message = isBack
      ? 'what RUN made of the base is undone'
      : `the root is emptied: /${textFromBytes(other)} is not what the base has, after what RUN made of it was undone`;
    this.#emit({ kind: 'note', level: 'debug', message });
    if (isBack) this.#held = { chain: layers.map(({ diffId }) => diffId), map, tree: known.tree };
    else this.clear();
    this.#scan = isBack ? scan : undefined;
    return this.#held;
  }

  async #leave(): Promise<void> {
    if (this.#held === undefined || this.#use === 'none') {
      if (this.#held === undefined && (await this.#ownRoot?.putAway(this.#signal)) === true) {
        this.#heldFolders.restore();
        this.#isEmpty = true;
      }
      if (!this.#isEmpty) this.clear();
      return;
    }
    const folder = this.#asides.newFolder();
    await setRootAside(this.root, folder, this.#signal);
    this.#heldFolders.restore();
    await this.#asides.add({ folder, held: this.#held, since: 0, folders: new Set() }, this.#signal);
    this.#held = undefined;
    this.#use = 'none';
    this.#isEmpty = true;
  }

  // What was unpacked may be nothing that anybody vouches for.
  async #orClear<Value>(task: () => Promise<Value>): Promise<Value> {
    try {
      return await task();
    } catch (error) {
      try {
        if (!this.#signal.aborted) this.clear();
      } catch {
        // the failure itself says more
      }
      throw error;
    }
  }
}
