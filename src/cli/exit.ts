// A failure → an exit status and the lines that a person reads: what failed, where, because, what to try.
import { constants } from 'node:os';
import type { Dockerfile } from '../dockerfile/instruction.ts';
import { formatDockerfileError, formatPlace, withoutControls } from '../dockerfile/message.ts';
import {
  BuilderError,
  CommandError,
  DockerfileError,
  type ErrorCode,
  type SourceRange,
  messageOf,
  systemCode,
  systemReason,
} from '../errors.ts';
import type { StepLabel } from '../events.ts';
import { stepPlace } from '../report/describe.ts';

/** kaniko's statuses: a RUN's own code, else 1; ours besides: 128+n for a signal. */
export function exitStatusOf(error: unknown): number {
  if (!(error instanceof BuilderError)) return 1;
  if (error instanceof CommandError) {
    if (error.exitCode !== undefined && error.exitCode > 0) return error.exitCode;
    return error.signalName === undefined ? 1 : 128 + (signalNumbers[error.signalName] ?? 0);
  }
  return 1;
}

/** Numbers of the signals that end a build or a RUN. */
export const signalNumbers: Readonly<Record<string, number>> = constants.signals;

/** The lines of a failure. A mistake of ours says so; nothing here prints a stack unless `isVerbose`. */
export function describeFailure(error: unknown, isVerbose: boolean): readonly string[] {
  if (!(error instanceof BuilderError)) {
    const refusal = describeRefusal(error);
    if (refusal !== undefined) return refusal;
    const text = messageOf(error);
    const stack = isVerbose && error instanceof Error && error.stack !== undefined ? [error.stack] : [];
    return [`error: ${text}`, ...stack, '  this is a mistake in yadokari itself; --verbosity=debug shows where'];
  }
  const lines = [`error: ${error.message}`];
  if (error instanceof CommandError && error.ranAs !== undefined) lines.push(`  ran with: ${error.ranAs}`);
  let hint = error.hint;
  const said = [error.message];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    // Many a message tells its cause itself, or what the system says of it; OpenSSL speaks of its own source, and is always put into words.
    const isSaid = [cause.message, systemReason(cause).replace(/ or directory$/, '')].some((text) =>
      said.some((above) => above.toLowerCase().includes(text.toLowerCase())),
    );
    if (!isSaid && !/^[0-9A-F]+:error:/.test(cause.message)) lines.push(`  because: ${cause.message}`);
    said.push(cause.message);
    hint ??= cause instanceof BuilderError ? cause.hint : systemHints[systemCode(cause) ?? ''];
  }
  if (hint !== undefined) lines.push(`  try: ${hint}`);
  lines.push(codeLine(error.code));
  if (isVerbose && error.stack !== undefined) lines.push(error.stack);
  return lines;
}

/** What the system means by a refusal that can strike anywhere. */
const systemHints: Readonly<Record<string, string>> = {
  ENOSPC:
    'no space is left: in a pod resources.limits.ephemeral-storage, or --kaniko-dir on a volume with more; elsewhere TMPDIR or --root on a larger disk',
  EDQUOT: 'the quota of this disk is used up: in a pod --kaniko-dir on a volume with more; elsewhere TMPDIR or --root on another disk',
  EROFS: 'it is mounted read-only: securityContext.readOnlyRootFilesystem: false, or mount it for writing',
  EMFILE: 'too many files are open: raise the limit of open files (ulimit -n)',
  ENOMEM: 'no memory is left: raise resources.limits.memory of the pod',
};

/** What a system may refuse to whoever asks rightly; the rest it refuses because we asked for nonsense. */
const refusalCodes = new Set('EACCES EPERM EROFS ENOSPC EDQUOT EIO EMFILE ENFILE ENOMEM ENAMETOOLONG ESTALE'.split(' '));

/** The lines of a system's refusal that nobody put into words before; undefined for anything else. */
function describeRefusal(error: unknown): readonly string[] | undefined {
  const code = systemCode(error) ?? '';
  if (!(error instanceof Error) || !refusalCodes.has(code)) return undefined;
  const [, state, what] = /^\w+: (.*?), (.*)$/s.exec(error.message) ?? [];
  const hint = systemHints[code];
  return [
    state === undefined ? `error: ${error.message}` : `error: Cannot ${what ?? ''}: ${state}`,
    ...(hint === undefined ? [] : [`  try: ${hint}`]),
    codeLine('ERR_ROOTFS'),
  ];
}

/** The name under which `help` and docs/errors.md say more. */
export function codeLine(code: ErrorCode): string {
  return `  code: ${code} (docs/errors.md)`;
}

/** Where in the Dockerfile a failure is: where it says itself, or at the step that failed. */
export function failureRange(error: unknown, step: StepLabel | undefined): SourceRange | undefined {
  return (error instanceof BuilderError ? error.range : undefined) ?? step?.range;
}

/** The lines of a failure with the place in the Dockerfile quoted: the error's own, or that of the step that failed. */
export function describeBuildFailure(
  error: unknown,
  at: { readonly dockerfile: Pick<Dockerfile, 'name' | 'text'> | undefined; readonly step: StepLabel | undefined },
  isVerbose: boolean,
): readonly string[] {
  const { dockerfile, step } = at;
  if (error instanceof DockerfileError && dockerfile !== undefined) {
    const place = formatDockerfileError(error, dockerfile.text, dockerfile.name).split('\n');
    return [`error: ${place[0] ?? ''}`, ...place.slice(1), ...triggerOf(step, error.range, dockerfile.text), codeLine(error.code)];
  }
  const [first = '', ...others] = describeFailure(error, isVerbose);
  const range = failureRange(error, step);
  if (dockerfile === undefined || range === undefined) return [first, ...others];
  const [head = '', ...quoted] = formatPlace(range, dockerfile.text, dockerfile.name).map(withoutControls);
  const number = step === undefined ? '' : ` (step ${stepPlace(step)})`;
  return [first, head + number, ...quoted, ...triggerOf(step, range, dockerfile.text), ...others];
}

/** What failed stands in no line of the file where it is a trigger of the base: its place is the FROM that brought it. */
function triggerOf(step: StepLabel | undefined, { start }: SourceRange, text: string): readonly string[] {
  if (step === undefined || start.line !== step.range.start.line) return [];
  const isFrom = /^\s*FROM\s/i.test(text.split('\n')[start.line - 1] ?? '');
  return isFrom ? [`  of its base: ${withoutControls(`ONBUILD ${step.text}`)}`] : [];
}
