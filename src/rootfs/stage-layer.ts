// A layer of a stage, which may be read while it is on its way. What comes out of it before its end may be anything: nobody may rely
// on it, and no RUN may see it, until all is there and verified.
import type { Digest } from '../oci/digest.ts';
import type { Layer } from '../oci/image.ts';

/** A layer of a stage; one of a base is fetched when it is asked for. */
export interface StageLayer {
  readonly diffId: Digest;
  readonly layer: () => Layer | Promise<Layer>;
  /** The same while it is fetched, for `readArriving` alone. */
  readonly arriving?: () => Promise<Layer>;
  /** What a RUN changed, and nobody but other stages will read: it is on the disk alone. */
  readonly isUnwritten?: boolean;
}

/**
 * What `read` makes of a layer, which it has to read to its end. Undefined where that was no use: what came turned out not to be the
 * layer, which was fetched anew; whoever reads begins again, having forgotten all that he was told.
 * @throws as `layer()` where the layer can't be had, whatever came of reading; else what `read` throws
 */
export async function readArriving<Value>(stageLayer: StageLayer, read: (layer: Layer) => Promise<Value>): Promise<Value | undefined> {
  const arriving = await (stageLayer.arriving?.() ?? stageLayer.layer());
  try {
    return await read(arriving);
  } catch (error) {
    const whole = await stageLayer.layer();
    if (stageLayer.arriving === undefined || whole === arriving) throw error;
    return undefined;
  }
}
