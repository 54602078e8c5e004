// What one image has that another has not, path by path, from their layers alone: nothing is unpacked.
import { createHash } from 'node:crypto';
import type { ByteString } from '../bytes.ts';
import { openEntries } from '../layer/open-entries.ts';
import type { Layer } from '../oci/image.ts';
import { comparePaths, splitPath, rootPath } from '../paths.ts';
import { LayerApplication } from '../tree/apply-layer.ts';
import { ImageTree } from '../tree/image-tree.ts';
import { keyOf, namingLayer } from './follow-layer.ts';

export interface ImageChange {
  readonly kind: 'added' | 'changed' | 'deleted';
  /** Without a leading slash. */
  readonly path: ByteString;
}

/** A tree, and the SHA-256 of each file in it, by `keyOf`. */
interface Contents {
  readonly tree: ImageTree;
  readonly digests: ReadonlyMap<string, string>;
}

/**
 * The changes that make `after` of `before`, by path. A directory is changed where something directly or further below it is, or its mode,
 * owner or attributes are; of one that is gone nothing below is named. @throws ERR_LAYER, ERR_DIGEST_MISMATCH naming the layer
 */
export async function compareImages(
  before: readonly Layer[],
  after: readonly Layer[],
  signal: AbortSignal,
): Promise<readonly ImageChange[]> {
  const differs = after.findIndex(({ diffId }, position) => diffId !== before[position]?.diffId);
  const common = differs === -1 ? after.length : differs;
  const base = await readLayers({ tree: new ImageTree(), digests: new Map() }, before, 0, common, signal);
  const was = await readLayers(base, before, common, before.length, signal);
  const is = await readLayers(base, after, common, after.length, signal);
  const changes = new Map<ByteString, ImageChange['kind']>();
  for (const [path, node] of is.tree.walk()) {
    const old = was.tree.at(path);
    if (old === undefined) changes.set(path, 'added');
    else if (!isSame({ ...was, node: old }, { ...is, node })) changes.set(path, 'changed');
  }
  for (const [path] of was.tree.walk())
    if (is.tree.at(path) === undefined && is.tree.isDirectory(is.tree.at(splitPath(path).parent))) changes.set(path, 'deleted');
  for (const path of changes.keys())
    for (let { parent } = splitPath(path); parent !== '.' && !changes.has(parent); { parent } = splitPath(parent))
      changes.set(parent, 'changed');
  changes.delete(rootPath); // the root is no path of an image
  return [...changes].map(([path, kind]) => ({ path, kind })).sort((a, b) => comparePaths(a.path, b.path));
}

/** The tree with some layers more; the given one stays. */
async function readLayers(
  { tree, digests }: Contents,
  layers: readonly Layer[],
  start: number,
  end: number,
  signal: AbortSignal,
): Promise<Contents> {
  const next = { tree: tree.clone(), digests: new Map(digests) };
  for (const [offset, layer] of layers.slice(start, end).entries())
    await namingLayer(start + offset, layers.length, layer, async () => {
      const application = new LayerApplication(next.tree, start + offset);
      let position = 0;
      for await (const entry of openEntries(layer, signal)) {
        signal.throwIfAborted();
        application.apply(entry);
        if (entry.type === 'file') {
          const hash = createHash('sha256');
          for await (const chunk of entry.content ?? []) hash.update(chunk);
          next.digests.set(keyOf({ layer: start + offset, entry: position }), hash.digest('latin1'));
        }
        position++;
      }
      application.finish();
    });
  return next;
}

interface PlacedNode extends Contents {
  readonly node: number;
}

function isSame(was: PlacedNode, is: PlacedNode): boolean {
  const [a, b] = [was.tree.node(was.node), is.tree.node(is.node)];
  if (a.type !== b.type || a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid || !hasSameXattrs(a.xattrs, b.xattrs)) return false;
  if (a.type === 'directory') return true; // its time changes with what is in it
  const isSameTime = a.mtime.seconds === b.mtime.seconds && a.mtime.nanoseconds === b.mtime.nanoseconds;
  const isSameDevice = a.device?.major === b.device?.major && a.device?.minor === b.device?.minor;
  return isSameTime && isSameDevice && a.linkTarget === b.linkTarget && digestOf(was) === digestOf(is);
}

function digestOf({ tree, node, digests }: PlacedNode): string | undefined {
  const place = tree.content(node);
  return place === undefined ? undefined : digests.get(keyOf(place));
}

function hasSameXattrs(a: ReadonlyMap<string, Buffer>, b: ReadonlyMap<string, Buffer>): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value) === true);
}
