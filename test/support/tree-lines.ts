// Trees of an image from literals, and as lines to compare.
import type { ByteString } from '../../src/bytes.ts';
import type { Entry } from '../../src/layer/entry.ts';
import { LayerApplication } from '../../src/tree/apply-layer.ts';
import { ImageTree } from '../../src/tree/image-tree.ts';
import type { NodeType, TreeNode } from '../../src/tree/node.ts';

/** What a path is: `dir`, `file`, `-> target`, or `= first` for another name of a file; files are as long as their paths. */
export type TreeLiteral = Readonly<Record<string, string>>;

export function node(type: NodeType, changes: Partial<TreeNode> = {}): TreeNode {
  const mode = type === 'directory' ? 0o755 : type === 'symlink' ? 0o777 : 0o644;
  return { type, mode, uid: 0, gid: 0, size: 0, mtime: { seconds: 1, nanoseconds: 0 }, xattrs: new Map(), ...changes };
}

/** A tree whose files are in layer 0, in their order; parents come first. */
export function treeOf(literal: TreeLiteral): ImageTree {
  const tree = new ImageTree();
  for (const [entry, [text, what]] of Object.entries(literal).entries()) {
    const path = text as ByteString; // ASCII
    if (what === 'dir') tree.put(path, node('directory'));
    else if (what === 'file') tree.put(path, node('file', { size: text.length }), { layer: 0, entry });
    else if (what.startsWith('-> ')) tree.put(path, node('symlink', { linkTarget: what.slice(3) as ByteString }));
    else tree.link(path, tree.at(what.slice(2) as ByteString) ?? Number.NaN);
  }
  return tree;
}

/** Every path with what an image has of it; other names of a file name the first. Contents by their size alone. */
export function linesOf(tree: ImageTree): readonly string[] {
  const firsts = new Map<number, ByteString>();
  return Array.from(tree.walk(), ([path, number]) => {
    const first = firsts.get(number);
    if (first !== undefined) return `${path} is ${first}`;
    firsts.set(number, path);
    const { type, mode, uid, gid, size, mtime, linkTarget = '', xattrs } = tree.node(number);
    const names = type === 'directory' ? '' : `*${tree.links(number)}`;
    return [path, type, mode.toString(8), `${uid}:${gid}`, size, names, linkTarget, `@${mtime.seconds}`, ...xattrs.keys()].join(' ');
  });
}

/** The tree after a layer of these entries, as layer `number`. */
export async function applied(tree: ImageTree, entries: AsyncIterable<Entry> | Iterable<Entry>, number = 1): Promise<ImageTree> {
  const after = tree.clone();
  const application = new LayerApplication(after, number);
  for await (const entry of entries) application.apply(entry);
  application.finish();
  return after;
}
