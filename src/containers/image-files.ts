// An image's files to be read from, without unpacking it.
import type { FileView } from '../files/file-view.ts';
import type { Spool } from '../files/spool.ts';
import type { Image } from '../oci/image.ts';
import { readLayerInto } from '../rootfs/follow-layer.ts';
import { LayerContents } from '../rootfs/layer-contents.ts';
import { treeView } from '../rootfs/tree-view.ts';
import { ImageTree } from '../tree/image-tree.ts';

/** Reads the headers of all layers; contents are read into `spool` when they are gathered. @throws ERR_LAYER, ERR_DIGEST_MISMATCH */
export async function imageFiles({ layers }: Image, spool: Spool, signal: AbortSignal): Promise<FileView> {
  const tree = new ImageTree();
  for (const [number, layer] of layers.entries()) await readLayerInto(tree, number, layer, new Map(), { warn: () => undefined, signal });
  const contents = new LayerContents(
    layers.map((layer) => ({ diffId: layer.diffId, layer: () => layer })),
    spool,
  );
  return treeView(tree, {
    gather: async (files, gathering) => await contents.gather(files, gathering),
    open: (file) => contents.open(file),
  });
}
