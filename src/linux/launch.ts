// Starts the commands of RUN: as another user, with fewer capabilities, reading their output line by line, and leaving nobody behind.
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { MessageChannel, type MessagePort, Worker, receiveMessageOnPort } from 'node:worker_threads';
import { once } from 'node:events';
import { type ByteString, bytesFromText } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { UserIds } from './accounts.ts';
import type { SpawnAnswer, WorkerStart } from './launch-worker.ts';
import { systemError } from './libc.ts';
import { OutputPipe } from './output-pipe.ts';
import { type Exit, type Processes, protectSelf, watchLimits } from './process.ts';
import { explainRefusal } from './refusal.ts';
import { type SpawnRequest, programCandidates } from './start-program.ts';

export interface LaunchRequest {
  /** The program, found along PATH of `env` when it has no slash, and its arguments. */
  readonly argv: readonly string[];
  /** All that the command gets; nothing is inherited from the builder. */
  readonly env: ReadonlyMap<string, string>;
  /** Absolute below `root`; made (0755, root's) when missing. */
  readonly cwd: ByteString;
  /** A directory to become the command's `/`; left out in a container, where the root is our own. */
  readonly root?: ByteString;
  readonly user: UserIds;
  /** Gets each line without its end; a line longer than 16 KiB comes in pieces. */
  readonly onOutput: (stream: 'stdout' | 'stderr', line: string) => void;
  readonly signal: AbortSignal;
}

/** How a command ended. A command that could not start has the shell's code for that (126, 127) and a `refusal`. */
export type LaunchResult =
  | {
      readonly exitCode: number;
      readonly refusal?: string;
      /** Supplementary groups could not be set; the command ran with the builder's own. */
      readonly lacksGroups?: boolean;
    }
  | { readonly signalName: string; readonly lacksGroups?: boolean };

export interface Launcher {
  readonly launch: (request: LaunchRequest) => Promise<LaunchResult>;
  /** Capabilities outside of docker's default that could not be taken from commands, by number. */
  readonly capabilitiesLeft: readonly number[];
  /** Hands a message to the thread, for what it does besides; a command that is to be started waits until that is done. */
  readonly tell: (message: unknown) => void;
  /** Ends the thread. */
  readonly close: () => Promise<void>;
}

const startDeadlineMs = 30_000;

/**
 * Makes the thread that starts commands. To be called before the first unpack: afterwards our own files are within reach of RUN.
 * `thread` is a program that calls `serveLaunches`. `graceMs` is how long a command has from SIGTERM to SIGKILL when the build is aborted.
 * @throws ERR_UNSUPPORTED, ERR_INTERNAL.
 */
export async function createLauncher(
  processes: Processes,
  { thread, graceMs = 10_000 }: { readonly thread: URL; readonly graceMs?: number },
): Promise<Launcher> {
  protectSelf();
  const { port1: port, port2 } = new MessageChannel();
  const answered = new SharedArrayBuffer(4);
  const start: WorkerStart = { port: port2, answered };
  const worker = new Worker(thread, {
    workerData: start,
    transferList: [port2],
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
  });
  await once(worker, 'online');
  worker.unref();
  port.unref();
  const ready = waitForAnswer(port, answered);
  if (ready.kind !== 'ready') throw new BuilderError('ERR_INTERNAL', 'Cannot start the launcher: its first word was not "ready"');
  const nullDevice = openSync('/dev/null', 'r');
  const verifyLimits = watchLimits();
  return {
    capabilitiesLeft: ready.capabilitiesLeft,
    launch: (request) => {
      const spawn = (stdio: SpawnRequest['stdio']): SpawnAnswer => {
        port.postMessage(spawnRequest(request, stdio));
        return waitForAnswer(port, answered);
      };
      return launch(request, spawn, { processes, nullDevice, graceMs, verifyLimits, hasOwnRoot: ready.hasOwnRoot });
    },
    tell: (message) => worker.postMessage(message),
    close: async () => {
      closeSync(nullDevice);
      port.close();
      await worker.terminate();
    },
  };
}

interface Surroundings {
  readonly processes: Processes;
  readonly nullDevice: number;
  readonly graceMs: number;
  readonly verifyLimits: () => void;
  readonly hasOwnRoot: boolean;
}

async function launch(
  request: LaunchRequest,
  spawn: (stdio: SpawnRequest['stdio']) => SpawnAnswer,
  { processes, nullDevice, graceMs, verifyLimits, hasOwnRoot }: Surroundings,
): Promise<LaunchResult> {
  request.signal.throwIfAborted();
  refuseOddIds(request.user);
  if (request.root !== undefined && !hasOwnRoot) {
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot run a command in another root: unshare(2) is refused here');
  }
  using pipes = new DisposableStack();
  const open = (stream: 'stdout' | 'stderr'): OutputPipe =>
    pipes.adopt(new OutputPipe(request.user, (line) => request.onOutput(stream, line)), (pipe) => pipe.close());
  const [stdout, stderr] = [open('stdout'), open('stderr')];
  const answer = spawn([nullDevice, stdout.writeEnd, stderr.writeEnd]);
  // Nothing may be awaited between the start and this: the end of the command would be taken for that of an orphan.
  const ended = answer.kind === 'started' ? processes.waitFor(answer.pid) : undefined;
  if (answer.kind === 'started') offerToOomKiller(answer.pid);
  stdout.start();
  stderr.start();
  if (answer.kind === 'ready') throw new BuilderError('ERR_INTERNAL', 'Cannot start a command: the launcher spoke out of turn');
  if (answer.kind === 'refused') return refused(request, answer);
  if (ended === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot start a command: it has no end');
  const exit = await untilEnd(ended, answer.pid, request.signal, { processes, graceMs });
  await processes.killAll();
  await Promise.all([stdout.drained(), stderr.drained()]);
  request.signal.throwIfAborted();
  verifyLimits();
  const lacks = answer.lacksGroups ? { lacksGroups: true } : {};
  return 'code' in exit ? { exitCode: exit.code, ...lacks } : { signalName: exit.signalName, ...lacks };
}

/** The kernel takes -1 for "no change", and cuts larger numbers off: either could end as root. */
function refuseOddIds({ uid, gid, groups }: UserIds): void {
  const odd = [uid, gid, ...groups].find((id) => !Number.isInteger(id) || id < 0 || id > 4_294_967_294);
  if (odd !== undefined) throw new RangeError(`Cannot run as an id of ${odd}`);
}

/** When memory runs out, the command should go and the builder tell about it. */
function offerToOomKiller(pid: number): void {
  try {
    const own = Number(readFileSync('/proc/self/oom_score_adj', 'latin1'));
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(Math.min(1000, own + 200)));
  } catch {
    // Gone already, or not ours to say: it is a preference and nothing more.
  }
}

/** Waits for the command; when the build is aborted, asks it to end and later makes it. */
async function untilEnd(
  ended: Promise<Exit>,
  pid: number,
  signal: AbortSignal,
  { processes, graceMs }: Pick<Surroundings, 'processes' | 'graceMs'>,
): Promise<Exit> {
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    processes.signalGroup(pid, 'SIGTERM');
    timer = setTimeout(() => processes.signalGroup(pid, 'SIGKILL'), graceMs);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  // SIGCHLD alone does not keep Node running.
  const alive = setInterval(() => undefined, 60_000);
  try {
    return await ended;
  } finally {
    clearInterval(alive);
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

function refused(request: LaunchRequest, answer: Extract<SpawnAnswer, { kind: 'refused' }>): LaunchResult {
  const path = Buffer.from(answer.path, 'latin1').toString('utf8');
  switch (answer.step) {
    case 'execute':
      // A Buffer crosses threads as a plain array of bytes.
      return explainRefusal({ ...answer, path, head: answer.head === undefined ? undefined : Buffer.from(answer.head) }, request.argv);
    case 'directory':
      return { exitCode: 127, refusal: `working directory ${path} can't be entered: ${reason(answer.errno, 'chdir')}` };
    case 'root':
      throw new BuilderError('ERR_UNSUPPORTED', `Cannot run a command in root ${path}: ${reason(answer.errno, 'chroot')}`);
    case 'groups':
    case 'gid':
    case 'uid': {
      const { uid, gid, groups } = request.user;
      throw new BuilderError(
        'ERR_UNSUPPORTED',
        `Cannot run as uid ${uid}, gid ${gid}, groups ${groups.join(',') || 'none'}: ${reason(answer.errno, identityCalls[answer.step])}`,
        { hint: 'the builder needs the capabilities SETUID and SETGID, and ids that its user namespace maps' },
      );
    }
    default:
      return answer.step satisfies never;
  }
}

const identityCalls = { groups: 'setgroups', gid: 'setresgid', uid: 'setresuid' } as const;

function reason(errno: number, syscall: string): string {
  return systemError(errno, syscall).message;
}

function spawnRequest(request: LaunchRequest, stdio: SpawnRequest['stdio']): SpawnRequest {
  const env = [...request.env].map(([key, value]) => `${key}=${value}`);
  for (const text of [...request.argv, ...env]) refuseNul(text);
  return {
    candidates: programCandidates(request.argv[0] ?? '', request.env.get('PATH') ?? ''),
    argv: request.argv.map(bytesFromText),
    env: env.map(bytesFromText),
    cwd: request.cwd,
    root: request.root,
    ...request.user,
    stdio,
  };
}

// The JSON form and a base's variables can hold one; the kernel would hand over what stands before it.
function refuseNul(text: string): void {
  const at = text.indexOf('\0');
  if (at < 0) return;
  const around = JSON.stringify(text.slice(Math.max(0, at - 20), at + 20));
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot run a command with ${around}: no argument or variable can hold a NUL byte`);
}

/** Waits without turning the event loop, so that nothing happens between a command's start and our knowing its pid. */
function waitForAnswer(port: MessagePort, answered: SharedArrayBuffer): SpawnAnswer {
  const flag = new Int32Array(answered);
  if (Atomics.wait(flag, 0, 0, startDeadlineMs) === 'timed-out') {
    throw new BuilderError('ERR_INTERNAL', `Cannot start a command: the launcher did not answer within ${startDeadlineMs} ms`);
  }
  Atomics.store(flag, 0, 0);
  const received = receiveMessageOnPort(port);
  if (received === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot start a command: the answer of the launcher is missing');
  return received.message as SpawnAnswer; // the other end is launch-worker.ts
}
