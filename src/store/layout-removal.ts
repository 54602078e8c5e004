// Removing an image of an OCI layout: its entry, and the blobs that nothing else in the layout names.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BuilderError, ifCode, inWords } from '../errors.ts';
import { type Descriptor, isForeign, parseDescriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { indexDepthLimit, isManifestType, manifestLimitBytes, parseManifest } from '../oci/manifest.ts';
import { blobPath, readBlobFile } from './blob-file.ts';
import { lockIndex, readIndexEntries, writeIndexEntries } from './layout-index.ts';
import { refName } from './layout-referrers.ts';
import type { LayoutReference } from './oci-layout.ts';

/**
 * Removes the entry of a name or a digest, then blobs that no entry leads to any more.
 * @throws ERR_REFERENCE when there is none, or the layout holds several and none is named; ERR_LAYER for a layout that can't be read:
 * then nothing is removed
 */
export async function removeLayoutImage({ folder, tag, digest }: LayoutReference, signal: AbortSignal): Promise<void> {
  using _lock = await lockIndex(folder, signal);
  const entries = (await readIndexEntries(folder)).map((json, position) => ({
    json,
    descriptor: parseDescriptor(json, `index.json: manifests[${position}]`),
  }));
  const isMeant = ({ digest: own, annotations }: Descriptor): boolean =>
    (digest === undefined || own === digest) && (tag === undefined || annotations?.get(refName) === tag);
  const leaving = entries.filter(({ descriptor }) => isMeant(descriptor));
  const fail = (why: string): BuilderError => new BuilderError('ERR_REFERENCE', `Cannot delete an image of ${folder}: ${why}`);
  if (leaving.length === 0) throw fail(`there is no ${digest ?? tag ?? 'image'}`);
  if (tag === undefined && digest === undefined && leaving.length > 1) throw fail('it holds several, and none is named');
  const staying = entries.filter((entry) => !leaving.includes(entry));
  const needed = new Set<Digest>();
  for (const { descriptor } of staying) await noteBlobs(folder, descriptor, { needed, depth: 0 }, signal);
  const named = new Set<Digest>();
  for (const { descriptor } of leaving) await noteBlobs(folder, descriptor, { needed: named, depth: 0 }, signal);
  await writeIndexEntries(
    folder,
    staying.map(({ json }) => json),
  );
  for (const algorithm of ['sha256', 'sha512']) {
    for (const hex of await namesIn(join(folder, 'blobs', algorithm))) {
      const blob = `${algorithm}:${hex}`;
      if (isDigest(blob) && named.has(blob) && !needed.has(blob)) await rm(blobPath(folder, blob), { force: true });
    }
  }
}

/** Notes all blobs that a descriptor leads to, itself among them; not what is kept outside of layouts. @throws ERR_LAYER for a manifest that can't be read */
export async function noteBlobs(
  folder: string,
  descriptor: Descriptor,
  { needed, depth }: { readonly needed: Set<Digest>; readonly depth: number },
  signal: AbortSignal,
): Promise<void> {
  if (needed.has(descriptor.digest)) return;
  needed.add(descriptor.digest);
  if (!isManifestType(descriptor.mediaType) || depth > indexDepthLimit) return;
  const view = parseManifest(await readBlobFile(folder, descriptor, manifestLimitBytes, signal), descriptor.mediaType);
  if (view.kind === 'index') for (const child of view.manifests) await noteBlobs(folder, child, { needed, depth: depth + 1 }, signal);
  else for (const blob of [view.config, ...view.layers.filter((layer) => !isForeign(layer))]) needed.add(blob.digest);
}

/** The names in a folder; none where there is no folder. @throws ERR_LAYER */
export async function namesIn(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(ifCode(['ENOENT'], [], inWords('ERR_LAYER', `Cannot read ${folder}`)));
}
