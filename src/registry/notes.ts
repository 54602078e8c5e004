// What is told of exchanges with registries: each one to who debugs, and once what a registry, or its clock, says about us.
import type { Emit } from '../events.ts';
import type { HttpClient, HttpRequest, HttpResponse } from './http-client.ts';
import { header, redactUrl } from './response.ts';

/** A request that was answered, or was not. */
export interface Exchange {
  readonly request: HttpRequest;
  /** Up to the first byte of the answer's body. */
  readonly durationMs: number;
  readonly outcome: HttpResponse | Error;
}

/** Clocks may differ by so much before certificates and tokens suffer. */
const bearableSkewMs = 5 * 60_000;

/** The same client; `onExchange` hears of each exchange when its answer begins, or fails. */
export function observed(client: HttpClient, onExchange: (exchange: Exchange) => void): HttpClient {
  return {
    close: client.close,
    exchange: async (request, signal) => {
      const sinceMs = performance.now();
      const tell = (outcome: HttpResponse | Error): void => onExchange({ request, outcome, durationMs: performance.now() - sinceMs });
      try {
        const response = await client.exchange(request, signal);
        tell(response);
        return response;
      } catch (error) {
        tell(error instanceof Error ? error : new Error(String(error)));
        throw error;
      }
    },
  };
}

/** Emits notes and warnings; one teller for one client. */
export function exchangeNotes(emit: Emit, wallClock: () => number = Date.now): (exchange: Exchange) => void {
  const warnings = new Set<string>();
  const warn = (code: string, message: string): void => {
    if (warnings.has(message) || warnings.size > 100) return;
    warnings.add(message);
    emit({ kind: 'warning', code, message });
  };
  let isFirst = true;
  return ({ request, durationMs, outcome }) => {
    const took = `${Math.round(durationMs)} ms`;
    const state = outcome instanceof Error ? `failed after ${took}: ${outcome.message}` : `${outcome.status} ${took}`;
    emit({ kind: 'note', level: 'debug', message: `${request.method} ${redactUrl(request.url)} ${state}` });
    if (outcome instanceof Error) return;
    for (const text of outcome.headers.get('warning') ?? []) {
      const said = spokenWarning(text);
      if (said !== undefined) warn('registry', `${request.url.host} says: ${said}`);
    }
    if (isFirst) {
      const skew = skewOf(header(outcome, 'date'), wallClock());
      if (skew !== undefined) warn('clock', `the clock of ${request.url.host} is ${skew} ours: certificates and tokens may look invalid`);
    }
    isFirst = false;
  };
}

/** distribution-spec, Warnings: told, never acted upon. */
function spokenWarning(text: string): string | undefined {
  const quoted = /^299 - "(.*)"/s.exec(text.slice(0, 4096))?.[1];
  return quoted?.replace(/\\(.)/gs, '$1').replace(/\p{Cc}+/gu, ' ');
}

/** "12 minutes ahead of", where two clocks differ by too much. */
function skewOf(date: string | undefined, nowMs: number): string | undefined {
  const theirsMs = date === undefined ? Number.NaN : Date.parse(date);
  const skewMs = theirsMs - nowMs;
  if (!(Math.abs(skewMs) > bearableSkewMs)) return undefined;
  return `${Math.round(Math.abs(skewMs) / 60_000)} minutes ${skewMs > 0 ? 'ahead of' : 'behind'}`;
}
