// Contents of files that are in layers and nowhere else: each layer is read once, from its beginning, for all that is wanted of it.
import { BuilderError } from '../errors.ts';
import { textFromBytes } from '../bytes.ts';
import { needRoom } from '../files/entry-failure.ts';
import type { OpenContent } from '../files/file-view.ts';
import type { Spool, Spooled } from '../files/spool.ts';
import { openEntries } from '../layer/open-entries.ts';
import type { StageLayer } from './stage-layer.ts';
import { keyOf } from './follow-layer.ts';
import type { TreeFile } from './tree-view.ts';

export class LayerContents {
  readonly #layers: readonly StageLayer[];
  readonly #spool: Spool;
  readonly #spooled = new Map<string, Spooled>();

  constructor(layers: readonly StageLayer[], spool: Spool) {
    this.#layers = layers;
    this.#spool = spool;
  }

  /** Gets these files ready to be opened. @throws ERR_LAYER, ERR_DIGEST_MISMATCH, ERR_ROOTFS */
  async gather(files: readonly TreeFile[], signal: AbortSignal): Promise<void> {
    const wanted = new Map<number, Set<number>>();
    for (const file of files) {
      if (this.#spooled.has(keyOf(file))) continue;
      const entries = wanted.get(file.layer);
      if (entries === undefined) wanted.set(file.layer, new Set([file.entry]));
      else entries.add(file.entry);
    }
    for (const [layer, entries] of wanted) await this.#read(layer, entries, signal);
  }

  open(file: TreeFile): OpenContent {
    const spooled = this.#spooled.get(keyOf(file));
    if (spooled !== undefined) return this.#spool.open(spooled);
    throw new BuilderError('ERR_INTERNAL', `Cannot read ${textFromBytes(file.path)}: its content was not gathered`);
  }

  async #read(layer: number, wanted: ReadonlySet<number>, signal: AbortSignal): Promise<void> {
    const stageLayer = this.#layers[layer];
    if (stageLayer === undefined) throw new BuilderError('ERR_INTERNAL', `Cannot read layer ${layer}: the stage has no such layer`);
    let position = 0;
    for await (const entry of openEntries(await stageLayer.layer(), signal)) {
      if (wanted.has(position)) {
        needRoom(entry, this.#spool.folder);
        this.#spooled.set(keyOf({ layer, entry: position }), await this.#spool.add(entry.content ?? [], signal));
      }
      position++;
      if (position % 1024 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
