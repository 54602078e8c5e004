// What every command gets from the command line.
import type { ParsedFlags } from './flags.ts';
import type { Report } from './report.ts';
import type { Environment, Settings } from './settings.ts';
import type { Sink } from './sink.ts';

export interface CommandInput {
  readonly settings: Settings;
  readonly positionals: readonly string[];
  readonly flags: ParsedFlags['values'];
  readonly env: Environment;
  readonly report: Report;
  readonly stdout: Sink;
  /** Somebody sits in front of it. */
  readonly hasTerminal: boolean;
  readonly signal: AbortSignal;
}
