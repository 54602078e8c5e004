// At most so many at a time.

/** Runs tasks, `count` at once, in the order in which they came. */
export type Limit = <Value>(task: () => Promise<Value>) => Promise<Value>;

/** A limiter of its own; `count` is at least 1. */
export function createLimit(count: number): Limit {
  const waiting: (() => void)[] = [];
  let free = Math.max(1, count);
  return async (task) => {
    if (free === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      await promise;
    } else {
      free -= 1;
    }
    try {
      return await task();
    } finally {
      // The place goes straight to the next in line, so that nobody can slip in between.
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
