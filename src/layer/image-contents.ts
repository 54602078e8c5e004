// What the layers of an image hold, and what of it nobody can see any more: dive's arithmetic, from the entries in one pass.
import type { ByteString } from '../bytes.ts';
import type { HiddenFiles, ImageContents, LayerContents } from '../events.ts';
import type { Image, Layer } from '../oci/image.ts';
import { clampPath } from '../paths.ts';
import { FolderSizes } from './folder-sizes.ts';
import type { LayerListings, ListedEntry } from './layer-listings.ts';
import { openEntries } from './open-entries.ts';
import { PathSizes } from './path-sizes.ts';
import { whiteoutOf } from './whiteout.ts';

/** Of all layers together. */
const mostListed = 2000;
const mostOfLayer = 200;
const mostHidden = 6;

interface Gone {
  readonly path: ByteString;
  readonly slot: number;
  readonly isOpaque: boolean;
}

/** Follows an image's layers, entry by entry, from its lowest. */
export class ImageTally {
  readonly #paths = new PathSizes();
  #layer = -1;
  #sizes = new FolderSizes();
  #hidden = new Map<string, { readonly layer: number; readonly how: HiddenFiles['how']; readonly sizes: FolderSizes }>();
  #gone: Gone[] = [];
  /** All that was ever at a path, with what was removed counted once more; and the smallest of each path. */
  storedBytes = 0;
  idealBytes = 0;

  beginLayer(number: number): void {
    this.#layer = number;
    this.#sizes = new FolderSizes();
    this.#hidden = new Map();
    this.#gone = [];
  }

  /** @throws ERR_LAYER for a whiteout that names nothing */
  add(entry: ListedEntry): void {
    const path = clampPath(entry.path);
    const whiteout = whiteoutOf(path);
    if (whiteout?.kind === 'below') return;
    if (whiteout !== undefined) {
      const isOpaque = whiteout.kind === 'opaque';
      const named = whiteout.kind === 'opaque' ? whiteout.directory : whiteout.path;
      this.#gone.push({ path: named, slot: this.#paths.at(named), isOpaque });
      return;
    }
    if (entry.type === 'directory') return;
    const bytes = entry.type === 'file' ? entry.size : 0;
    const { before, idealChange } = this.#paths.put(this.#paths.at(path), this.#layer, bytes);
    this.#sizes.add(path, bytes);
    this.storedBytes += bytes;
    this.idealBytes += idealChange;
    if (before === undefined || before.layer === this.#layer || before.bytes === 0) return;
    this.#hide(path, before, before.bytes === bytes ? 'again' : 'replaced');
  }

  endLayer(layers: number): LayerContents {
    if (this.#gone.length > 0)
      this.#paths.remove(this.#gone, this.#layer, ({ path }, held) => {
        this.storedBytes += held.bytes;
        if (held.bytes > 0) this.#hide(path, held, 'removed');
      });
    const most = Math.max(20, Math.min(mostOfLayer, Math.floor(mostListed / layers)));
    const hidden = [...this.#hidden.values()].map(({ layer, how, sizes }): HiddenFiles => {
      return { layer, how, bytes: sizes.bytes, files: sizes.files, places: sizes.list(mostHidden) };
    });
    return { files: this.#sizes.files, bytes: this.#sizes.bytes, folders: this.#sizes.list(most), hidden };
  }

  #hide(path: ByteString, { layer, bytes }: { readonly layer: number; readonly bytes: number }, how: HiddenFiles['how']): void {
    const key = `${layer} ${how}`;
    let group = this.#hidden.get(key);
    if (group === undefined) this.#hidden.set(key, (group = { layer, how, sizes: new FolderSizes() }));
    group.sizes.add(path, bytes);
  }
}

interface ContentsOptions {
  readonly baseLayers: number;
  readonly isHere?: (layer: Layer) => boolean;
  readonly listings?: LayerListings;
}

/**
 * What an image's layers hold: as `listings` have it, else as they say themselves where they are `isHere`. `baseLayers` of them are not
 * this image's own.
 * @throws as openEntries
 */
export async function readContents(
  image: Image,
  { baseLayers, isHere = () => true, listings }: ContentsOptions,
  signal: AbortSignal,
): Promise<ImageContents> {
  const tally = new ImageTally();
  const makers = image.config.history.filter(({ emptyLayer }) => emptyLayer !== true);
  const layers: ImageContents['layers'][number][] = [];
  for (const [number, layer] of image.layers.entries()) {
    const { digest, size } = layer.descriptor;
    const known = { digest, sizeBytes: size, createdBy: makers[number]?.createdBy ?? '' };
    const listing = listings?.get(layer.diffId);
    if (listing === undefined && !isHere(layer)) {
      layers.push(known);
      continue;
    }
    tally.beginLayer(number);
    let count = 0;
    for await (const entry of listing?.entries() ?? openEntries(layer, signal)) {
      tally.add(entry);
      if (++count % 1024 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    layers.push({ ...known, contents: tally.endLayer(image.layers.length) });
  }
  const { storedBytes, idealBytes } = tally;
  return { baseLayers: Math.min(baseLayers, layers.length), storedBytes, idealBytes, layers };
}
