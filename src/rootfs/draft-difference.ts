// What makes one tree of another, as a layer: for several instructions that become one.
import type { ByteString } from '../bytes.ts';
import type { FileView } from '../files/file-view.ts';
import { comparePaths, splitPath } from '../paths.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import type { DraftEntry } from './tree-draft.ts';

/**
 * The entries of a layer that makes `after` of `before`, of which `after` began as a clone. Contents are read from `files`, a view of
 * `after`. A directory is in it only where it changed itself.
 */
export function draftDifference(before: ImageTree, after: ImageTree, files: FileView): readonly DraftEntry[] {
  const entries: DraftEntry[] = [...gone(before, after)].sort(comparePaths).map((path) => ({ kind: 'gone', path }));
  const changed = new Set<number>();
  for (const [path, node] of after.walk()) if (before.at(path) !== node || !isSame(before, after, node)) changed.add(node);
  const firsts = new Map<number, ByteString>();
  // All names of a file, or they would no longer be those of one.
  for (const [path, node] of after.walk()) {
    if (!changed.has(node)) continue;
    const first = after.links(node) > 1 ? firsts.get(node) : undefined;
    if (first !== undefined) entries.push({ kind: 'link', path, first, node });
    else {
      entries.push({ kind: 'file', path, node, source: { files, path, open: () => files.open(path) } });
      firsts.set(node, path);
    }
  }
  return entries;
}

function* gone(before: ImageTree, after: ImageTree): Generator<ByteString> {
  for (const [path] of before.walk()) {
    // What stood in a directory that is gone, or is something else now, went with it.
    if (after.at(path) === undefined && after.isDirectory(after.at(splitPath(path).parent))) yield path;
  }
}

// Numbers stay with files for good; what a layer replaced has another one.
function isSame(before: ImageTree, after: ImageTree, node: number): boolean {
  const was = before.node(node);
  const is = after.node(node);
  const place = { was: before.content(node), is: after.content(node) };
  return (
    was.mode === is.mode &&
    was.uid === is.uid &&
    was.gid === is.gid &&
    was.mtime.seconds === is.mtime.seconds &&
    was.mtime.nanoseconds === is.mtime.nanoseconds &&
    was.xattrs === is.xattrs &&
    place.was?.layer === place.is?.layer &&
    place.was?.entry === place.is?.entry
  );
}
