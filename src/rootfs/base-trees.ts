// Trees of bases that several stages begin with: each base is read once.
import type { ImageTree } from '../tree/image-tree.ts';
import type { KeptContents } from './follow-layer.ts';
import type { StageLayer } from './stage-layer.ts';

/** What reading all layers of a base came to. */
export interface BaseTree {
  readonly tree: ImageTree;
  readonly kept: KeptContents;
}

/** What stages leave for later ones. */
export class BaseTrees {
  readonly #known = new Map<string, BaseTree>();

  /** Keeps a copy of what these layers came to. */
  keep(layers: readonly StageLayer[], { tree, kept }: BaseTree): void {
    this.#known.set(keyOf(layers), { tree: tree.clone(), kept: new Map(kept) });
  }

  /** What these layers came to, for the caller to change; undefined where nobody has kept it. The last one who wants it takes it along. */
  take(layers: readonly StageLayer[], isLast: boolean): BaseTree | undefined {
    const key = keyOf(layers);
    const known = this.#known.get(key);
    if (known === undefined) return undefined;
    if (!isLast) return { tree: known.tree.clone(), kept: known.kept };
    this.#known.delete(key);
    return known;
  }
}

function keyOf(layers: readonly StageLayer[]): string {
  return layers.map(({ diffId }) => diffId).join(' ');
}
