// More tries of a whole pull, push or copy, as often as somebody asked for: single requests have tries of their own (`retry.ts`).
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';

export interface Again {
  /** In the warning of each further try: `pushing`. */
  readonly task: string;
  /** How often it may be tried again after this failure. */
  readonly retriesAfter: (error: BuilderError) => number;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** What `work` gives in the end. @throws the failure of the last try */
export async function withRetries<Value>(work: () => Promise<Value>, { task, retriesAfter, emit, signal }: Again): Promise<Value> {
  for (let retry = 1; ; retry++) {
    try {
      return await work();
    } catch (error) {
      const most = error instanceof BuilderError ? retriesAfter(error) : 0;
      if (!(error instanceof BuilderError) || retry > most || signal.aborted) throw error;
      emit({ kind: 'warning', code: `retry ${task} ${retry}`, message: `${error.message}; ${task} again (${retry} of ${most})` });
    }
  }
}
