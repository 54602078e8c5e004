// Remembers what the build is doing, for the line that a signal or a failure leaves behind.
import type { BuildEvent, Emit, Phase, StepLabel } from '../events.ts';
import { stepPlace } from './describe.ts';

export interface Progress {
  readonly emit: Emit;
  /** `while running step 4/9 (RUN make, Dockerfile:12)`. */
  readonly where: () => string;
  /** What of the build is to be seen outside: `nothing was tagged`. */
  readonly outcome: () => string;
  readonly failedStep: () => StepLabel | undefined;
}

/** Passes every event on, and keeps the last phase and step. */
export function trackProgress(next: Emit): Progress {
  let phase: Phase = 'starting';
  let detail: string | undefined;
  let step: StepLabel | undefined;
  const written: string[] = [];
  const emit = (event: BuildEvent): void => {
    if (event.kind === 'phase') ({ phase, detail } = { phase: event.phase, detail: event.detail });
    if (event.kind === 'step.started') step = event.step;
    if (event.kind === 'step.finished') step = undefined;
    if (event.kind === 'image.written') written.push(event.destination);
    // What a step begins with, and goes on with after it has unpacked an image.
    if (isBackToBuilding(event)) ({ phase, detail } = { phase: 'building', detail: undefined });
    next(event);
  };
  const where = (): string => {
    const what = detail === undefined ? phase : `${phase} ${detail}`;
    if (step === undefined) return `while ${what}`;
    const place = `step ${stepPlace(step)} (${step.text.slice(0, 80)}, ${step.dockerfile}:${step.range.start.line})`;
    return `while ${what}${detail === undefined ? '' : ' for'} ${place}`;
  };
  const outcome = (): string => {
    if (written.length > 0) return `${written.join(', ')} had been written`;
    return phase === 'pushing' ? 'a tag may have been written' : 'nothing was tagged';
  };
  return { emit, where, outcome, failedStep: () => step };
}

function isBackToBuilding({ kind }: BuildEvent): boolean {
  return kind === 'step.started' || kind === 'step.finished' || kind === 'unpack.finished';
}
