// A stage that other stages read, and nothing else: nobody asks for the layers of its RUNs, so none is written, and its files are read
// from where they are. What has to leave the disk before that becomes a layer after all.
import { randomBytes } from 'node:crypto';
import { BuilderError } from '../errors.ts';
import type { FileView } from '../files/file-view.ts';
import type { LocalEntry } from '../layer/entry.ts';
import type { Layer } from '../oci/image.ts';
import { digestOf } from '../oci/digest.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import { draftDifference } from './draft-difference.ts';
import type { StageLayer } from './stage-layer.ts';
import { readDraft } from './tree-draft.ts';

export class UnwrittenLayers {
  readonly #layers: StageLayer[];
  readonly #write: (entries: Iterable<LocalEntry>) => Promise<Layer>;
  /** Before the first of them. */
  #since: { readonly tree: ImageTree; readonly layers: number } | undefined;

  /** `layers` are the stage's, which may grow; `write` writes one. */
  constructor(layers: StageLayer[], write: (entries: Iterable<LocalEntry>) => Promise<Layer>) {
    this.#layers = layers;
    this.#write = write;
  }

  get hasAny(): boolean {
    return this.#since !== undefined;
  }

  /** Lets the entries of one pass by for the sake of whoever follows them, with their contents where those are looked at. */
  pass(entries: Iterable<LocalEntry>, isLookedAt: boolean): { readonly entries: number; readonly layer?: undefined } {
    let count = 0;
    for (const { content = [] } of entries) {
      if (isLookedAt) for (const _ of content);
      count++;
    }
    return { entries: count };
  }

  /** Before something is passed by. */
  begin(tree: ImageTree): void {
    this.#since ??= { tree: tree.clone(), layers: this.#layers.length };
  }

  /** Makes one layer of all that has changed since the first of them. @throws ERR_ROOTFS, ERR_LAYER */
  async write(tree: ImageTree, files: FileView, signal: AbortSignal): Promise<void> {
    if (this.#since === undefined) return;
    const { tree: before, layers: since } = this.#since;
    this.#since = undefined;
    const entries = draftDifference(before, tree, files);
    const layer = await this.#write(await readDraft(tree, entries, signal));
    const empty = await this.#write([]);
    // Numbers of layers stay what they are: contents are known by them.
    for (let number = since; number < this.#layers.length; number++) this.#layers[number] = { diffId: empty.diffId, layer: () => empty };
    for (const [entry, each] of entries.entries())
      if (each.kind === 'file') tree.setContent(each.node, { layer: this.#layers.length, entry });
    this.#layers.push({ diffId: layer.diffId, layer: () => layer });
  }
}

/** A layer that no other is the same as. */
export function unwrittenLayer(): StageLayer {
  const layer = (): never => {
    throw new BuilderError('ERR_TAMPERED', 'Cannot read files of another stage: a RUN changed them where the builder keeps them');
  };
  return { diffId: digestOf(randomBytes(32)), layer, isUnwritten: true };
}
