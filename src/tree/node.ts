// One file of an image's tree, as a plain value.
import type { ByteString } from '../bytes.ts';
import type { EntryType, Metadata } from '../layer/entry.ts';

/** What a node can be: a hard link is a second name, not a node. */
export type NodeType = Exclude<EntryType, 'hardlink'>;

export interface TreeNode extends Metadata {
  readonly type: NodeType;
  /** Bytes of a file's content; 0 for everything else. */
  readonly size: number;
  /** A symbolic link's target, verbatim. */
  readonly linkTarget?: ByteString;
  readonly device?: { readonly major: number; readonly minor: number };
}

/** Where a file's content is: which layer of its image, and which entry of that layer, both counted from 0. */
export interface ContentPlace {
  readonly layer: number;
  readonly entry: number;
}

/** Type bits of st_mode, and back. */
export const typeBits = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
} as const satisfies Record<NodeType, number>;

const types: ReadonlyMap<number, NodeType> = new Map([
  [typeBits.file, 'file'],
  [typeBits.directory, 'directory'],
  [typeBits.symlink, 'symlink'],
  [typeBits.character, 'character'],
  [typeBits.block, 'block'],
  [typeBits.fifo, 'fifo'],
]);

/** The type that a st_mode stands for; a socket's, which no image can hold, counts as a FIFO's. */
export function nodeTypeOf(mode: number): NodeType {
  return types.get(mode & 0o170000) ?? 'fifo';
}
