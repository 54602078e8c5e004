// When a request is tried again, and how long we wait before: one table for the whole room.
import { setTimeout } from 'node:timers/promises';
import { RegistryError } from '../errors.ts';

/** Time and chance, so that tests need not wait. */
export interface Clock {
  /** Milliseconds that only ever grow; says nothing about the date. */
  readonly now: () => number;
  readonly sleep: (durationMs: number, signal: AbortSignal) => Promise<void>;
  /** 0 to 1. */
  readonly random: () => number;
}

export interface RetryPolicy {
  readonly tries: number;
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** After so much time no further try is made; waits that the server asked for don't count. */
  readonly budgetMs: number;
  readonly longestRetryAfterMs: number;
}

/** The real clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: async (durationMs, signal) => {
    try {
      await setTimeout(durationMs, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
  random: () => Math.random(),
};

/** Six tries: 1, 2, 4, 8, 16 seconds apart, each ±20 %. */
export const defaultRetryPolicy: RetryPolicy = {
  tries: 6,
  firstDelayMs: 1000,
  longestDelayMs: 30_000,
  budgetMs: 300_000,
  longestRetryAfterMs: 600_000,
};

/** A failure that may go away: the network, or a server that is busy. */
export class TransientError extends RegistryError {
  /** How long the server asked us to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    request: ConstructorParameters<typeof RegistryError>[1],
    options?: { readonly cause?: unknown; readonly hint?: string; readonly retryAfterMs?: number | undefined },
  ) {
    super(message, request, options);
    this.retryAfterMs = options?.retryAfterMs;
  }
}

const transientStatuses: ReadonlySet<number> = new Set([408, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524]);

/** True for a status that another try may change. */
export function isTransientStatus(status: number): boolean {
  return transientStatuses.has(status);
}

/**
 * Runs `operation` until it succeeds, fails for good, or the policy's tries or time are used up.
 * @throws what the last try threw.
 */
export async function withRetries<Value>(
  retry: { readonly policy: RetryPolicy; readonly clock: Clock },
  signal: AbortSignal,
  operation: (attempt: number) => Promise<Value>,
): Promise<Value> {
  const { policy, clock } = retry;
  const startedMs = clock.now();
  let askedMs = 0;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await operation(attempt);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TransientError) || attempt >= policy.tries) throw error;
      const jitter = 0.8 + 0.4 * clock.random();
      const backoffMs = Math.min(policy.firstDelayMs * 2 ** (attempt - 1), policy.longestDelayMs) * jitter;
      const asked = error.retryAfterMs === undefined ? 0 : Math.min(error.retryAfterMs, policy.longestRetryAfterMs);
      const delayMs = Math.max(backoffMs, asked);
      askedMs += asked;
      if (clock.now() - startedMs - askedMs + backoffMs > policy.budgetMs) throw error;
      await clock.sleep(delayMs, signal);
    }
  }
}

/**
 * The wait that a `Retry-After` header asks for, in milliseconds: seconds, or a date, which is read against the
 * server's own `Date` because our clock may be off. Undefined for anything else.
 */
export function parseRetryAfter(value: string | undefined, serverDate: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const until = Date.parse(text);
  const from = serverDate === undefined ? Number.NaN : Date.parse(serverDate);
  const waitMs = until - from;
  return Number.isFinite(waitMs) && waitMs >= 0 && /[a-z]/i.test(text) ? waitMs : undefined;
}
