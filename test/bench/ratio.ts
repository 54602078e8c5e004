// Ways to do the same work, timed in turns: machines are noisy, but noise meets them all.

export interface Ratio {
  readonly name: string;
  readonly reference: string;
  /** Milliseconds of each round. */
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
  readonly aim: number;
}

/** One side of a comparison; `prepare` is not timed. */
export interface Side {
  prepare?(): Promise<void>;
  run(): Promise<void>;
}

/** Runs all sides `rounds` times, each round beginning with another, after one round that doesn't count; gives each side's results. */
export async function inTurns<Result>(rounds: number, sides: readonly (() => Promise<Result>)[]): Promise<readonly (readonly Result[])[]> {
  const results = sides.map((): Result[] => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [place] of sides.entries()) {
      const turn = (round + place) % sides.length;
      const result = await sides[turn]?.();
      if (round > 0 && result !== undefined) results[turn]?.push(result);
    }
  }
  return results;
}

/** Times both sides in turns. */
export async function compare(
  names: { readonly name: string; readonly reference: string; readonly aim: number },
  rounds: number,
  sides: { readonly ours: Side; readonly theirs: Side },
): Promise<Ratio> {
  const timed = (side: Side) => async () => {
    await side.prepare?.();
    const started = performance.now();
    await side.run();
    return performance.now() - started;
  };
  const [ours = [], theirs = []] = await inTurns(rounds, [timed(sides.ours), timed(sides.theirs)]);
  return { ...names, ours, theirs };
}

/** The quotients of two sides' results, pair by pair. */
export function ratios(ours: readonly number[], theirs: readonly number[]): readonly number[] {
  return ours.map((value, index) => value / (theirs[index] ?? Number.NaN));
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? Number.NaN) + (sorted[Math.floor(half)] ?? Number.NaN)) / 2;
}

/** `median (least–most)`, or only the value where there is one. */
export function spread(values: readonly number[], digits: number): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const range = values.length > 1 ? ` (${least.toFixed(digits)}–${most.toFixed(digits)})` : '';
  return `${median(values).toFixed(digits)}${range}`;
}
