// How hard a compression tries.
import { BuilderError } from '../../errors.ts';
import type { Compression } from '../../oci/media-type.ts';
import type { Settings } from '../settings.ts';

/** The level that this flag asks for; undefined where it does not, or with -1. @throws ERR_USAGE for one that the compression has not */
export function compressionLevel(settings: Settings, flag: string, compression: Compression = 'gzip'): number | undefined {
  const level = settings.number(flag);
  if (level === undefined || level === -1) return undefined;
  const [least, most] = compression === 'zstd' ? [1, 19] : [0, 9];
  if (compression !== 'none' && level >= least && level <= most) return level;
  const state = compression === 'none' ? 'plain layers have no level' : `${compression} has levels ${least} to ${most}`;
  throw new BuilderError('ERR_USAGE', `Cannot use --${flag}=${level}: ${state}`);
}
