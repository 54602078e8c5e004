// What stands for a layer whose step has no key: what is in it, but for times. The same download gives the same, whenever it was made.
import { createHash } from 'node:crypto';
import { openEntries } from '../../layer/open-entries.ts';
import type { Layer } from '../../oci/image.ts';
import { digestOfTexts } from './key.ts';

/** @throws ERR_LAYER, ERR_DIGEST_MISMATCH */
export async function contentOfLayer(layer: Layer, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const entry of openEntries(layer, signal)) {
    const { type, path, mode, uid, gid, linkTarget = '', device, xattrs } = entry;
    const content = createHash('sha256');
    for await (const chunk of entry.content ?? []) content.update(chunk);
    const attributes = [...xattrs].flatMap(([name, value]) => [name, value.toString('hex')]);
    const numbers = [mode, uid, gid, device?.major ?? 0, device?.minor ?? 0].map(String);
    hash.update(digestOfTexts([type, path, linkTarget, ...numbers, content.digest('hex'), ...attributes]));
  }
  return hash.digest('hex');
}
