// How much is told.
import type { BuildEvent } from '../events.ts';

export const logFormats = ['text', 'color', 'json'] as const;
/** A build's word for --quiet in that place. */
export const quietFormat = 'quiet';
export const verbosities = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'panic'] as const;

export type LogFormat = (typeof logFormats)[number];
export type Verbosity = (typeof verbosities)[number];
export type EventLevel = 'trace' | 'debug' | 'info' | 'warn';

const severity: Readonly<Record<Verbosity, number>> = { trace: 0, debug: 1, info: 2, warn: 3, error: 4, fatal: 5, panic: 5 };

/** What is told at any verbosity: errors, and what a RUN prints (as in kaniko, where it goes past the log). */
export function isTold(level: Verbosity, verbosity: Verbosity, event?: BuildEvent): boolean {
  return event?.kind === 'output' || severity[level] >= Math.min(severity[verbosity], severity.error);
}

export function levelOf(event: BuildEvent): EventLevel {
  if (event.kind === 'warning') return 'warn';
  if (event.kind === 'note') return event.level;
  if (event.kind === 'blob.progress' || event.kind === 'sample' || event.kind === 'phase' || event.kind === 'image.contents')
    return 'trace';
  if (event.kind === 'snapshot.finished' || event.kind === 'stage.finished' || event.kind === 'image.resolved') return 'debug';
  return 'info';
}
