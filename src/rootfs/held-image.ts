// An image on disk, in the root or aside, whole or what is left of it.
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../bytes.ts';
import type { Emit } from '../events.ts';
import { makeFolder } from '../folders.ts';
import type { Protection } from '../files/root.ts';
import type { Digest } from '../oci/digest.ts';
import { foldersAbove, pathIn } from '../paths.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import type { PodMap } from '../tree/pod-map.ts';
import { AsideSeal } from './aside-seal.ts';
import type { StageLayer } from './stage-layer.ts';

export interface HeldImage {
  /** The diff_ids of the layers that were unpacked or captured, in order. */
  readonly chain: Digest[];
  map: PodMap;
  /** What it says, and maybe what later layers of its stage say; undefined until all its layers are there. */
  tree?: ImageTree;
}

interface Aside {
  readonly folder: ByteString;
  readonly held: HeldImage;
  /** The first layer of which it has the files; 0 where it is whole. */
  readonly since: number;
  /** Directories, by their places, that are in it with all below them; all are where it is whole. */
  readonly folders: ReadonlySet<ByteString>;
  readonly seal: AsideSeal;
}

/** True where these layers begin with all that an image has. */
export function isPrefix(chain: readonly Digest[], layers: readonly StageLayer[]): boolean {
  return chain.length <= layers.length && chain.every((diffId, index) => layers[index]?.diffId === diffId);
}

/** Images that were moved out of the root, each in a folder of its own. */
export class Asides {
  readonly #folder: ByteString;
  readonly #asides: Aside[] = [];
  #count = 0;

  constructor(folder: ByteString) {
    this.#folder = folder;
  }

  /** A new folder for the next one. */
  newFolder(): ByteString {
    const folder = joinBytes(this.#folder, bytesFromText(`stage-${this.#count++}`));
    makeFolder(fsPath(folder), 0o755);
    return folder;
  }

  /** @throws the signal's reason */
  async add(aside: Omit<Aside, 'seal'>, signal: AbortSignal): Promise<void> {
    this.#asides.push({ ...aside, seal: await AsideSeal.of(aside.folder, signal) });
  }

  /** A RUN has been here, and may have changed anything. */
  forget(): void {
    for (const { seal } of this.#asides) seal.forget();
  }

  /** How many of these layers a whole image here has. */
  countHeld(layers: readonly StageLayer[]): number {
    return this.#best(layers)?.held.chain.length ?? 0;
  }

  /** The whole image that has the most of these layers, which is no longer here then; undefined where a RUN has changed it. */
  async takeBest(layers: readonly StageLayer[], emit: Emit, signal: AbortSignal): Promise<Aside | undefined> {
    const best = this.#best(layers);
    if (best === undefined) return undefined;
    this.#asides.splice(this.#asides.indexOf(best), 1);
    if (await best.seal.isWhole(signal)) return best;
    const message = `a RUN changed files of another stage in ${textFromBytes(best.folder)}: that stage is unpacked again`;
    emit({ kind: 'warning', code: `aside-changed ${best.folder}`, message });
    return undefined;
  }

  /** Where a file is that layer `layer` of a stage brought, as `Disk.placeOf`; undefined where a RUN has changed it. */
  placeOf(layers: readonly StageLayer[], layer: number, path: ByteString, protection: Protection): ByteString | undefined {
    const isThere = ({ held, since }: Aside): boolean => layer >= since && layer < held.chain.length && isPrefix(held.chain, layers);
    const aside = this.#asides.find(isThere);
    if (aside === undefined) return undefined;
    const place = aside.held.map.toDisk(path);
    return protection.covers(place) || !aside.seal.isIntact(place) ? undefined : pathIn(aside.folder, place);
  }

  /** Where a directory of a stage is, which has these layers, with all that is in it: its files must have been asked for since the last RUN. */
  folderOf(layers: readonly StageLayer[], path: ByteString): ByteString | undefined {
    const aside = this.#asides.find(({ held }) => held.chain.length === layers.length && isPrefix(held.chain, layers));
    if (aside === undefined || aside.seal.isBroken) return undefined;
    const place = aside.held.map.toDisk(path);
    const isWhole = aside.since === 0 || [place, ...foldersAbove(place)].some((each) => aside.folders.has(each));
    return isWhole ? pathIn(aside.folder, place) : undefined;
  }

  #best(layers: readonly StageLayer[]): Aside | undefined {
    return this.#asides
      .filter(({ held, since }) => since === 0 && isPrefix(held.chain, layers))
      .toSorted((a, b) => b.held.chain.length - a.held.chain.length)[0];
  }
}
