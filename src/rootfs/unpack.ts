// Layers onto the root, in order. image-spec layer.md#applying-changesets. RED: entries come from strangers; see
// `files/entry-writer.ts`, which puts them on disk. Here is only what is about layers: whiteouts and the pod's map.
import type { ByteString } from '../bytes.ts';
import { EntryWriter, type WriteRules } from '../files/entry-writer.ts';
import { isDirectoryMode, resolvePath } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import type { Entry } from '../layer/entry.ts';
import { whiteoutOf } from '../layer/whiteout.ts';
import { readPossibleOwner } from '../linux/owners.ts';
import { childPath, clampPath, splitPath } from '../paths.ts';
import { type PodMap, plainPodMap } from '../tree/pod-map.ts';
import { type UnpackReport, withPossibleOwner } from './unpack-report.ts';

/**
 * Unpacks one layer's entries over what is there and gives their number. The order within a layer doesn't matter: its own
 * entries survive its whiteouts. What can't be made here goes into the report.
 * @throws ERR_LAYER for entries that make no sense, ERR_ROOTFS when the filesystem refuses
 */
export async function unpackLayer(
  root: Root,
  entries: AsyncIterable<Entry> | Iterable<Entry>,
  report: UnpackReport,
  signal: AbortSignal,
  map: PodMap = plainPodMap,
): Promise<number> {
  const unpacking = new Unpacking(root, report, map);
  return await unpacking.writer.writeAll(entries, signal, (entry) => unpacking.apply(entry));
}

class Unpacking {
  readonly writer: EntryWriter;
  readonly #root: Root;
  readonly #report: UnpackReport;
  /** What this layer has made, and the directories above it: its whiteouts spare them. */
  readonly #fresh = new Set<ByteString>();
  /** Where the disk has a link to a held folder, and those folders: what a layer says of the former is meant for the latter. */
  readonly #heldOfFree = new Map<ByteString, ByteString>();
  readonly #turned: ReadonlySet<ByteString>;

  constructor(root: Root, report: UnpackReport, map: PodMap) {
    this.#root = root;
    this.#report = report;
    for (const { held, free } of map.turned) if (free !== undefined) this.#heldOfFree.set(free, held);
    this.#turned = new Set(map.turned.map(({ held }) => held));
    this.writer = new EntryWriter(root, this.#rules());
  }

  async apply(entry: Entry): Promise<void> {
    const path = clampPath(entry.path);
    const whiteout = whiteoutOf(path);
    if (whiteout?.kind === 'removes') return this.#hide(whiteout.path);
    if (whiteout?.kind === 'opaque') return this.#hideChildren(whiteout.directory);
    if (whiteout !== undefined) return;
    const real = await this.writer.write(entry);
    if (real !== undefined && real !== '.') this.#remember(real);
  }

  #rules(): WriteRules {
    const report = this.#report;
    const possibleOwner = readPossibleOwner();
    return {
      kind: 'layer',
      keepsOwners: true,
      refuseXattr: (path, name) => {
        if (!report.xattrs.has(name)) report.xattrs.set(name, path);
      },
      // The image's link in place of a held folder: the map has it.
      turn: (place, type) => (this.#turned.has(place) && type !== 'directory' ? undefined : (this.#heldOfFree.get(place) ?? place)),
      adapt: (real, entry) => withPossibleOwner(report, real, entry, possibleOwner(entry)),
      skipped: (real) => report.protectedPaths.add(real),
      refuseDevice: (real) => report.nodes.add(real),
    };
  }

  #hide(path: ByteString): void {
    const { parent, name } = splitPath(path);
    const found = resolvePath(this.#root, parent, 'follow');
    if (!isDirectoryMode(found.mode)) return;
    const place = childPath(found.path, name);
    if (this.#turned.has(place)) return;
    const real = this.#heldOfFree.get(place) ?? place;
    if (found.isProtected || this.#root.protection.covers(real)) this.#report.protectedPaths.add(real);
    else this.writer.remove(real, (candidate) => this.#fresh.has(candidate));
  }

  #hideChildren(directory: ByteString): void {
    const found = resolvePath(this.#root, directory, 'follow');
    if (!isDirectoryMode(found.mode)) return;
    if (found.isProtected) this.#report.protectedPaths.add(found.path);
    else this.writer.empty(found.path, (candidate) => this.#fresh.has(candidate));
  }

  #remember(real: ByteString): void {
    this.#fresh.add(real);
    for (let slash = real.lastIndexOf('/'); slash > 0; slash = real.lastIndexOf('/', slash - 1)) {
      const above = real.slice(0, slash) as ByteString; // a part of bytes
      if (this.#fresh.has(above)) return;
      this.#fresh.add(above);
    }
  }
}
