// Signs of life: whoever reads a log of lines is told what goes on where nothing was told for a while.
import type { BuildEvent, Emit } from '../events.ts';
import { formatBytes } from './units.ts';
import { Transfers } from './transfers.ts';

/** What is downloaded is told after its first second, and then each time so many seconds went by without a line. */
const transferSilences = [1000, 5000, 10_000, 20_000];
/** Of anything else. */
const silenceMs = 20_000;

export interface Heartbeat {
  readonly emit: Emit;
  readonly close: () => void;
}

const activities: Readonly<Record<string, string>> = {
  starting: 'starting',
  checking: 'checking',
  pulling: 'pulling',
  unpacking: 'unpacking',
  building: 'building',
  running: 'the command runs',
  snapshotting: 'looking for what changed',
  pushing: 'pushing',
  writing: 'writing',
  finished: 'finishing',
};

/**
 * Passes every event on, and a `heartbeat` where `next` was told nothing that it prints. `isLine` says what it prints.
 * The first event of some work starts it: a report that is told nothing but warnings and notes has nothing to repeat, as the one of a
 * build that goes on in a sandbox, by a report of its own.
 */
export function withHeartbeat(next: Emit, isLine: (event: BuildEvent) => boolean, now: () => number): Heartbeat {
  const transfers = new Transfers();
  let doing = 'starting';
  let since = now();
  let lastLine = now();
  let beats = 0;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const emit: Emit = (event) => {
    if (!isClosed && event.kind !== 'warning' && event.kind !== 'note') timer ??= setInterval(tick, 500).unref();
    transfers.update(event);
    if (event.kind === 'phase') {
      const activity = `${activities[event.phase] ?? event.phase}${event.detail === undefined ? '' : ` ${event.detail}`}`;
      if (activity !== doing) [doing, since, beats] = [activity, now(), 0];
    }
    if (event.kind === 'step.started' || event.kind === 'unpack.finished') [doing, since, beats] = ['building', now(), 0];
    if (isLine(event)) [lastLine, beats] = [now(), 0];
    next(event);
  };
  const tick = (): void => {
    const { pull, push } = transfers.moving();
    const moved = pull.sizeBytes > 0 ? { ...pull, verb: 'pulled' } : push.sizeBytes > 0 ? { ...push, verb: 'pushed' } : undefined;
    // What is pushed early goes on behind a RUN, which has lines of its own.
    const isTransfer = moved !== undefined && (moved.verb === 'pulled' || doing.startsWith('pushing'));
    const silence = isTransfer ? (transferSilences[beats] ?? silenceMs) : silenceMs;
    if (now() - lastLine < silence) return;
    beats += 1;
    lastLine = now();
    const what = isTransfer ? `${moved.verb} ${formatBytes(moved.doneBytes)} of ${formatBytes(moved.sizeBytes)}` : doing;
    next({ kind: 'heartbeat', doing: what, sinceMs: now() - since });
  };
  const close = (): void => {
    isClosed = true;
    clearInterval(timer);
  };
  return { emit, close };
}
