// An image's tree as files to read from: names from the tree, contents from the disk where they are there, else from the layers.
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { FileStat, FileView, OpenContent } from '../files/file-view.ts';
import type { Timestamp } from '../layer/entry.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import type { ContentPlace } from '../tree/node.ts';

/** A file of the tree that has content. */
export interface TreeFile extends ContentPlace {
  readonly path: ByteString;
  readonly size: number;
  readonly mtime: Timestamp;
}

/** Where the contents of a tree are. */
export interface TreeContents {
  readonly gather: (files: readonly TreeFile[], signal: AbortSignal) => Promise<void>;
  readonly open: (file: TreeFile) => OpenContent;
}

/** The files of `tree`, which may change: a view shows it as it is when it is asked. */
export function treeView(tree: ImageTree, contents: TreeContents): FileView {
  const nodeAt = (path: ByteString): number => {
    const node = tree.at(path);
    if (node === undefined) throw new BuilderError('ERR_INTERNAL', `Cannot read ${textFromBytes(path)}: it is not in the image`);
    return node;
  };
  return {
    folder: undefined,
    stat: (path) => {
      const node = tree.at(path);
      return node === undefined ? undefined : statOf(tree, node);
    },
    names: (path) => tree.names(nodeAt(path)),
    linkTarget: (path) => tree.linkTarget(nodeAt(path)) ?? path,
    xattrs: (path) => tree.node(nodeAt(path)).xattrs,
    open: (path) => {
      const file = fileAt(tree, path);
      return file === undefined ? { size: 0, chunks: [], close: () => undefined } : contents.open(file);
    },
    gather: async (paths, signal) => {
      await contents.gather(
        paths.flatMap((path) => fileAt(tree, path) ?? []),
        signal,
      );
    },
  };
}

function statOf(tree: ImageTree, number: number): FileStat {
  const { xattrs: _xattrs, linkTarget: _target, ...node } = tree.node(number);
  return { ...node, links: tree.links(number), identity: String(number) };
}

// Undefined for an empty file, which needs no content.
function fileAt(tree: ImageTree, path: ByteString): TreeFile | undefined {
  const number = tree.at(path);
  if (number === undefined) return undefined;
  const { size, type, mtime } = tree.node(number);
  if (type !== 'file' || size === 0) return undefined;
  const place = tree.content(number);
  if (place === undefined) throw new BuilderError('ERR_INTERNAL', `Cannot read ${textFromBytes(path)}: it is in no layer yet`);
  return { ...place, path, size, mtime };
}
