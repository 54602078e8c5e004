// A layer, as the entries in it.
import type { Layer, LayerWatch } from '../oci/image.ts';
import { decompress } from './decompress.ts';
import type { Entry } from './entry.ts';
import { verify } from './meter.ts';
import { type Warn, readEntries } from './read.ts';

/**
 * Fetches, decompresses and reads a layer.
 * @throws ERR_DIGEST_MISMATCH instead of ending when the archive isn't the one of the layer's diff_id
 */
export function openEntries(layer: Layer, signal: AbortSignal, warn?: Warn): AsyncGenerator<Entry> {
  const plain = decompress(layer.chunks?.(signal) ?? layer.open(signal), signal);
  const subject = `the content of layer ${layer.descriptor.digest}`;
  const entries = readEntries(verify(plain, { digest: layer.diffId, subject }), signal, warn);
  const watch = layer.watch?.();
  return watch === undefined ? entries : watched(entries, watch);
}

async function* watched(entries: AsyncIterable<Entry>, watch: LayerWatch): AsyncGenerator<Entry> {
  for await (const entry of entries) {
    watch.add(entry);
    yield entry;
  }
  watch.end();
}
