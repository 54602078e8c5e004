// A path in an image's tree, whatever symbolic links say: as a process in the image would see it.
import type { ByteString } from '../bytes.ts';
import { followPath, tooManyLinks } from '../paths.ts';
import { type ImageTree, rootNode } from './image-tree.ts';

/** Where a path leads: free of links and `..`; `.` is the root. `node` is undefined where nothing is. */
export interface TreePlace {
  readonly path: ByteString;
  readonly node: number | undefined;
}

/**
 * Resolves `path` (absolute or below the root; `..` stops at the root). Missing parts stay as they are written.
 * `leaf: 'keep'` gives the last name itself even where it is a symbolic link. With `top`, that directory is taken for the root.
 * @throws ERR_UNSAFE_PATH after 40 symbolic links
 */
export function resolveInTree(tree: ImageTree, path: ByteString, leaf: 'keep' | 'follow', top = rootNode): TreePlace {
  // What leads to a directory by its names alone met no link: nearly all that is asked for.
  const node = top === rootNode ? tree.at(path) : undefined;
  if (tree.isDirectory(node)) return { path, node };
  const found = followPath(
    { root: top, child: (directory, name) => tree.child(directory, name), linkTarget: (link) => tree.linkTarget(link) },
    path,
    leaf,
  );
  if (found.isLoop) throw tooManyLinks(path);
  return { path: found.path, node: found.node };
}
