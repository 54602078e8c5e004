// Two ways to do the same work, timed in turns: machines are noisy, but noise meets both.

export interface Ratio {
  readonly name: string;
  readonly reference: string;
  /** Milliseconds of each round. */
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
  /** Median of the rounds' ratios, ours to theirs; less is better. */
  readonly ratio: number;
  readonly aim: number;
}

/** One side of a comparison; `prepare` is not timed. */
export interface Side {
  prepare?(): Promise<void>;
  run(): Promise<void>;
}

/** Runs both sides `rounds` times, each round in the other order, after one round that doesn't count. */
export async function compare(
  names: { readonly name: string; readonly reference: string; readonly aim: number },
  rounds: number,
  sides: { readonly ours: Side; readonly theirs: Side },
): Promise<Ratio> {
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round++) {
    const turns = round % 2 === 0 ? (['ours', 'theirs'] as const) : (['theirs', 'ours'] as const);
    for (const turn of turns) {
      await sides[turn].prepare?.();
      const started = performance.now();
      await sides[turn].run();
      if (round > 0) (turn === 'ours' ? ours : theirs).push(performance.now() - started);
    }
  }
  return { ...names, ours, theirs, ratio: median(ours.map((ms, index) => ms / (theirs[index] ?? Number.NaN))) };
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? Number.NaN) + (sorted[Math.floor(half)] ?? Number.NaN)) / 2;
}
