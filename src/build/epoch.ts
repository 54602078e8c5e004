// SOURCE_DATE_EPOCH: the time that stands for "now" in a reproducible build. reproducible-builds.org/docs/source-date-epoch
import { BuilderError } from '../errors.ts';
import type { BuildRequest } from './request.ts';

/**
 * Seconds since 1970 that the build's own times take, or undefined for the clock's. --reproducible is an epoch of 0.
 * @throws ERR_USAGE for what is no whole number
 */
export function readEpoch(
  request: Pick<BuildRequest, 'buildArgs' | 'reproducible'>,
  globalDefault: string | undefined,
): number | undefined {
  const text = request.buildArgs.get('SOURCE_DATE_EPOCH') ?? globalDefault;
  if (text === undefined || text === '') return request.reproducible ? 0 : undefined;
  // The last second that RFC 3339 can write.
  if (/^\d{1,12}$/.test(text) && Number(text) <= 253_402_300_799) return Number(text);
  throw new BuilderError('ERR_USAGE', `Cannot use SOURCE_DATE_EPOCH=${text}: expected whole seconds since 1970`);
}
