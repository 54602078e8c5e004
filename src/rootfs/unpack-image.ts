// A whole image into an empty folder: for people who want to look at it, and working containers.
import { bytesFromText } from '../bytes.ts';
import type { Emit } from '../events.ts';
import { plainRoot } from '../files/root.ts';
import { openEntries } from '../layer/open-entries.ts';
import type { Image } from '../oci/image.ts';
import { namingLayer } from './follow-layer.ts';
import { unpackLayer } from './unpack.ts';
import { createUnpackReport, tellUnpackReport } from './unpack-report.ts';

/**
 * Unpacks all layers, nothing of which leads outside of the folder. What can't be made here (devices, foreign owners) is told once.
 * @throws ERR_LAYER, ERR_DIGEST_MISMATCH naming the layer, ERR_ROOTFS when the file system refuses
 */
export async function unpackImage(
  { layers }: Pick<Image, 'layers'>,
  folder: string,
  { emit }: { readonly emit: Emit },
  signal: AbortSignal,
): Promise<void> {
  const root = plainRoot(bytesFromText(folder));
  const report = createUnpackReport();
  for (const [number, layer] of layers.entries())
    await namingLayer(number, layers.length, layer, async () => {
      const entries = openEntries(layer, signal, (oddity) => report.oddities.add(oddity));
      return await unpackLayer(root, entries, report, signal);
    });
  tellUnpackReport(report, emit);
}
