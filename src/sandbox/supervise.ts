// The launcher's side of a running sandbox: hands the plan in, passes signals on, and tells a builder's end from a failed start.
import type { ChildProcess } from 'node:child_process';
import { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { BuilderError, systemCode } from '../errors.ts';
import { whyNamespacesFail } from './host.ts';
import type { EnterAnswer, SandboxPlan } from './plan.ts';
import { exitStatus } from './root-removal.ts';

/** How long a builder may take to end after a signal; a RUN gets 10 seconds of that. */
const graceMs = 25_000;
/** How long a process that has just become the builder may take until it listens to signals. */
const startMs = 2_000;

/** What has happened so far; one writer, `superviseBuilder`. */
interface Life {
  enteredAtMs: number | undefined;
  hasEnded: boolean;
}

/**
 * Sends `plan` to the first process inside and waits for the end; gives the builder's exit status. `child` leads a process
 * group of its own. An abort becomes the signal that its reason's message names, SIGTERM if none, and SIGKILL in the end.
 * @throws ERR_UNSUPPORTED when the builder was never reached
 */
export async function superviseBuilder(child: ChildProcess, plan: SandboxPlan, signal: AbortSignal): Promise<number> {
  const [, , , planPipe, answerPipe] = child.stdio;
  if (!(planPipe instanceof Writable) || !(answerPipe instanceof Readable)) throw new TypeError('the pipes were not opened');
  const ended = exitStatus(child);
  const life: Life = { enteredAtMs: undefined, hasEnded: false };
  const stop = (): void => void passOn(child, signal, life);
  // The terminal tells its size to our group only.
  const resize = (): void => signalGroup(child, 'SIGWINCH', life);
  signal.addEventListener('abort', stop, { once: true });
  process.on('SIGWINCH', resize);
  try {
    // A first process that dies early breaks the pipe; its answer and its status tell more than EPIPE does.
    planPipe.on('error', () => undefined);
    planPipe.end(JSON.stringify(plan));
    const answer = await readAnswer<EnterAnswer>(answerPipe);
    if (answer?.kind === 'entered') life.enteredAtMs = performance.now();
    const status = await ended;
    if (answer?.kind === 'entered') return status;
    signal.throwIfAborted();
    throw startFailure(answer?.message, status);
  } finally {
    life.hasEnded = true;
    signal.removeEventListener('abort', stop);
    process.off('SIGWINCH', resize);
  }
}

async function passOn(child: ChildProcess, signal: AbortSignal, life: Life): Promise<void> {
  const name = signalName(signal.reason);
  // Nothing is begun yet that could be ended well, and the first process of a namespace is deaf until it listens.
  if (life.enteredAtMs === undefined) return signalGroup(child, 'SIGKILL', life);
  signalGroup(child, name, life);
  const age = performance.now() - life.enteredAtMs;
  if (age < startMs) {
    await sleep(startMs - age);
    signalGroup(child, name, life);
  }
  await sleep(graceMs, undefined, { ref: false });
  signalGroup(child, 'SIGKILL', life);
}

function signalGroup(child: ChildProcess, name: NodeJS.Signals, life: Life): void {
  if (life.hasEnded || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, name);
  } catch (error) {
    // Between its end and our hearing of it.
    if (systemCode(error) !== 'ESRCH') throw error;
  }
}

function signalName(reason: unknown): NodeJS.Signals {
  const wanted = reason instanceof Error ? reason.message : '';
  return (['SIGINT', 'SIGHUP', 'SIGQUIT'] as const).find((name) => name === wanted) ?? 'SIGTERM';
}

/** What the first process inside says in one line; the pipe doesn't end before unshare(1), which holds it too. */
export async function readAnswer<Answer>(pipe: Readable): Promise<Answer | undefined> {
  let line = '';
  for await (const chunk of pipe) {
    line += String(chunk);
    if (line.endsWith('\n')) return JSON.parse(line) as Answer; // written by the first process, of our own version
  }
  return undefined;
}

function startFailure(message: string | undefined, status: number): BuilderError {
  const reason = whyNamespacesFail();
  return new BuilderError('ERR_UNSUPPORTED', `Cannot make a sandbox: ${message ?? `unshare ended with status ${status}`}`, {
    hint: `${reason === undefined ? '' : `${reason}; `}run the builder's container image instead, or allow namespaces here`,
  });
}
