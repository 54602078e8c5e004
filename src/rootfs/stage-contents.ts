// What the files of a stage hold, from wherever it is at hand: kept in memory, on the disk, or else in the layers.
import type { ByteString } from '../bytes.ts';
import { statOf } from '../files/disk-view.ts';
import type { FileView, OpenContent } from '../files/file-view.ts';
import { openFile } from '../files/read-file.ts';
import type { Spool } from '../files/spool.ts';
import { statFieldCount, statInto } from '../linux/files.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import type { Disk } from './disk.ts';
import { type KeptContents, keyOf } from './follow-layer.ts';
import { LayerContents } from './layer-contents.ts';
import type { StageLayer } from './stage-layer.ts';
import type { ContentSource } from './tree-draft.ts';
import { type TreeContents, type TreeFile, treeView } from './tree-view.ts';

export class StageContents implements TreeContents {
  readonly #layers: readonly StageLayer[];
  readonly #kept: KeptContents;
  readonly #disk: Disk;
  readonly #inLayers: LayerContents;

  /** `layers` and `kept` may grow. */
  constructor(layers: readonly StageLayer[], kept: KeptContents, { disk, spool }: { readonly disk: Disk; readonly spool: Spool }) {
    this.#layers = layers;
    this.#kept = kept;
    this.#disk = disk;
    this.#inLayers = new LayerContents(layers, spool);
  }

  /** All files of a tree of these layers. */
  view(tree: ImageTree): FileView {
    return treeView(tree, this);
  }

  /** A file, to be put into a draft. */
  source(file: TreeFile): ContentSource {
    const files = { gather: (_: readonly ByteString[], signal: AbortSignal) => this.gather([file], signal) };
    return { files, path: file.path, open: () => this.open(file) };
  }

  /** Gets files ready to be opened. @throws ERR_LAYER, ERR_DIGEST_MISMATCH, ERR_ROOTFS */
  async gather(files: readonly TreeFile[], signal: AbortSignal): Promise<void> {
    await this.#inLayers.gather(
      files.filter((file) => this.#onDisk(file) === undefined && !this.#kept.has(keyOf(file))),
      signal,
    );
  }

  open(file: TreeFile): OpenContent {
    const kept = this.#kept.get(keyOf(file));
    if (kept !== undefined) return { size: kept.length, chunks: [kept], close: () => undefined };
    const place = this.#onDisk(file);
    if (place === undefined) return this.#inLayers.open(file);
    const { chunks, close } = openFile(place, file.path);
    return { size: file.size, chunks, close };
  }

  // Something else may stand there: what a pod mounted, what could not be made here, or a file whose name a later layer gave to another.
  #onDisk(file: TreeFile): ByteString | undefined {
    const place = this.#disk.placeOf(this.#layers, file.layer, file.path);
    const numbers = new Float64Array(statFieldCount);
    if (place === undefined || !statInto(place, numbers)) return undefined;
    const { type, size, mtime } = statOf(numbers);
    const isSameTime = mtime.seconds === file.mtime.seconds && mtime.nanoseconds === file.mtime.nanoseconds;
    return type === 'file' && size === file.size && isSameTime ? place : undefined;
  }
}
