// Sizes as people write them for engines: `512m`, `2g`, `1048576`.
import { BuilderError } from '../../errors.ts';

const units: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** Bytes. @throws ERR_USAGE naming the flag */
export function parseSize(flag: string, text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([bkmgt]?)(?:i?b)?$/i.exec(text) ?? [];
  const bytes = Number(number) * (units[unit.toLowerCase()] ?? Number.NaN);
  if (Number.isSafeInteger(Math.round(bytes)) && bytes > 0) return Math.round(bytes);
  throw new BuilderError('ERR_USAGE', `Cannot use --${flag} ${text}: expected a size`, { hint: 'for example 512m or 2g' });
}
