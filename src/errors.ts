// Every failure that a person should read: a code from a closed list, one sentence, and the cause.
import { getSystemErrorMessage } from 'node:util';
import type { Emit } from './events.ts';

/** What kind of thing went wrong; `cli/exit.ts` alone turns a code into an exit status. */
export type ErrorCode =
  | 'ERR_USAGE' // the command line or its environment can't be understood
  | 'ERR_REFERENCE' // an image name is malformed
  | 'ERR_DOCKERFILE' // the Dockerfile is wrong
  | 'ERR_CONTEXT' // the build context, or a source in it, is missing or unreadable
  | 'ERR_REGISTRY' // a registry answered with an error, or not at all
  | 'ERR_AUTH' // credentials are missing, refused or unreadable
  | 'ERR_DIGEST_MISMATCH' // content is not what its digest or size says
  | 'ERR_UNSAFE_PATH' // a path would leave the root or touch what is protected
  | 'ERR_LAYER' // a layer, archive or image layout is malformed
  | 'ERR_ROOTFS' // the root filesystem refused an operation
  | 'ERR_COMMAND' // a RUN command failed
  | 'ERR_UNSUPPORTED' // asked for something that can't be honoured here
  | 'ERR_TAMPERED' // a RUN changed something of the builder's own
  | 'ERR_ABORTED' // stopped by a signal or a deadline
  | 'ERR_INTERNAL'; // a bug of ours

/** A failure with a meaning: `message` is "Cannot <verb> <object>: <state>", `hint` what to try. */
export class BuilderError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  /** Where in the Dockerfile it happened, where that is known. */
  readonly range: SourceRange | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options?: { readonly cause?: unknown; readonly hint?: string | undefined; readonly range?: SourceRange | undefined },
  ) {
    super(shortened(hideCredentials(message)), options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options?.hint === undefined ? undefined : hideCredentials(options.hint);
    this.range = options?.range;
  }
}

/** Characters of a message; what strangers name in one (URLs, schemes, platforms) has no end. */
const messageLimit = 4000;

function shortened(message: string): string {
  return message.length <= messageLimit
    ? message
    : `${message.slice(0, messageLimit)} … (${message.length - messageLimit} more characters)`;
}

/** A place in a Dockerfile: lines and columns count from 1; `end` is the column after the last character. */
export interface SourceRange {
  readonly start: { readonly line: number; readonly column: number };
  readonly end: { readonly line: number; readonly column: number };
}

/** A mistake in a Dockerfile, pinned to where it stands. */
export class DockerfileError extends BuilderError {
  override readonly range: SourceRange;

  constructor(message: string, range: SourceRange, options?: { readonly cause?: unknown; readonly hint?: string | undefined }) {
    super('ERR_DOCKERFILE', message, options);
    this.range = range;
  }
}

/** A registry's refusal: what was asked (URL without secrets), the status, and the spec's error list. */
export class RegistryError extends BuilderError {
  readonly method: string;
  readonly url: string;
  readonly status: number | undefined;
  readonly errors: readonly { readonly code: string; readonly message: string }[];

  constructor(
    message: string,
    request: {
      readonly method: string;
      readonly url: string;
      readonly status?: number | undefined;
      readonly errors?: readonly { readonly code: string; readonly message: string }[];
    },
    options?: { readonly cause?: unknown; readonly hint?: string | undefined; readonly code?: 'ERR_REGISTRY' | 'ERR_AUTH' | undefined },
  ) {
    super(options?.code ?? 'ERR_REGISTRY', message, options);
    this.method = request.method;
    this.url = request.url;
    this.status = request.status;
    this.errors = request.errors ?? [];
  }
}

/** A RUN command that ended badly: its exit code, or the signal that killed it. */
export class CommandError extends BuilderError {
  readonly argv: readonly string[];
  readonly exitCode: number | undefined;
  readonly signalName: string | undefined;
  /** As whom and where it ran, where that is not root in `/`. */
  readonly ranAs: string | undefined;

  constructor(
    message: string,
    command: { readonly argv: readonly string[]; readonly exitCode?: number | undefined; readonly signalName?: string | undefined },
    options?: { readonly cause?: unknown; readonly hint?: string | undefined; readonly ranAs?: string | undefined },
  ) {
    super('ERR_COMMAND', message, options);
    this.argv = command.argv;
    this.ranAs = options?.ranAs;
    this.exitCode = command.exitCode;
    this.signalName = command.signalName;
  }
}

/** What failed first, where putting things away after it failed too; tells `emit` of the latter. */
export function firstFailure(error: unknown, emit?: Emit): unknown {
  if (!(error instanceof SuppressedError)) return error;
  emit?.({ kind: 'warning', code: 'put-away', message: `after the failure, ${messageOf(firstFailure(error.error, emit))}` });
  return firstFailure(error.suppressed, emit);
}

/** The failure with its place in the Dockerfile, where it has none yet; what is no mistake of that place stays as it is. */
export function pinnedTo(range: SourceRange | undefined, error: unknown, hint?: string): unknown {
  if (!(error instanceof BuilderError) || error instanceof CommandError || error.code === 'ERR_ABORTED') return error;
  const [place, tried] = [error.range ?? range, hint ?? error.hint];
  return new BuilderError(error.code, error.message, {
    cause: error.cause,
    range: place,
    hint: tried,
  });
}

/** True for the error of a system call on a path where nothing is. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '');
}

/** The `code` of a Node system error (`'ENOENT'`), or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** What went wrong, in its own words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why a call failed, in the system's words (`no such file or directory`); of what is no failure of the system, its message. */
export function systemReason(error: unknown): string {
  if (systemCode(error) === 'EISDIR') return 'it is a directory'; // the system speaks of an illegal operation
  // zlib's and zstd's numbers are not the system's.
  const isSystems = error instanceof Error && /^E[A-Z\d]+$/.test(systemCode(error) ?? '');
  const words = isSystems && 'errno' in error && typeof error.errno === 'number' ? getSystemErrorMessage(error.errno) : undefined;
  return words ?? messageOf(error);
}

/** What `work` gives, or what `recover` makes of its failure; of a promise, `.catch(recover)` does the same. */
export function orElse<Value, Other>(work: () => Value, recover: (error: unknown) => Other): Value | Other {
  try {
    return work();
  } catch (error) {
    return recover(error);
  }
}

/** Makes `otherwise` of a failure of the system with one of these codes; throws any other one as it is, or as `others` says it. */
export function ifCode(codes: readonly string[]): (error: unknown) => undefined;
export function ifCode<Other>(codes: readonly string[], otherwise: Other, others?: (error: unknown) => never): (error: unknown) => Other;
export function ifCode<Other>(codes: readonly string[], otherwise?: Other, others = rethrow): (error: unknown) => Other | undefined {
  return (error) => (codes.includes(systemCode(error) ?? '') ? otherwise : others(error));
}

/** Throws the failure of a system call as one with a meaning: `Cannot read FILE`, and why. */
export function inWords(code: ErrorCode, message: string): (error: unknown) => never {
  return (error) => {
    throw new BuilderError(code, `${message}: ${systemReason(error)}`, { cause: error });
  };
}

function rethrow(error: unknown): never {
  throw error;
}

/** A failure to reach a host, said of what it was for (`open context PLACE`), as ERR_CONTEXT; any other error as it is. */
export function unreachableFor(task: string, error: unknown): unknown {
  if (!(error instanceof RegistryError) || !error.message.startsWith('Cannot reach ')) return error;
  const message = `Cannot ${task}: can not ${error.message.slice('Cannot '.length)}`;
  return new BuilderError('ERR_CONTEXT', message, { cause: error.cause, hint: error.hint });
}

/** A place as it was written without user and password, which may hold what a URL has other meanings for, or be cut off there. */
export function withoutUser(place: string): string {
  return place.replace(/\/\/(?:[^/@:]*:(?!\d+(?:[/?#]|$)).*@|[^/?#]*@)/s, '//').replace(/(\/\/[^/:[\]]*):(?!\d*(?:[/?#]|$)).*$/s, '$1');
}

/** The text with the users and passwords of its URLs replaced. A user alone may be a token, but for other protocols than http. */
export function replaceUsers(text: string, by: (user: string) => string): string {
  // What stands behind the first colon is a password where it is no port, whatever it has in it.
  return text.replace(
    /\b([a-z][a-z\d+.-]*:\/\/)([^/\s?#]+|[^/\s?#@:[]*:(?!\$|\d+(?:[/?#\s]|$))\S{0,4000})@/gi,
    (written, scheme: string, user: string) => (/^http/i.test(scheme) || user.includes(':') ? `${scheme}${by(user)}@` : written),
  );
}

/** The text with `xxxxx` for users and passwords of URLs, as BuildKit's history has it. A user alone may be a token, too. */
export function hideCredentials(text: string): string {
  return replaceUsers(text, (user) => (user.includes(':') ? 'xxxxx:xxxxx' : 'xxxxx'));
}
