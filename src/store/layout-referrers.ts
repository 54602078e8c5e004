// Referrers in an OCI layout: entries of index.json whose manifest has a subject (image-layout.md names no other place for them).
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type ImageIndex, type StoredManifest, isManifestType, parseManifest } from '../oci/manifest.ts';
import { describeReferrer } from '../oci/referrer.ts';

/** image-spec annotations.md: what an entry of a layout is called. */
export const refName = 'org.opencontainers.image.ref.name';
/** The whole name, which buildx, docker and containerd write beside the tag alone. */
export const containerdName = 'io.containerd.image.name';

/** The entries about `subject`. @throws ERR_LAYER for an entry whose manifest can't be read */
export async function findReferrers(
  index: ImageIndex,
  wanted: { readonly subject: Digest; readonly manifest: (descriptor: Descriptor, signal: AbortSignal) => Promise<StoredManifest> },
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const found = new Map<Digest, Descriptor>();
  for (const entry of index.manifests) {
    if (!isManifestType(entry.mediaType) || found.has(entry.digest)) continue;
    const { bytes, mediaType } = await wanted.manifest(entry, signal);
    const { subject } = parseManifest(bytes, mediaType);
    if (subject?.digest === wanted.subject) found.set(entry.digest, entry);
  }
  return [...found.values()];
}

/** A referrer as an entry of index.json. */
export function referrerEntry(manifest: StoredManifest): Descriptor {
  const { annotations, ...entry } = describeReferrer(manifest);
  // A stranger's manifest must not take a name in the layout.
  const kept = new Map([...(annotations ?? [])].filter(([key]) => key !== refName));
  return kept.size > 0 ? { ...entry, annotations: kept } : entry;
}
