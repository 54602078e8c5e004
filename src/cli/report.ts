// Events → what people and machines read: plain lines, the same with a live last line on a terminal, or JSON by pino.
import { createRequire } from 'node:module';
import type { Logger, pino as makeLogger } from 'pino';
import type { BuildEvent, Emit, StepLabel } from '../events.ts';
import type { Sink } from './sink.ts';
import type { logFormats, verbosities } from './tables/log.ts';
import { formatBytes, formatCount, formatDuration } from './units.ts';

export type LogFormat = (typeof logFormats)[number];
export type Verbosity = (typeof verbosities)[number];

export interface ReportOptions {
  readonly format: LogFormat;
  readonly verbosity: Verbosity;
  readonly timestamps: boolean;
  readonly sink: Sink;
  /** Milliseconds since 1970, for timestamps. */
  readonly now: () => number;
}

export interface Report {
  readonly emit: Emit;
  /** A line of our own, outside of any event: an error or the closing line. */
  readonly line: (level: 'info' | 'error', text: string) => void;
  /** Ends the live view; the report can still be written to. */
  readonly close: () => void;
}

/** Lines, or JSON where asked for. */
export function createReport(options: ReportOptions): Report {
  return options.format === 'json' ? jsonReport(options) : textReport(options);
}

/** What is told at any verbosity: errors, and what a RUN prints (as in kaniko, where it goes past the log). */
function isTold(level: Verbosity, verbosity: Verbosity, event?: BuildEvent): boolean {
  return event?.kind === 'output' || severity[level] >= Math.min(severity[verbosity], severity.error);
}

const severity: Readonly<Record<Verbosity, number>> = { trace: 0, debug: 1, info: 2, warn: 3, error: 4, fatal: 5, panic: 5 };

function jsonReport(options: ReportOptions): Report {
  // 10 ms that only this report is to pay, and before anything is built.
  const pino: typeof makeLogger = createRequire(import.meta.url)('pino');
  const logger: Logger = pino(
    {
      level: 'trace',
      base: null,
      messageKey: 'msg',
      timestamp: () => `,"time":"${new Date(options.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => options.sink.write(line) },
  );
  const emit: Emit = (event) => {
    const level = levelOf(event);
    if (!isTold(level, options.verbosity, event)) return;
    // The line has a level already, and an object whose key comes twice is read in as many ways as there are readers.
    const { level: _level, ...rest } = { level: undefined, ...event };
    logger[level](rest, describe(event) ?? event.kind);
  };
  const line: Report['line'] = (level, text) => {
    if (isTold(level, options.verbosity)) logger[level](text);
  };
  return { emit, line, close: () => undefined };
}

function textReport(options: ReportOptions): Report {
  const { sink } = options;
  const isColored = options.format === 'color' && sink.isTerminal;
  const live = sink.isTerminal && options.format === 'color' ? createLiveLine(sink, options.now) : undefined;
  const print = (text: string, style?: keyof typeof styles): void => {
    const stamp = options.timestamps ? `${new Date(options.now()).toISOString()} ` : '';
    const safe = harmless(text);
    const painted = isColored && style !== undefined ? `${styles[style]}${safe}\u001b[0m` : safe;
    live?.clear();
    sink.write(`${stamp}${painted}\n`);
    live?.paint();
  };
  const emit: Emit = (event) => {
    live?.update(event);
    if (!isTold(levelOf(event), options.verbosity, event)) return;
    const text = describe(event);
    if (text !== undefined) print(text, styleOf(event));
  };
  return {
    emit,
    line: (level, text) => {
      if (isTold(level, options.verbosity)) print(text, level === 'error' ? 'bad' : undefined);
    },
    close: () => live?.close(),
  };
}

const styles = { step: '\u001b[1m', dim: '\u001b[2m', good: '\u001b[32m', warn: '\u001b[33m', bad: '\u001b[31m' } as const;

function styleOf(event: BuildEvent): keyof typeof styles | undefined {
  if (event.kind === 'step.started') return 'step';
  if (event.kind === 'warning') return 'warn';
  if (event.kind === 'image.written') return 'good';
  if (event.kind === 'step.finished' || event.kind === 'blob.finished' || event.kind === 'unpack.finished') return 'dim';
  return undefined;
}

function levelOf(event: BuildEvent): 'trace' | 'debug' | 'info' | 'warn' {
  if (event.kind === 'warning') return 'warn';
  if (event.kind === 'note') return event.level;
  if (event.kind === 'blob.progress' || event.kind === 'phase') return 'trace';
  if (event.kind === 'snapshot.finished' || event.kind === 'stage.finished') return 'debug';
  return 'info';
}

/** One line for an event, or undefined where plain text says nothing. */
export function describe(event: BuildEvent): string | undefined {
  switch (event.kind) {
    case 'phase':
      return event.detail === undefined ? event.phase : `${event.phase}: ${event.detail}`;
    case 'stage.started':
      return event.stage === '' ? `FROM ${event.base}` : `FROM ${event.base} AS ${event.stage}`;
    case 'stage.finished':
      return `stage ${event.stage}: done in ${formatDuration(event.durationMs)}`;
    case 'step.started':
      return `${prefix(event.step)} ${event.step.text}`;
    case 'step.finished': {
      if (event.recalled !== undefined) return `${prefix(event.step)} from the cache, layer of ${formatBytes(event.recalled.sizeBytes)}`;
      const layer =
        event.layer === undefined
          ? ''
          : `, layer of ${formatCount(event.layer.entries, 'entry').replace(/entrys$/, 'entries')}, ${formatBytes(event.layer.sizeBytes)}`;
      return `${prefix(event.step)} done in ${formatDuration(event.durationMs)}${layer}`;
    }
    case 'output':
      return `${event.step.number} | ${event.line}`;
    case 'blob.progress':
      return `${event.direction} ${event.descriptor.digest}: ${formatBytes(event.doneBytes)} of ${formatBytes(event.descriptor.size)}`;
    case 'blob.finished': {
      const verb =
        event.how === 'transferred'
          ? event.direction === 'pull'
            ? 'pulled'
            : 'pushed'
          : event.how === 'mounted'
            ? 'mounted'
            : 'already there:';
      return `${verb} ${event.descriptor.digest.slice(0, 19)} ${formatBytes(event.descriptor.size)} (${event.repository})`;
    }
    case 'unpack.finished':
      return `unpacked ${formatCount(event.entries, 'entry').replace(/entrys$/, 'entries')} in ${formatDuration(event.durationMs)}`;
    case 'snapshot.finished':
      return `snapshot: ${event.changed} of ${event.scanned} changed, ${formatDuration(event.durationMs)}`;
    case 'image.written':
      return `Pushed ${event.destination}`
        .replace(/^Pushed (?=oci:|docker-archive:)/, 'Wrote ')
        .concat(event.destination.includes('@') ? '' : ` ${event.digest}`);
    case 'warning': {
      const where = event.range === undefined ? '' : ` (line ${event.range.start.line})`;
      return `warning: ${event.message}${where}`;
    }
    case 'note':
      return event.message;
    default:
      event satisfies never;
      return undefined;
  }
}

function prefix(step: StepLabel): string {
  const stage = step.stage === '' ? '' : `${step.stage} `;
  return `[${stage}${step.number}/${step.total}]`;
}

/** Without control characters, except colours: what a RUN or a registry says can't move the cursor or forge lines of ours. */
function harmless(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replace(/\u001b\[[0-9;]*m|[\u0000-\u0008\u000b-\u001f\u007f]/g, (found) => (found.length > 1 ? found : ''));
}

interface LiveLine {
  readonly update: (event: BuildEvent) => void;
  readonly clear: () => void;
  readonly paint: () => void;
  readonly close: () => void;
}

/** The last line of the terminal: what runs now, for how long, and how far transfers are. */
function createLiveLine(sink: Sink, now: () => number): LiveLine {
  const transfers = new Map<string, { readonly direction: string; readonly done: number; readonly size: number }>();
  let current: { readonly text: string; readonly since: number } | undefined;
  let isShown = false;
  const paint = (): void => {
    const parts: string[] = [];
    if (current !== undefined) parts.push(`${current.text} ${formatDuration(now() - current.since)}`);
    for (const direction of ['pull', 'push']) {
      const moving = [...transfers.values()].filter((transfer) => transfer.direction === direction);
      if (moving.length === 0) continue;
      const done = moving.reduce((sum, transfer) => sum + transfer.done, 0);
      const size = moving.reduce((sum, transfer) => sum + transfer.size, 0);
      parts.push(`${direction} ${formatBytes(done)} of ${formatBytes(size)}`);
    }
    if (parts.length === 0) return;
    const text = parts.join(' · ').slice(0, Math.max(20, sink.columns() - 1));
    sink.write(`\r\u001b[K\u001b[36m${text}\u001b[0m`);
    isShown = true;
  };
  const clear = (): void => {
    if (isShown) sink.write('\r\u001b[K');
    isShown = false;
  };
  const timer = setInterval(paint, 200);
  timer.unref();
  return {
    update: (event) => {
      if (event.kind === 'step.started') current = { text: `${prefix(event.step)} ${event.step.text}`.slice(0, 60), since: now() };
      if (event.kind === 'step.finished') current = undefined;
      if (event.kind === 'phase') current ??= { text: event.phase, since: now() };
      if (event.kind === 'blob.progress') {
        transfers.set(`${event.direction} ${event.descriptor.digest}`, {
          direction: event.direction,
          done: event.doneBytes,
          size: event.descriptor.size,
        });
      }
      if (event.kind === 'blob.finished') transfers.delete(`${event.direction} ${event.descriptor.digest}`);
    },
    clear,
    paint,
    close: () => {
      clearInterval(timer);
      clear();
    },
  };
}
