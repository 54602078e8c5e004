// The files of one stage: its layers, its tree, and, once a RUN needs it, its disk. What an instruction does to them becomes a layer.
// Nothing is unpacked in vain: a stage without RUN is never on disk, and where nobody asks for a file not even headers are read.
import type { Emit } from '../events.ts';
import type { FileView } from '../files/file-view.ts';
import type { Spool } from '../files/spool.ts';
import { given } from '../given.ts';
import type { LocalEntry, Timestamp } from '../layer/entry.ts';
import { createSecretScan, watchEntries } from '../layer/secret-scan.ts';
import { type LayerOptions, type WrittenLayer, writeLayer } from '../layer/write.ts';
import { type Layer, isEmptyLayer } from '../oci/image.ts';
import { ImageTree } from '../tree/image-tree.ts';
import type { BaseTree, BaseTrees } from './base-trees.ts';
import type { Disk } from './disk.ts';
import { followLayer, followLocal, namingLayer, readLayerInto } from './follow-layer.ts';
import { LayersTree } from './layers-tree.ts';
import { type LeftOut, draftBut } from './left-out.ts';
import type { RunChanges, RunExceptions } from './run-changes.ts';
import { draftDifference } from './draft-difference.ts';
import { StageContents } from './stage-contents.ts';
import type { StageLayer } from './stage-layer.ts';
import { TreeDraft, readDraft } from './tree-draft.ts';
import { UnwrittenLayers, unwrittenLayer } from './unwritten-layers.ts';

/** What the stages of a build share. */
export interface StageFilesOptions {
  readonly disk: Disk;
  readonly runChanges: RunChanges;
  readonly baseTrees: BaseTrees;
  readonly spool: Spool;
  readonly layer: LayerOptions;
  /** Where it is given, there are no empty layers either. */
  readonly leftOut?: LeftOut | undefined;
  /** Unpacks whatever there is to unpack, RUN or not: what comes out must be the same. */
  readonly alwaysOnDisk?: boolean;
  /** Gets each layer as soon as it is written. */
  readonly onLayer?: (layer: Layer) => void;
  readonly now: () => Timestamp;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** What was changed, and the ids of the secrets that were seen in the files. No layer where nobody is going to ask for it. */
export interface TakenLayer extends Pick<WrittenLayer, 'entries'>, Partial<Pick<WrittenLayer, 'layer'>> {
  readonly leakedSecrets: readonly string[];
}

/** What is known of a stage when it begins. */
export interface StageOutlook {
  /** A RUN is going to need the files on disk: whoever asks for them first has them unpacked, and they are read once. */
  readonly willRun?: boolean;
  /** A later stage begins with the same layers. */
  readonly sharesBase?: boolean;
  /** Nobody is going to ask for its layers: other stages read its files, and that is all. */
  readonly isOnlyRead?: boolean;
}

interface Parts extends StageOutlook {
  readonly layers: readonly StageLayer[];
  /** What an earlier stage knew of them. */
  readonly known?: Partial<BaseTree>;
}

export class StageFiles {
  readonly #options: StageFilesOptions;
  readonly #layers: StageLayer[];
  readonly #tree: LayersTree;
  readonly #contents: StageContents;
  readonly #outlook: StageOutlook;
  #ahead: Promise<void> | undefined;
  #aheadMs = 0;
  readonly #unwritten: UnwrittenLayers;
  /** Where all changes become one layer: what they begin with. */
  #single: { readonly tree: ImageTree } | undefined;

  /** Files that the layers say; the tree is read from them when it is first asked for. */
  constructor(options: StageFilesOptions, { layers, known = {}, ...outlook }: Parts) {
    this.#options = options;
    this.#outlook = outlook;
    this.#layers = [...layers];
    this.#unwritten = new UnwrittenLayers(this.#layers, async (entries) => (await this.#writeLayer(entries)).layer);
    const { baseTrees, emit, signal } = options;
    this.#tree = new LayersTree(this.#layers, { baseTrees, sharesBase: outlook.sharesBase === true, emit, signal }, known);
    this.#contents = new StageContents(this.#layers, this.#tree.kept, options);
  }

  /** Where RUN sees the files. */
  get disk(): Disk {
    return this.#options.disk;
  }

  get spool(): Spool {
    return this.#options.spool;
  }

  /** What the files are now. @throws ERR_LAYER, ERR_DIGEST_MISMATCH, ERR_REGISTRY when they can't be read from the layers */
  async tree(): Promise<ImageTree> {
    await (this.#ahead ??= this.#unpackAhead());
    return await this.#tree.read();
  }

  async #unpackAhead(): Promise<void> {
    const isDue = this.#outlook.willRun === true && this.#layers.length > 0;
    if (!isDue || this.#options.disk.countHeld(this.#layers) > 0) return;
    const started = performance.now();
    await this.onDisk();
    this.#aheadMs = performance.now() - started;
  }

  /** The stage has ended: from here on the disk is another one's, and nothing of this one is unpacked to be read. */
  end(): void {
    this.#ahead ??= Promise.resolve();
  }

  /** Milliseconds, told once, that unpacking took while an instruction asked for the files. */
  takeAheadMs(): number {
    const taken = this.#aheadMs;
    this.#aheadMs = 0;
    return taken;
  }

  /** The files, to be read from: as they are when they are asked for. With `isLast` nobody does that after the next RUN. */
  async view(isLast = false): Promise<FileView> {
    const view = this.#contents.view(await this.tree());
    return isLast ? { ...view, spare: (path) => this.disk.folderAside(this.#layers, path) } : view;
  }

  /** A draft of what an instruction makes of the files; `write` makes a layer of it. */
  async draft(): Promise<TreeDraft> {
    const tree = await this.tree();
    // What is left out of the layer is not to be in the tree either, which gets what the layer says.
    const isWhole = this.#options.leftOut === undefined;
    return new TreeDraft(isWhole ? tree : tree.clone(), this.#options.now(), (file) => this.#contents.source(file));
  }

  /** A draft of a layer that asks nothing of the files below it (`COPY --link`): they need not even be known. */
  detachedDraft(): TreeDraft {
    return new TreeDraft(new ImageTree(), this.#options.now());
  }

  /** Another stage's files that begin as these are now. */
  async continue(outlook: StageOutlook = {}): Promise<StageFiles> {
    const tree = (await this.#tree.asked)?.clone();
    return new StageFiles(this.#options, { ...outlook, layers: this.#layers, known: { kept: this.#tree.kept, ...given({ tree }) } });
  }

  /** True for a layer that is none, since all that it could hold is left out. */
  drops(layer: Pick<Layer, 'diffId'>): boolean {
    return this.#options.leftOut !== undefined && isEmptyLayer(layer);
  }

  /** Writes what was drafted as a layer, an empty one if nothing was; it may be dropped. @throws ERR_LAYER, ERR_ROOTFS, ERR_CONTEXT */
  async write(draft: TreeDraft): Promise<WrittenLayer> {
    const { signal, emit, onLayer, leftOut } = this.#options;
    emit({ kind: 'phase', phase: 'snapshotting' });
    const tree = await this.#tree.asked;
    const entries = draftBut(leftOut, draft, tree, emit);
    const number = this.#layers.length;
    const drafted = await readDraft(draft.tree, entries, signal);
    // What was drafted elsewhere is put upon the tree, if anybody has asked for it yet.
    const isElsewhere = tree !== undefined && tree !== draft.tree;
    const written = await this.#writeLayer(isElsewhere ? followLocal(drafted, tree, number, this.#tree.kept) : drafted);
    if (this.drops(written.layer)) return written;
    for (const [entry, each] of entries.entries()) if (each.kind === 'file') draft.tree.setContent(each.node, { layer: number, entry });
    this.#layers.push({ diffId: written.layer.diffId, layer: () => written.layer });
    if (this.#outlook.willRun === true && hasOwnTimes(this.#options.layer)) this.disk.moves.note(written.layer.diffId, entries, draft);
    if (this.#single === undefined) onLayer?.(written.layer);
    if (this.#options.alwaysOnDisk === true) await this.onDisk();
    return written;
  }

  /** Puts a layer on top that was made elsewhere. It is only read where somebody has asked for the files. @throws as tree() */
  async append(stageLayer: StageLayer): Promise<void> {
    if (this.drops(stageLayer)) return;
    const { signal, alwaysOnDisk } = this.#options;
    const tree = await this.#tree.asked;
    const number = this.#layers.length;
    if (tree !== undefined) {
      const layer = await stageLayer.layer();
      const warn = (): void => undefined; // whoever made it was told
      await namingLayer(number, number + 1, layer, () => readLayerInto(tree, number, layer, this.#tree.kept, { warn, signal }));
    }
    this.#layers.push(stageLayer);
    if (alwaysOnDisk === true) await this.onDisk();
  }

  /** Before a RUN: puts the files on disk where they are not, and remembers what it is like. @throws as onDisk, ERR_CONTEXT */
  async prepareRun(): Promise<void> {
    await this.#fillDisk(true);
    this.#options.disk.moves.clear();
    await this.#options.runChanges.prepare();
  }

  /** Puts the files on disk where they are not. @throws as tree(), ERR_ROOTFS */
  async onDisk(): Promise<void> {
    await this.#fillDisk(false);
    await this.#options.disk.ground?.end();
  }

  async #fillDisk(isForRun: boolean): Promise<void> {
    const { disk, runChanges } = this.#options;
    const { ground } = disk;
    // Where everything is going to be unpacked, the tree comes with it.
    const isWhole = this.#tree.recall() === undefined && disk.countHeld(this.#layers) === 0;
    const tree = isWhole ? new ImageTree() : await this.#tree.read();
    if (isWhole) this.#tree.kept.clear();
    if (ground?.begin(tree) === true) runChanges.forget();
    if (disk.isHolding(this.#layers)) {
      const hasGround = (await ground?.adjust(tree, isForRun)) === true;
      if (hasGround) await this.#unwritten.write(tree, this.#contents.view(tree), this.#options.signal);
      if (hasGround) return await this.#unpackAgain(isForRun);
      if (await disk.settle(tree)) runChanges.forget();
      return;
    }
    runChanges.forget();
    const outcome = await disk.hold(this.#layers, {
      follow: (entries, number) => (isWhole ? followLayer(entries, tree, number, this.#tree.kept) : entries),
      tree: () => tree,
      ...(isWhole ? {} : { known: { tree, files: this.#contents.view(tree) } }),
      isForRun,
    });
    // What was read of other bytes than the layer's says nothing.
    if (isWhole && outcome !== 'other bytes') this.#tree.learn(tree);
    if (outcome === 'holds') runChanges.forget(disk.takeScan());
    else await this.#unpackAgain(isForRun);
  }

  // What is the image's in a folder that it has got only now was passed over, or what was unpacked was not the image's.
  async #unpackAgain(isForRun: boolean): Promise<void> {
    this.#options.disk.clear();
    await this.#fillDisk(isForRun);
  }

  /**
   * After a RUN: writes what it changed as a layer, an empty one if nothing was; it may be dropped. `secrets` are looked for in the files
   * that go into it. Of a stage that is only read the files stay where they are, if they do.
   * @throws ERR_ROOTFS, ERR_LAYER
   */
  async takeRun(exceptions: RunExceptions, secrets: ReadonlyMap<string, Buffer>): Promise<TakenLayer> {
    const { disk, runChanges, leftOut, emit, onLayer } = this.#options;
    disk.noteRun();
    emit({ kind: 'phase', phase: 'snapshotting' });
    const tree = await this.tree();
    const scan = createSecretScan(secrets);
    const isUnwritten = this.#outlook.isOnlyRead === true && runChanges.hasTrueTimes() && disk.isPlain(tree);
    const changes = await runChanges.take(tree, this.#layers, { ...exceptions, leftOut }, !isUnwritten);
    const number = this.#layers.length;
    if (isUnwritten) this.#unwritten.begin(tree);
    const entries = followLocal(watchEntries(changes, scan), tree, number, this.#tree.kept);
    const written = isUnwritten ? this.#unwritten.pass(entries, scan !== undefined) : await this.#writeLayer(entries);
    const { layer } = written;
    const isDropped = leftOut !== undefined && written.entries === 0;
    const stageLayer = layer === undefined ? unwrittenLayer() : { diffId: layer.diffId, layer: () => layer };
    if (!isDropped) this.#layers.push(stageLayer);
    if (!isDropped) disk.append(stageLayer.diffId);
    if (this.#unwritten.hasAny && !disk.isPlain(tree)) await this.#unwritten.write(tree, this.#contents.view(tree), this.#options.signal);
    if (await disk.settle(tree)) runChanges.forget();
    await disk.ground?.end();
    if (this.#single === undefined && !isDropped && layer !== undefined) onLayer?.(layer);
    return { entries: written.entries, ...given({ layer }), leakedSecrets: scan?.found() ?? [] };
  }

  /** From here on no layer leaves: `takeSingleLayer` makes one of them all, `withBase` of those before, too. */
  async beginSingleLayer(withBase = false): Promise<void> {
    this.#single = { tree: withBase ? new ImageTree() : (await this.tree()).clone() };
  }

  /** Writes all that has changed since `beginSingleLayer` as one layer; nothing may be done with the files afterwards. */
  async takeSingleLayer(secrets: ReadonlyMap<string, Buffer>): Promise<TakenLayer & WrittenLayer> {
    const { signal, onLayer } = this.#options;
    const tree = await this.tree();
    const files = await this.view();
    const before = this.#single?.tree ?? new ImageTree();
    this.#single = undefined;
    const scan = createSecretScan(secrets);
    const entries = await readDraft(tree, draftDifference(before, tree, files), signal);
    const written = await this.#writeLayer(watchEntries(entries, scan));
    if (!this.drops(written.layer)) onLayer?.(written.layer);
    return { ...written, leakedSecrets: scan?.found() ?? [] };
  }

  /** All files that there are, whole, in walk order, as one layer upon nothing would have them. @throws as tree() */
  async entries(): Promise<Iterable<LocalEntry>> {
    const tree = await this.tree();
    return await readDraft(tree, draftDifference(new ImageTree(), tree, await this.view()), this.#options.signal);
  }

  async #writeLayer(entries: Iterable<LocalEntry>): Promise<WrittenLayer> {
    const { layer, signal } = this.#options;
    const { onGrowing: _leavesNever, ...unseen } = layer;
    return await writeLayer(entries, this.#single === undefined ? layer : { ...unseen, compression: 'none' }, signal);
  }
}

/** True where a layer says what times files really have. */
function hasOwnTimes({ latestTime, earliestTime }: LayerOptions): boolean {
  return latestTime === undefined && earliestTime === undefined;
}
