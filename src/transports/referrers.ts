// What was said about an image goes along with it: signatures, attestations, bills of materials, and what was said about those.
import { BuilderError } from '../errors.ts';
import { copyNamed } from '../oci/copy-image.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import type { Place } from './transport.ts';

/** So many referrers of one image; more are an attack. */
const referrerLimit = 1000;

interface Way {
  readonly source: ImageSource;
  readonly sink: ImageSink;
  readonly to: Place;
}

/** Before anything is copied. @throws ERR_UNSUPPORTED where the image itself has referrers, and there can't be any */
export async function refuseReferrers({ source, sink, to }: Way, signal: AbortSignal): Promise<void> {
  const found = sink.writeReferrer === undefined ? await source.referrers?.(source.root.digest, signal) : undefined;
  if (found !== undefined && found.length > 0) throw noPlace(to);
}

/**
 * Copies the referrers of manifests that were copied, and theirs. @returns how many
 * @throws ERR_UNSUPPORTED where there can't be any
 */
export async function copyReferrers({ source, sink, to }: Way, subjects: readonly Digest[], signal: AbortSignal): Promise<number> {
  const { referrers } = source;
  // A place without them has none to bring along.
  if (referrers === undefined) return 0;
  const pending = [...subjects];
  const known = new Set<Digest>(subjects);
  let count = 0;
  for (let subject = pending.shift(); subject !== undefined; subject = pending.shift()) {
    for (const descriptor of await referrers(subject, signal)) {
      if (known.has(descriptor.digest)) continue;
      known.add(descriptor.digest);
      if (sink.writeReferrer === undefined) throw noPlace(to);
      if (++count > referrerLimit)
        throw new BuilderError('ERR_LAYER', `Cannot copy ${source.name}: it has more than ${referrerLimit} referrers`);
      const manifest = await source.manifest(descriptor, signal);
      await copyNamed(source, sink, manifest, signal);
      await sink.writeReferrer(manifest, signal);
      pending.push(descriptor.digest);
    }
  }
  return count;
}

function noPlace(to: Place): BuilderError {
  return new BuilderError('ERR_UNSUPPORTED', `Cannot copy referrers to ${to.name}: an image can't have any there`);
}
