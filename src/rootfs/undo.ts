// The root back to what it was some RUNs ago, for a stage that begins with the same layers: only what differs is touched. What the
// trees say is what is done, and what is on the disk then has to be what they say: a RUN can leave behind what is in no layer.
import type { ByteString } from '../bytes.ts';
import type { FileView } from '../files/file-view.ts';
import type { Root } from '../files/root.ts';
import type { Timestamp } from '../layer/entry.ts';
import { readPossibleOwner, readRefusedBits } from '../linux/owners.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import { typeBits } from '../tree/node.ts';
import type { PodMap } from '../tree/pod-map.ts';
import { draftDifference } from './draft-difference.ts';
import { scanRoot } from './scan.ts';
import type { Tree, TreeEntry } from './scanned-tree.ts';
import { setPathsAside } from './set-aside.ts';
import { type DraftEntry, readDraft } from './tree-draft.ts';
import { unpackLayer } from './unpack.ts';
import { createUnpackReport } from './unpack-report.ts';

/** What a stage is, and its files, wherever they are. */
export interface KnownFiles {
  readonly tree: ImageTree;
  readonly files: FileView;
}

export interface Undoing {
  readonly root: Root;
  /** What the root holds, which began as a clone of `to`; it may say more than is on disk. */
  readonly from: ImageTree;
  readonly to: KnownFiles;
  /** Of both. */
  readonly map: PodMap;
  /** An empty folder for the files that go: who reads them later finds them at their places in it. */
  readonly folder?: ByteString;
  /** Gets the directories that go there. */
  readonly folders?: Set<ByteString>;
}

/** The root as it is after it was made what a tree says. */
export interface CheckedScan {
  readonly scan: Tree;
  readonly other: ByteString | undefined;
}

/**
 * Makes the root what `to` says, and scans it. `other` is the first path that is not so then, and undefined where all is right.
 * @throws ERR_ROOTFS, and what reading the files throws
 */
export async function undoChanges(undoing: Undoing, signal: AbortSignal): Promise<CheckedScan> {
  const { root, from, to, map, folder, folders } = undoing;
  const entries = draftDifference(from, to.tree, to.files);
  // Contents are read before anything moves.
  const contents = await readDraft(to.tree, entries, signal);
  if (folder !== undefined) await setPathsAside(root, folder, leaving(entries, from, to.tree, map, folders), signal);
  await unpackLayer(root, contents, createUnpackReport(), signal, map);
  return await checkRoot(root, to.tree, map, signal);
}

/** Scans the root, which is to be what a tree says; `other` is the first path that is not. */
export async function checkRoot(root: Root, tree: ImageTree, map: PodMap, signal: AbortSignal): Promise<CheckedScan> {
  const scan = await scanRoot(root, signal);
  return { scan, other: findOther(scan, root, tree, map) };
}

/** What goes, by its place on the disk: all but directories that stay ones; directories go with all that is in them. */
function leaving(
  entries: readonly DraftEntry[],
  from: ImageTree,
  to: ImageTree,
  map: PodMap,
  folders?: Set<ByteString>,
): readonly ByteString[] {
  const isLeft = ({ path }: DraftEntry): boolean => {
    const node = from.at(path);
    const isFolder = from.isDirectory(node);
    if (isFolder && to.isDirectory(to.at(path))) return false;
    if (isFolder) folders?.add(map.toDisk(path));
    return node !== undefined;
  };
  return entries.filter(isLeft).map(({ path }) => map.toDisk(path));
}

function isSameTime(entry: TreeEntry, { seconds, nanoseconds }: Timestamp): boolean {
  return entry.mtimeSeconds === seconds && entry.mtimeNanoseconds === nanoseconds;
}

/** The first path that is not what the tree says, on the disk or in the tree. */
function findOther(scan: Tree, { protection }: Root, to: ImageTree, map: PodMap): ByteString | undefined {
  const possibleOwner = readPossibleOwner();
  const refusedBits = readRefusedBits();
  const turned = new Set(map.turned.flatMap(({ held, free }) => [held, free]));
  const isForeign = (place: ByteString): boolean => protection.holds(place) || turned.has(place);
  /** How many names of each node are there. */
  const found = new Uint32Array(to.nodes);
  for (const [place, entry] of scan.entries()) {
    if (isForeign(place)) continue;
    const number = to.at(map.toImage(place));
    if (number === undefined) return place;
    const node = to.node(number);
    const { uid, gid } = possibleOwner(node);
    // The kernel gives all links one mode, whatever a layer says.
    const mode = typeBits[node.type] | (node.type === 'symlink' ? 0o777 : node.mode);
    const isSameMode = ((entry.mode ^ mode) & ~refusedBits(gid)) === 0;
    const isSame = isSameMode && entry.uid === uid && entry.gid === gid;
    const hasContent = node.type !== 'file' || (entry.size === node.size && isSameTime(entry, node.mtime));
    if (!isSame || !hasContent) return place;
    found[number] = (found[number] ?? 0) + 1;
  }
  for (const [path, number] of to.walk()) {
    if (found[number] === to.links(number)) continue;
    const place = map.toDisk(path);
    const mayLack = protection.covers(place) || isForeign(place) || to.node(number).device !== undefined;
    if (!mayLack && scan.get(place) === undefined) return place;
  }
  return undefined;
}
