// Events as JSON, one object a line: for `--log-format=json` and for an events file.
import { createRequire } from 'node:module';
import type { Logger, pino as makeLogger } from 'pino';
import type { BuildEvent, Emit } from '../events.ts';
import { describe } from './describe.ts';
import { eventValue } from './event-json.ts';
import { isTold, levelOf, type Verbosity } from './level.ts';
import type { Report } from './report.ts';

export interface JsonOptions {
  readonly verbosity: Verbosity;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly write: (line: string) => void;
}

/** A report whose lines have level, time, text, and all of the event. */
export function jsonReport(options: JsonOptions): Report {
  // As long as nobody asks for JSON, nothing pays for pino: 10 ms.
  const pino: typeof makeLogger = createRequire(import.meta.url)('pino');
  const logger: Logger = pino(
    {
      level: 'trace',
      base: null,
      messageKey: 'msg',
      timestamp: () => `,"time":"${new Date(options.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: options.write },
  );
  const emit: Emit = (event) => {
    const level = levelOf(event);
    if (!isTold(level, options.verbosity, event)) return;
    // The line has a level already, and an object whose key comes twice is read in as many ways as there are readers.
    const { level: _level, ...rest } = { level: undefined, ...eventValue(event) };
    logger[level](rest, messageOf(event));
  };
  const line: Report['line'] = (level, text) => {
    if (isTold(level, options.verbosity)) logger[level](text);
  };
  return { emit, line, close: () => undefined };
}

function messageOf(event: BuildEvent): string {
  if (event.kind === 'output') return event.line;
  if (event.kind === 'build.finished' && event.failure !== undefined) return `failed: ${event.failure}`;
  return describe(event) ?? event.kind;
}
