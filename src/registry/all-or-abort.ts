// Several requests at once that are of no use without each other.

/** Like Promise.all, but the first failure stops the others, and none is left running behind. */
export async function allOrAbort<Item>(
  signal: AbortSignal,
  items: readonly Item[],
  task: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const inner = AbortSignal.any([signal, controller.signal]);
  const failures: unknown[] = [];
  await Promise.all(
    items.map(async (item) => {
      try {
        await task(item, inner);
      } catch (error) {
        failures.push(error);
        controller.abort(error);
      }
    }),
  );
  signal.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}
