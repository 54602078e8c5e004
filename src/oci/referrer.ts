// A manifest about another one, as lists of referrers name it.
import type { Descriptor } from './descriptor.ts';
import { type ImageManifest, type StoredManifest, parseManifest } from './manifest.ts';
import { MediaType } from './media-type.ts';

/** distribution-spec, Listing Referrers: its type and annotations stand in the descriptor. */
export function describeReferrer({ bytes, mediaType, digest }: StoredManifest): Descriptor {
  const view = parseManifest(bytes, mediaType);
  const artifactType = view.kind === 'manifest' ? artifactTypeOf(view) : MediaType.ociIndex;
  const annotations = view.kind === 'manifest' && view.annotations.size > 0 ? { annotations: view.annotations } : {};
  return { mediaType, digest, size: bytes.length, artifactType, ...annotations };
}

/** image-spec manifest.md: without one, the config's media type is it. */
function artifactTypeOf({ artifactType, config }: ImageManifest): string {
  return artifactType ?? config.mediaType;
}
