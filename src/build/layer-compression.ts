// How a build's new layers are compressed: as fast as this machine can, unless somebody asked for a level or for equal digests.
import type { Emit } from '../events.ts';
import { defaultZlibLevel } from '../layer/gzip.ts';
import type { LayerOptions } from '../layer/write.ts';
import { hasIsal } from '../linux/isal.ts';
import type { BuildRequest } from './request.ts';

/**
 * The level asked for; else zlib's own where the build has an epoch, since ISA-L's bytes are not to be had on every machine; else
 * none, so that ISA-L does it. A note says once where it can't.
 */
export function layerCompression(
  { compression, compressionLevel }: Pick<BuildRequest, 'compression' | 'compressionLevel'>,
  epoch: number | undefined,
  emit: Emit,
): Pick<LayerOptions, 'compression' | 'level'> {
  if (compressionLevel !== undefined) return { compression, level: compressionLevel };
  if (compression !== 'gzip') return { compression };
  if (epoch !== undefined) return { compression, level: defaultZlibLevel };
  if (!hasIsal()) {
    const message =
      'layers are compressed by zlib, since ISA-L is not here: a builder that has it is faster, and its layers have other digests';
    emit({ kind: 'note', level: 'debug', message });
  }
  return { compression };
}
