// What is told of a build, and to whom: lines, a terminal's live view, or JSON.
import type { SourceRange } from '../errors.ts';
import type { BuildEvent, Emit } from '../events.ts';
import { type Dialect, withoutCommands } from './dialect.ts';
import { withHeartbeat } from './heartbeat.ts';
import { jsonReport } from './json.ts';
import { isTold, levelOf, type LogFormat, type Verbosity } from './level.ts';
import { TextLines, type Style } from './lines.ts';
import { liveView } from './live.ts';
import type { Sink } from './sink.ts';
import { StepOutput } from './step-output.ts';
import { harmless } from './text.ts';

export interface ReportOptions {
  readonly format: LogFormat;
  readonly verbosity: Verbosity;
  readonly timestamps: boolean;
  /** Errors alone, and then the output of the step that failed. */
  readonly isQuiet?: boolean;
  /** What goes on now is drawn over and over at the bottom of the terminal. */
  readonly isLive?: boolean;
  readonly dialect?: Dialect;
  readonly sink: Sink;
  /** Milliseconds since 1970, for timestamps. */
  readonly now: () => number;
}

/** Where in a Dockerfile a failure is. */
interface FailurePlace {
  readonly file: string;
  readonly range: SourceRange;
}

export interface Report {
  readonly emit: Emit;
  /** A line of our own, outside of any event: an error or the closing line. */
  readonly line: (level: 'info' | 'error', text: string) => void;
  /** Ends the live view and what is folded; the report can still be written to. With a failure, a CI system is told of it. */
  readonly close: (failure?: { readonly message: string; readonly place?: FailurePlace }) => void;
}

/** Lines, or JSON where asked for. */
export function createReport(options: ReportOptions): Report {
  const { format, verbosity, sink, now } = options;
  return format === 'json' ? jsonReport({ verbosity, now, write: (line) => sink.write(line) }) : textReport(options);
}

const colours: Readonly<Record<Style, string>> = {
  step: '\u001b[1m',
  dim: '\u001b[2m',
  good: '\u001b[32m',
  warn: '\u001b[33m',
  bad: '\u001b[31m',
};

function textReport({ format, verbosity, timestamps, isQuiet = false, isLive = false, dialect, sink, now }: ReportOptions): Report {
  const isColored = format === 'color';
  const tells = (event: BuildEvent): boolean => isTold(levelOf(event), verbosity, event);
  const write = (text: string, style?: Style | 'raw'): void => {
    if (style === 'raw') return sink.write(`${text}\n`);
    const stamp = timestamps ? `${new Date(now()).toISOString()} ` : '';
    const safe = dialect === undefined ? harmless(text) : withoutCommands(harmless(text));
    sink.write(`${stamp}${isColored && style !== undefined ? `${colours[style]}${safe}\u001b[0m` : safe}\n`);
  };
  if (isQuiet) {
    const output = new StepOutput();
    const close: Report['close'] = (failure) => {
      if (failure !== undefined) output.print(write);
    };
    return { emit: (event) => output.update(event), line: lineWriter(write, 'error'), close };
  }
  if (isLive) {
    const print = (text: string, style?: Style | 'raw'): void => live.around(() => write(text, style));
    const live = liveView({ sink, print, isTold: tells, isColored, now });
    return { emit: live.emit, line: lineWriter(print, verbosity), close: (failure) => live.end(failure !== undefined) };
  }
  const lines = new TextLines({ print: write, isTold: tells, dialect, now });
  const beating = withHeartbeat((event) => lines.emit(event), tells, now);
  return {
    emit: beating.emit,
    line: lineWriter(write, verbosity),
    close: (failure) => {
      beating.close();
      lines.end(failure !== undefined);
      const annotation =
        failure === undefined ? undefined : dialect?.annotate({ level: 'error', message: harmless(failure.message), ...failure.place });
      if (annotation !== undefined) write(annotation, 'raw');
    },
  };
}

function lineWriter(print: (text: string, style?: Style) => void, verbosity: Verbosity): Report['line'] {
  return (level, text) => {
    if (isTold(level, verbosity)) print(text, level === 'error' ? 'bad' : undefined);
  };
}
