// When a request is tried again, and how long we wait before: one table for the whole room.
import { setTimeout } from 'node:timers/promises';
import { RegistryError } from '../errors.ts';
import { given } from '../given.ts';

/** Time and chance, so that tests need not wait. */
export interface Clock {
  /** Milliseconds that only ever grow; says nothing about the date. */
  readonly now: () => number;
  readonly sleep: (durationMs: number, signal: AbortSignal) => Promise<void>;
  /** 0 to 1. */
  readonly random: () => number;
}

/** How failures that may pass are met. */
export interface Retry {
  readonly policy: RetryPolicy;
  readonly clock: Clock;
  /** Gets a line for each try that will be made: what failed, why, and when it is tried again. */
  readonly tell?: (line: string) => void;
  /** Where nobody listens, nobody is waited for: somebody else has the same. */
  readonly isElsewhere?: boolean;
}

export interface RetryPolicy {
  readonly tries: number;
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** So long after the first failure no further try is made; waits that the server asked for don't count. */
  readonly budgetMs: number;
  /** Whoever asks for a longer wait is told of instead. */
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
  /** Nobody listens there, or no way leads there. */
  readonly isRefusal: boolean;
  /** All tries were made: whoever retries something larger doesn't begin anew. */
  readonly isSpent: boolean;

  constructor(message: string, request: ConstructorParameters<typeof RegistryError>[1], options: TransientOptions = {}) {
    super(message, request, options);
    this.retryAfterMs = options.retryAfterMs;
    this.isRefusal = options.isRefusal === true;
    this.isSpent = options.isSpent === true;
  }
}

interface TransientOptions {
  readonly cause?: unknown;
  readonly hint?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly isRefusal?: boolean;
  readonly isSpent?: boolean;
}

/** Of the 4xx those four speak of time (499: a proxy's client, which is us, went away too early); the others are final. */
const transientStatuses: ReadonlySet<number> = new Set([408, 425, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524]);

/** True for a status that another try may change. */
export function isTransientStatus(status: number): boolean {
  return transientStatuses.has(status);
}

/**
 * Runs `operation` until it succeeds, fails for good, or the policy's tries or time are used up.
 * @throws what the last try threw; a TransientError is spent then
 */
export async function withRetries<Value>(
  retry: Retry,
  signal: AbortSignal,
  operation: (attempt: number) => Promise<Value>,
): Promise<Value> {
  const patience = new Patience(retry);
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await operation(attempt);
    } catch (error) {
      signal.throwIfAborted();
      await patience.wait(error, signal);
    }
  }
}

/** Bytes that, gained between two failures, make them count anew; fewer are a line that leads nowhere. */
export const progressBytes = 1024 * 1024;

/** Counts the failures of one thing, and waits between its tries. */
export class Patience {
  readonly #retry: Retry;
  readonly #task: string | undefined;
  /** Of the first failure: what went well before may have taken hours. */
  #sinceMs = 0;
  #askedMs = 0;
  #failures = 0;

  /** `task` ("verb object") is what is given up in the end, where a failure alone does not tell. */
  constructor(retry: Retry, task?: string) {
    this.#retry = retry;
    this.#task = task;
  }

  /** Something was gained: the failures before it don't count. */
  renew(): void {
    this.#failures = 0;
    this.#askedMs = 0;
  }

  /** Waits until it is time for another try. @throws `error` where none will be made */
  async wait(error: unknown, signal: AbortSignal): Promise<void> {
    const { policy, clock, tell, isElsewhere } = this.#retry;
    if (!(error instanceof TransientError) || error.isSpent) throw error;
    if (this.#failures === 0) this.#sinceMs = clock.now();
    this.#failures += 1;
    if (this.#failures >= policy.tries || (error.isRefusal && isElsewhere === true)) throw this.#spent(error);
    const jitter = 0.8 + 0.4 * clock.random();
    const backoffMs = Math.min(policy.firstDelayMs * 2 ** (this.#failures - 1), policy.longestDelayMs) * jitter;
    const asked = error.retryAfterMs ?? 0;
    if (asked > policy.longestRetryAfterMs) throw this.#spent(error, ` and asks to be left alone for ${Math.ceil(asked / 60_000)} minutes`);
    const delayMs = Math.max(backoffMs, asked);
    this.#askedMs += asked;
    if (clock.now() - this.#sinceMs - this.#askedMs + backoffMs > policy.budgetMs) throw this.#spent(error);
    tell?.(`${error.message}; trying again in ${Math.max(1, Math.round(delayMs / 1000))} s (${this.#failures + 1} of ${policy.tries})`);
    await clock.sleep(delayMs, signal);
  }

  #spent({ message, method, url, status, errors, cause, hint, retryAfterMs, isRefusal }: TransientError, more = ''): TransientError {
    const request = { method, url, errors, ...given({ status }) };
    const task = this.#task === undefined ? '' : `Cannot ${this.#task}: `;
    const tries = this.#failures > 1 ? ` (tried ${this.#failures} times)` : '';
    return new TransientError(`${message.startsWith(task) ? '' : task}${message}${more}${tries}`, request, {
      cause,
      hint,
      retryAfterMs,
      isRefusal,
      isSpent: true,
    });
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
