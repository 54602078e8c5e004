// A failure → an exit status and the lines that a person reads: what failed, where, because, what to try.
import { BuilderError, CommandError } from '../errors.ts';

/** kaniko's statuses: a RUN's own code, else 1; ours besides: 2 for usage, 128+n for a signal. */
export function exitStatusOf(error: unknown): number {
  if (!(error instanceof BuilderError)) return 1;
  if (error instanceof CommandError) {
    if (error.exitCode !== undefined && error.exitCode > 0) return error.exitCode;
    return error.signalName === undefined ? 1 : 128 + (signalNumbers[error.signalName] ?? 0);
  }
  if (error.code === 'ERR_USAGE') return 2;
  return 1;
}

/** Numbers of the signals that end a build or a RUN. */
export const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

/** The lines of a failure. A mistake of ours says so; nothing here prints a stack unless `isVerbose`. */
export function describeFailure(error: unknown, isVerbose: boolean): readonly string[] {
  if (!(error instanceof BuilderError)) {
    const text = error instanceof Error ? error.message : String(error);
    const stack = isVerbose && error instanceof Error && error.stack !== undefined ? [error.stack] : [];
    return [`error: ${text}`, ...stack, '  this is a mistake in yadokari itself; --verbosity=debug shows where'];
  }
  const lines = [`error: ${error.message}`];
  let hint = error.hint;
  const seen = new Set<string>([error.message]);
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (!seen.has(cause.message)) lines.push(`  because: ${cause.message}`);
    seen.add(cause.message);
    if (cause instanceof BuilderError) hint ??= cause.hint;
  }
  if (hint !== undefined) lines.push(`  try: ${hint}`);
  if (isVerbose && error.stack !== undefined) lines.push(error.stack);
  return lines;
}
