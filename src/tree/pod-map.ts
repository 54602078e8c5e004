// What a pod mounts, between the image's tree and the disk. A folder that something is mounted below has to stay a folder on the
// disk (it is held), even where the image has a symbolic link in its place: `/var/run`, a link to `/run`, below which every pod
// mounts a token. There the two are turned: the held folder gets what is in the link's target, and the target's place on the disk
// a link to it, so that a RUN finds the same files by both names. Values only: no I/O.
import type { ByteString } from '../bytes.ts';
import { isWithin, pathBelow, foldersAbove } from '../paths.ts';
import type { ImageTree } from './image-tree.ts';
import { resolveInTree } from './resolve.ts';

/** A held folder where the image has a link. */
export interface TurnedLink {
  /** The folder on the disk. */
  readonly held: ByteString;
  /** The image's link, and the folder of the image that it leads to. */
  readonly link: ByteString;
  readonly target: ByteString;
  /** Where the target would be on the disk; the disk has a link to `held` there. Undefined where it is held as well, or missing. */
  readonly free?: ByteString;
}

/** Paths of the image and of the disk, to each other. */
export interface PodMap {
  readonly turned: readonly TurnedLink[];
  readonly toDisk: (path: ByteString) => ByteString;
  readonly toImage: (path: ByteString) => ByteString;
}

/** What of the disk is not the image's: see `Protection`. */
interface Foreign {
  readonly covers: (path: ByteString) => boolean;
  readonly holds: (path: ByteString) => boolean;
  readonly paths: readonly ByteString[];
}

/** The map where the image has no link in place of anything held. */
export const plainPodMap: PodMap = podMapOf([]);

/** The map for an image: which of its links are in the way of folders that the disk must keep. */
export function mapPod(tree: ImageTree, foreign: Foreign): PodMap {
  let map = plainPodMap;
  for (const held of heldPaths(foreign.paths)) {
    const link = map.toImage(held);
    const node = tree.at(link);
    if (node === undefined || tree.linkTarget(node) === undefined) continue;
    const target = resolveInTree(tree, link, 'follow');
    const free = map.toDisk(target.path);
    const isFree = tree.isDirectory(target.node) && !foreign.covers(free) && !foreign.holds(free) && !isWithin(free, held);
    // A link to a file, or to what is the root or the mount's own folder, can't be turned.
    if (target.path === '.' || isWithin(held, free)) continue;
    if (target.node !== undefined && !tree.isDirectory(target.node)) continue;
    map = podMapOf([...map.turned, { held, link, target: target.path, ...(isFree ? { free } : {}) }]);
  }
  return map;
}

/** What every engine has of its own, and no image expects to see. */
export const engineOwn =
  /^(?:(?:dev|proc|sys|run\/secrets)(?:\/|$)|etc\/(?:hosts|hostname|resolv\.conf|mtab)$|run\/\.containerenv$|\.dockerenv$)/;

/** Places on the disk where the image has something, and a RUN can't see it. */
export function hiddenPlaces(tree: ImageTree, map: PodMap, foreign: Foreign): readonly ByteString[] {
  return foreign.paths.filter((place) => {
    if (engineOwn.test(place)) return false;
    const node = tree.at(map.toImage(place));
    if (node === undefined) return false;
    return tree.isDirectory(node) ? tree.names(node).length > 0 : tree.node(node).size > 0 || tree.linkTarget(node) !== undefined;
  });
}

/** True where the two mean the same. */
export function isSamePodMap(a: PodMap, b: PodMap): boolean {
  const key = ({ turned }: PodMap): string => JSON.stringify(turned);
  return key(a) === key(b);
}

function podMapOf(turned: readonly TurnedLink[]): PodMap {
  const byTarget = turned.filter(({ free }) => free !== undefined).toSorted((a, b) => b.target.length - a.target.length);
  const byHeld = turned.toSorted((a, b) => b.held.length - a.held.length);
  return {
    turned,
    toDisk: (path) => {
      // A link may itself stand in the target of another.
      const own = byTarget.find(({ link }) => link === path)?.free;
      if (own !== undefined) return own;
      const above = byTarget.find(({ target }) => isWithin(path, target));
      return above === undefined ? path : pathBelow(above.held, restOf(path, above.target));
    },
    toImage: (path) => {
      const own = byHeld.find(({ free }) => free === path)?.link;
      if (own !== undefined) return own;
      const above = byHeld.find(({ held }) => isWithin(path, held));
      return above === undefined ? path : pathBelow(above.target, restOf(path, above.held));
    },
  };
}

function restOf(path: ByteString, top: ByteString): ByteString {
  return (path === top ? '.' : path.slice(top.length + 1)) as ByteString; // a part of bytes
}

/** Every folder above a covered path, the outermost first. */
function heldPaths(covered: readonly ByteString[]): readonly ByteString[] {
  const held = new Set<ByteString>();
  for (const path of covered) for (const folder of foldersAbove(path)) held.add(folder);
  return [...held].sort();
}
