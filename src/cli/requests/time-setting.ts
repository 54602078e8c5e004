// Times on a command line and in SOURCE_DATE_EPOCH.
import { BuilderError } from '../../errors.ts';
import type { Environment } from '../settings.ts';

/** The last second that RFC 3339 can write. */
const lastSecond = 253_402_300_799;

/** Seconds since 1970 of a number, with or without `@`, or of RFC 3339. @throws ERR_USAGE naming the flag */
export function secondsOf(flag: string, text: string): number {
  const number = /^@?(\d{1,12})$/.exec(text)?.[1];
  const isWritten = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text);
  const seconds = number === undefined ? (isWritten ? Math.floor(Date.parse(text) / 1000) : Number.NaN) : Number(number);
  if (seconds >= 0 && seconds <= lastSecond) return seconds;
  throw new BuilderError('ERR_USAGE', `Cannot use ${flag === 'SOURCE_DATE_EPOCH' ? '' : '--'}${flag} ${text}: it is no time`, {
    hint: 'seconds since 1970, or 2026-11-26T12:00:00Z',
  });
}

/** What SOURCE_DATE_EPOCH says. @throws ERR_USAGE */
export function epochOf(env: Environment): number | undefined {
  const text = env['SOURCE_DATE_EPOCH'];
  return text === undefined || text === '' ? undefined : secondsOf('SOURCE_DATE_EPOCH', text);
}
