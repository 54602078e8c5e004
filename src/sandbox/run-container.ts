// The launcher's side of a command in a working container: namespaces of its own, signals passed on, its status given back.
import { type ChildProcess, spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { extname, join } from 'node:path/posix';
import { Readable, Writable } from 'node:stream';
import { BuilderError } from '../errors.ts';
import type { ContainerPlan, StartOutcome } from './container-plan.ts';
import { programPath, requireProgram, whyNamespacesFail } from './host.ts';
import { exitStatus } from './root-removal.ts';
import { readAnswer } from './supervise.ts';

/** Signals that somebody sends to us and means for the command. */
export const passedSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;

/** What became of a command: its status as a shell tells it, and why it never ran where it did not. */
export interface ContainerExit {
  readonly status: number;
  readonly refusal?: string;
  /** Supplementary groups could not be set; the command ran with ours. */
  readonly lacksGroups: boolean;
}

/**
 * Runs the command of `plan` in pid, mount, ipc and uts namespaces, with our standard streams, and waits for its end. It needs the
 * right to mount. `onSignal` is given a function that passes a signal on.
 * @throws ERR_UNSUPPORTED where namespaces or mounts are refused
 */
export async function runContainer(
  plan: ContainerPlan,
  nodePath: string,
  onSignal: (send: (name: NodeJS.Signals) => void) => Disposable,
): Promise<ContainerExit> {
  const unshare = requireProgram('unshare', 'util-linux');
  const setpriv = requireProgram('setpriv', 'util-linux');
  const enter = join(import.meta.dirname, `enter-container${extname(import.meta.filename)}`);
  // If we are killed, setpriv has unshare killed, and unshare the first process inside, and so the whole namespace.
  const namespaces = ['--mount', '--pid', '--ipc', '--uts', ...(plan.isOffline ? ['--net'] : [])];
  const args = ['--pdeathsig', 'KILL', '--', unshare, ...namespaces, '--fork', '--kill-child', '--'];
  const node = [realpathSync(nodePath), '--disable-sigusr1', '--no-warnings', '--max-semi-space-size=1', enter];
  const child = spawn(setpriv, [...args, ...node], {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe'],
    cwd: '/',
    env: { PATH: programPath },
  });
  const [, , , orders, outcomes] = child.stdio;
  if (!(orders instanceof Writable) || !(outcomes instanceof Readable)) throw new TypeError('the pipes were not opened');
  // One that died early tells more by its status than EPIPE does.
  orders.on('error', () => undefined);
  const ended = exitStatus(child);
  using _signals = onSignal((name) => void orders.write(`${name}\n`));
  orders.write(`${JSON.stringify(plan)}\n`);
  const outcome = await readAnswer<StartOutcome>(outcomes);
  const status = await ended;
  orders.destroy();
  return exitOf(outcome, status, child);
}

function exitOf(outcome: StartOutcome | undefined, status: number, child: ChildProcess): ContainerExit {
  if (outcome?.kind === 'started') return { status, lacksGroups: outcome.lacksGroups };
  if (outcome?.kind === 'refused') return { status: outcome.exitCode, refusal: outcome.reason, lacksGroups: false };
  const hint = whyNamespacesFail();
  const state = outcome?.message ?? `${child.spawnfile} ended with status ${status}`;
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot make namespaces for the command: ${state}`, { hint });
}
