// Changes that may be none: `chown -R` to the owner a file has, `mv` there and back, and what some file systems do to times by
// themselves. What the image has decides. Few builds touch a file so, and none knows beforehand: so nothing is noted of contents while
// they pass by, but the layers are read again, each once, for the files that were touched.
import { closeSync, openSync, readSync, readlinkSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { giveBack, lendBuffer, pieceBytes } from '../files/lent-buffers.ts';
import { reach } from '../files/long-path.ts';
import { portableXattrs, readXattrs } from '../files/metadata.ts';
import { readFailure, readFlags } from '../files/read-file.ts';
import { absolutePath } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import type { Entry } from '../layer/entry.ts';
import { openEntries } from '../layer/open-entries.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import type { TreeNode } from '../tree/node.ts';
import type { PodMap } from '../tree/pod-map.ts';
import { Rows } from '../tree/rows.ts';
import type { ChangeList } from './change-list.ts';
import { type Change, typeOfMode } from './scanned-tree.ts';
import type { StageLayer } from './stage-layer.ts';

/** What the root held before it was changed. */
export interface ImageBefore {
  readonly tree: ImageTree;
  /** Those that the tree's contents are in. */
  readonly layers: readonly Pick<StageLayer, 'layer' | 'isUnwritten'>[];
  readonly map: PodMap;
}

export interface Settling {
  /** Asked for where something was touched. */
  readonly image: () => ImageBefore | Promise<ImageBefore>;
  /** The filesystem gives files other times and link counts by itself. */
  readonly timesDrift: boolean;
}

/**
 * The changes without those that only touched a file, reading no others. No process may be changing the root meanwhile.
 * @throws ERR_ROOTFS for a file that can't be read, and what reading a layer throws
 */
export async function settleTouched(root: Root, changes: ChangeList, settling: Settling, signal: AbortSignal): Promise<ChangeList> {
  let touched: Touched | undefined;
  let index = -1;
  for (const change of changes) {
    index++;
    if (!mayBeNone(change, settling)) continue;
    touched ??= new Touched(root, changes, await settling.image());
    touched.look(change, index);
  }
  return touched === undefined ? changes : await touched.without(signal);
}

type Present = Exclude<Change, { readonly kind: 'deleted' }>;

function mayBeNone(change: Change, { timesDrift }: Settling): change is Present {
  if (change.kind !== 'modified') return false;
  return change.touched === 'ctime' || (timesDrift && change.touched === 'drift');
}

const Field = { layer: 0, entry: 1, index: 2 } as const;

class Touched {
  readonly #root: Root;
  readonly #changes: ChangeList;
  readonly #image: ImageBefore;
  /** 1 for each change that is none. */
  readonly #isNone: Uint8Array;
  /** The files whose bytes decide, as rows, since they may be a million. */
  readonly #files = new Rows(3, [Field.entry, Field.index]);

  constructor(root: Root, changes: ChangeList, image: ImageBefore) {
    this.#root = root;
    this.#changes = changes;
    this.#image = image;
    this.#isNone = new Uint8Array(changes.length);
  }

  look(change: Present, index: number): void {
    const { tree, map } = this.#image;
    const number = tree.at(map.toImage(change.path));
    if (number === undefined) return;
    const node = tree.node(number);
    if (!this.#isSameButBytes(change, node)) return;
    const hasBytes = node.type === 'file' && node.size > 0;
    const place = hasBytes ? tree.content(number) : undefined;
    const isWritten = place !== undefined && this.#image.layers[place.layer]?.isUnwritten !== true;
    if (isWritten) this.#files.add([place.layer, place.entry, index]);
    else if (!hasBytes) this.#isNone[index] = 1;
  }

  /** The changes that are some. */
  async without(signal: AbortSignal): Promise<ChangeList> {
    const files = this.#files;
    const rows = new Uint32Array(files.count).map((_, row) => row);
    rows.sort((a, b) => files.get(a, Field.layer) - files.get(b, Field.layer) || files.get(a, Field.entry) - files.get(b, Field.entry));
    for (let start = 0, end = 0; start < rows.length; start = end) {
      const layer = files.get(rows[start] ?? 0, Field.layer);
      while (end < rows.length && files.get(rows[end] ?? 0, Field.layer) === layer) end++;
      await this.#readLayer(layer, rows.subarray(start, end), signal);
    }
    return this.#isNone.includes(1) ? this.#changes.filter((_, index) => this.#isNone[index] === 0) : this.#changes;
  }

  /** True where a path is what the image has there, as far as can be told without a layer. */
  #isSameButBytes({ path, entry }: Present, { type, size, xattrs, linkTarget }: TreeNode): boolean {
    if (typeOfMode(entry.mode) !== type || (type === 'file' && entry.size !== size)) return false;
    const place = absolutePath(this.#root, path);
    try {
      if (!areSame(reach(place, readXattrs), xattrs)) return false;
      return type !== 'symlink' || reach(place, (short) => readlinkSync(fsPath(short), 'latin1')) === linkTarget;
    } catch (error) {
      throw readFailure(error, path);
    }
  }

  /** Compares the files of some rows, in the order of their entries, with a layer's. */
  async #readLayer(layer: number, rows: Uint32Array, signal: AbortSignal): Promise<void> {
    const stageLayer = this.#image.layers[layer];
    if (stageLayer === undefined) throw new Error(`the tree speaks of a layer ${layer}, which is not there`);
    const files = this.#files;
    let [position, next] = [0, 0];
    for await (const { content = [] } of openEntries(await stageLayer.layer(), signal)) {
      const names: number[] = [];
      for (; next < rows.length && files.get(rows[next] ?? 0, Field.entry) === position; next++)
        names.push(files.get(rows[next] ?? 0, Field.index));
      if (names.length > 0) await this.#compare(names, content);
      if (next === rows.length) return;
      position++;
      if (position % 1024 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Compares all names of one file at once. */
  async #compare(indexes: readonly number[], content: NonNullable<Entry['content']>): Promise<void> {
    const [first, ...others] = indexes.map((index) => ({ index, change: this.#changes.at(index) }));
    if (first === undefined || first.change.kind === 'deleted' || !(await this.#holds(first.change.path, content))) return;
    const { inode, device } = first.change.entry;
    this.#isNone[first.index] = 1;
    for (const { index, change } of others)
      if (change.kind !== 'deleted' && change.entry.inode === inode && change.entry.device === device) this.#isNone[index] = 1;
  }

  async #holds(path: ByteString, content: NonNullable<Entry['content']>): Promise<boolean> {
    const piece = lendBuffer();
    let fd: number | undefined;
    try {
      fd = reach(absolutePath(this.#root, path), (short) => openSync(fsPath(short), readFlags));
      let position = 0;
      for await (const chunk of content) {
        for (let at = 0; at < chunk.length;) {
          const count = readSync(fd, piece, 0, Math.min(pieceBytes, chunk.length - at), position);
          if (count === 0 || piece.compare(chunk, at, at + count, 0, count) !== 0) return false;
          at += count;
          position += count;
        }
      }
      return true;
    } catch (error) {
      throw readFailure(error, path);
    } finally {
      giveBack(piece);
      if (fd !== undefined) closeSync(fd);
    }
  }
}

function areSame(found: ReadonlyMap<string, Buffer>, wanted: ReadonlyMap<string, Buffer>): boolean {
  const portable = portableXattrs(wanted);
  return portable.length === found.size && portable.every(([name, value]) => found.get(name)?.equals(value) === true);
}
