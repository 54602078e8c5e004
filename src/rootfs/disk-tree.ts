// A root on disk as an image's tree: what stands where, for who resolves paths and makes drafts in it. No content is read.
import type { ByteString } from '../bytes.ts';
import { readXattrs } from '../files/metadata.ts';
import { absolutePath, readLink } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import { splitDevice } from '../linux/files.ts';
import { ImageTree } from '../tree/image-tree.ts';
import { nodeTypeOf } from '../tree/node.ts';
import { reach } from '../files/long-path.ts';
import { scanRoot } from './scan.ts';

/** The tree, in which names of one file are nodes of their own. @throws ERR_ROOTFS when a directory can't be read */
export async function readDiskTree(root: Root, signal: AbortSignal): Promise<ImageTree> {
  const tree = new ImageTree();
  const scanned = await scanRoot(root, signal);
  let position = 0;
  for (const [path, entry] of scanned.entries()) {
    const type = nodeTypeOf(entry.mode);
    const place: ByteString = absolutePath(root, path);
    const node = {
      type,
      mode: entry.mode & 0o7777,
      uid: entry.uid,
      gid: entry.gid,
      size: type === 'file' ? entry.size : 0,
      mtime: { seconds: entry.mtimeSeconds, nanoseconds: entry.mtimeNanoseconds },
      // Only a directory is ever written again as it is.
      xattrs: type === 'directory' ? reach(place, readXattrs) : new Map<string, Buffer>(),
      ...(type === 'symlink' ? { linkTarget: readLink(place) } : {}),
      ...(type === 'character' || type === 'block' ? { device: splitDevice(entry.rdev) } : {}),
    };
    // No layer has it: the place only says that there is content.
    tree.put(path, node, { layer: 0, entry: position++ });
  }
  return tree;
}
