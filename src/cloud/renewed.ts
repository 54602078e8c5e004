// What is good for a while: kept, asked for once by all who want it, and renewed in time.
import { JointWork } from '../registry/joint-work.ts';
import type { Clock } from '../registry/retry.ts';

export interface Passing<Value> {
  readonly value: Value;
  /** How long it is good from now on; for ever where left out. */
  readonly lifeMs?: number;
}

interface Kept<Value> {
  readonly value: Value | undefined;
  /** On the clock: from then on a newer one is asked for. */
  readonly renewAtMs: number;
  readonly goneAtMs: number;
}

/** So long after a renewal that failed the old value is given out without another try: each of them takes all its retries. */
const pauseMs = 30_000;

/** A value and how to get another; that there is none is kept, too. */
export class Renewed<Value> {
  readonly #obtain: (signal: AbortSignal) => Promise<Passing<Value> | undefined>;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #work = new JointWork<'it', Kept<Value>>();
  #last: Kept<Value> | undefined;
  /** On the clock. */
  #pausedUntilMs = 0;

  constructor(clock: Pick<Clock, 'now'>, obtain: (signal: AbortSignal) => Promise<Passing<Value> | undefined>) {
    this.#clock = clock;
    this.#obtain = obtain;
  }

  /** The value, with the time on the clock until which nobody needs to ask again. @throws what obtaining throws, unless the old one still does */
  async get(signal: AbortSignal): Promise<{ readonly value: Value | undefined; readonly renewAtMs: number }> {
    if (this.#last !== undefined && this.#clock.now() < Math.max(this.#last.renewAtMs, this.#pausedUntilMs)) return this.#last;
    try {
      const kept = await this.#work.get('it', signal, async (inner) => keep(await this.#obtain(inner), this.#clock.now()));
      this.#work.delete('it', kept);
      this.#last = kept;
      return kept;
    } catch (error) {
      signal.throwIfAborted();
      if (this.#last?.value === undefined || this.#clock.now() >= this.#last.goneAtMs) throw error;
      this.#pausedUntilMs = Math.min(this.#clock.now() + pauseMs, this.#last.goneAtMs);
      return this.#last;
    }
  }

  /** The next one who asks gets a new one. */
  forget(): void {
    this.#last = undefined;
    this.#work.clear();
  }
}

function keep<Value>(passing: Passing<Value> | undefined, nowMs: number): Kept<Value> {
  const { value, lifeMs = Number.POSITIVE_INFINITY } = passing ?? {};
  // Five minutes before, as the clouds' own clients do; a tenth of what is short.
  const marginMs = Math.min(300_000, lifeMs / 10);
  return { value, renewAtMs: nowMs + lifeMs - (lifeMs === Number.POSITIVE_INFINITY ? 0 : marginMs), goneAtMs: nowMs + lifeMs };
}

/** Milliseconds from a server's own date (ours may be off) to `until`, at least a minute. */
export function lifeUntil(until: number, serverDate: string | undefined, nowMs: number): number {
  const server = serverDate === undefined ? Number.NaN : Date.parse(serverDate);
  const life = until - (Number.isNaN(server) ? nowMs : server);
  return Number.isFinite(life) ? Math.max(life, 60_000) : 60_000;
}

/** Milliseconds that an `expires_in` of seconds says, number or text; five minutes where it says nothing. */
export function lifeOfSeconds(seconds: unknown): number {
  const number = typeof seconds === 'string' ? Number(seconds) : seconds;
  return typeof number === 'number' && Number.isFinite(number) && number > 0 ? Math.max(number * 1000, 60_000) : 300_000;
}
