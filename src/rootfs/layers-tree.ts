// What a stage's layers come to: the tree, and small files that are kept of them. It is read when somebody first asks for it; that of its
// base is taken from an earlier stage that began with the same one.
import type { Emit } from '../events.ts';
import { ImageTree } from '../tree/image-tree.ts';
import type { BaseTree, BaseTrees } from './base-trees.ts';
import { type KeptContents, namingLayer, readLayerInto } from './follow-layer.ts';
import { type StageLayer, readArriving } from './stage-layer.ts';

export interface LayersTreeOptions {
  readonly baseTrees: BaseTrees;
  /** A later stage begins with the same layers. */
  readonly sharesBase: boolean;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export class LayersTree {
  readonly kept: KeptContents;
  readonly #layers: readonly StageLayer[];
  /** So many the stage began with; what a cache gave may have come upon them before anybody asks. */
  readonly #baseCount: number;
  readonly #options: LayersTreeOptions;
  #tree: Promise<ImageTree> | undefined;

  /** `layers` may grow; `known` is what an earlier stage knew. */
  constructor(layers: readonly StageLayer[], options: LayersTreeOptions, known: Partial<BaseTree>) {
    this.#layers = layers;
    this.#baseCount = layers.length;
    this.#options = options;
    this.kept = new Map(known.kept);
    this.#tree = known.tree === undefined ? undefined : Promise.resolve(known.tree);
  }

  /** Undefined where nobody has asked for it yet. */
  get asked(): Promise<ImageTree> | undefined {
    return this.#tree;
  }

  /** As `asked`; or an earlier stage's that began with the same layers. */
  recall(): Promise<ImageTree> | undefined {
    if (this.#tree !== undefined) return this.#tree;
    const known = this.#take(this.#layers);
    return known === undefined ? undefined : (this.#tree = Promise.resolve(known));
  }

  /** Read from the layers as far as it is not known. @throws ERR_LAYER, ERR_DIGEST_MISMATCH, ERR_REGISTRY */
  async read(): Promise<ImageTree> {
    return await (this.recall() ?? (this.#tree = this.#readLayers(this.#take(this.#base()))));
  }

  #base(): readonly StageLayer[] {
    return this.#layers.slice(0, this.#baseCount);
  }

  #take(layers: readonly StageLayer[]): ImageTree | undefined {
    const known = this.#options.baseTrees.take(layers, !this.#options.sharesBase);
    if (known === undefined) return undefined;
    for (const [key, content] of known.kept) this.kept.set(key, content);
    return known.tree;
  }

  /** Takes what somebody else read of all layers, with what was kept of it. */
  learn(tree: ImageTree): void {
    this.#tree = Promise.resolve(tree);
    this.#share(this.#layers, tree);
  }

  #share(layers: readonly StageLayer[], tree: ImageTree): void {
    if (this.#options.sharesBase) this.#options.baseTrees.keep(layers, { tree, kept: this.kept });
  }

  async #readLayers(base?: ImageTree): Promise<ImageTree> {
    const { emit, signal } = this.#options;
    const tree = base ?? new ImageTree();
    const oddities = new Set<string>();
    if (base === undefined) this.kept.clear();
    for (const [number, stageLayer] of this.#layers.entries()) {
      if (base !== undefined && number < this.#baseCount) continue;
      emit({ kind: 'phase', phase: 'pulling', detail: `layer ${number + 1} of ${this.#layers.length}` });
      const isRead = await readArriving(stageLayer, async (layer) => {
        const warn = (oddity: string): void => void oddities.add(oddity);
        await namingLayer(number, this.#layers.length, layer, () => readLayerInto(tree, number, layer, this.kept, { warn, signal }));
        return true;
      });
      if (isRead === undefined) return await this.#readLayers();
      if (number + 1 === this.#baseCount) this.#share(this.#base(), tree);
    }
    for (const oddity of oddities) emit({ kind: 'warning', code: 'unpack.archive', message: oddity });
    return tree;
  }
}
