// Durations as Go writes them: "1h2m3.5s".

const unitNs: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['µs', 1_000n],
  ['μs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);

/** Nanoseconds, negative ones included; undefined for text that isn't a duration. "0" needs no unit. */
export function parseDuration(text: string): number | undefined {
  const [, sign, body = ''] = /^([+-]?)(.+)$/.exec(text) ?? [];
  if (body === '0') return 0;
  let total = 0n;
  let rest = body;
  while (rest !== '') {
    const match = /^(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/.exec(rest);
    const unit = unitNs.get(match?.[2] ?? '');
    if (match === null || unit === undefined) return undefined;
    const [whole = '', fraction = ''] = (match[1] ?? '').split('.');
    total += BigInt(whole === '' ? '0' : whole) * unit + (BigInt(fraction === '' ? '0' : fraction) * unit) / 10n ** BigInt(fraction.length);
    rest = rest.slice(match[0].length);
  }
  // int64 is what Go holds a duration in: about 292 years.
  if (body === '' || total > 2n ** 63n - 1n) return undefined;
  return Number(sign === '-' ? -total : total);
}
