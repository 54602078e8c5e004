// What of the image a RUN can't see, as something of the container's is there: images and layers have it all the same.
import type { ByteString } from '../bytes.ts';
import type { Protection } from '../files/root.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import type { PodMap } from '../tree/pod-map.ts';

// What every engine gives to every container, BuildKit's too: nobody expects the image's own.
const everywhere: ReadonlySet<string> = new Set(['dev', 'proc', 'sys', 'etc/hosts', 'etc/hostname', 'etc/resolv.conf', 'etc/mtab']);

/**
 * Paths of the image that are covered on the disk. A directory with nothing in it is only a place to mount to, and does not count;
 * neither does what a mount of every container covers.
 */
export function hiddenPaths(tree: ImageTree, { paths }: Protection, map: PodMap): readonly ByteString[] {
  return paths.flatMap((covered) => {
    const path = map.toImage(covered);
    const node = tree.at(path);
    if (node === undefined || everywhere.has(path) || path.startsWith('dev/') || path.startsWith('proc/') || path.startsWith('sys/'))
      return [];
    return tree.isDirectory(node) && tree.names(node).length === 0 ? [] : [path];
  });
}
