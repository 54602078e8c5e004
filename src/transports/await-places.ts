// Waiting for images that others are still building: a registry, or a shared volume, is where machines meet.
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';

/** Something that is not there yet, and a way to look for it. */
export interface Awaited<Value> {
  readonly name: string;
  /** @throws BuilderError where it is not there, or not the right one */
  readonly look: (signal: AbortSignal) => Promise<Value>;
}

export interface Patience {
  /** 0: everything has to be there at once. */
  readonly waitMs: number;
  /** `30m`, for messages. */
  readonly waitText: string;
  readonly now: () => number;
  readonly sleep: (durationMs: number, signal: AbortSignal) => Promise<void>;
  readonly emit: Emit;
}

/** The first pause; each is half as long again, up to the longest. */
const firstPauseMs = 1000;
const longestPauseMs = 15_000;
/** Somebody who looks at the log is told this often what is missing. */
const reminderMs = 60_000;
/** Never cured by time. */
const final: ReadonlySet<string> = new Set(['ERR_ABORTED', 'ERR_UNSUPPORTED', 'ERR_USAGE', 'ERR_INTERNAL']);

/**
 * What is looked for, in the order of the list; what was found is not looked for again.
 * @throws ERR_REFERENCE after `waitMs`, naming what is missing and what was the matter; at once what looking throws where no time helps
 */
export async function awaitAll<Value>(
  list: readonly Awaited<Value>[],
  { waitMs, waitText, now, sleep, emit }: Patience,
  signal: AbortSignal,
): Promise<readonly Value[]> {
  const found = new Map<Awaited<Value>, Value>();
  const deadline = now() + waitMs;
  let told = '';
  let toldAt = now();
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)) {
    const missing: string[] = [];
    for (const item of list) {
      if (found.has(item)) continue;
      try {
        found.set(item, await item.look(signal));
        if (told !== '') emit({ kind: 'note', level: 'info', message: `found ${item.name}` });
      } catch (error) {
        if (waitMs <= 0 || signal.aborted || !(error instanceof BuilderError) || final.has(error.code)) throw error;
        missing.push(error.message.includes(item.name) ? error.message : `${item.name}: ${error.message}`);
      }
    }
    if (missing.length === 0) return list.flatMap((item) => found.get(item) ?? []);
    if (now() >= deadline)
      throw new BuilderError('ERR_REFERENCE', `Cannot make the index: after ${waitText} still waiting for ${missing.join('; ')}`, {
        hint: 'look at the builds that should have pushed them, or give --wait more time',
      });
    const message = `waiting up to ${waitText} for ${missing.length} of ${list.length} images: ${missing.join('; ')}`;
    if (message !== told || now() - toldAt >= reminderMs) {
      emit({ kind: 'note', level: 'info', message });
      told = message;
      toldAt = now();
    }
    await sleep(Math.min(pauseMs, Math.max(0, deadline - now())), signal);
  }
}
