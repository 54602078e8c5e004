// The first process of a working container's namespaces: mounts what the plan says, changes into the root, and stays as the one that
// reaps orphans and passes signals on, so that the command is an ordinary process which SIGTERM ends. When it ends, all do.
import { closeSync, constants as fsConstants, openSync, readdirSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { bytesFromText } from '../bytes.ts';
import { messageOf } from '../errors.ts';
import { boundCapabilities } from '../linux/capabilities.ts';
import { attempt, systemError } from '../linux/libc.ts';
import { raiseLoopback } from '../linux/loopback.ts';
import { Processes, type Exit } from '../linux/process.ts';
import { explainRefusal } from '../linux/refusal.ts';
import { type StartAnswer, programCandidates, startProgram } from '../linux/start-program.ts';
import { mountSystem, setHostName } from './container-root.ts';
import { type ContainerPlan, type StartOutcome, orderDescriptor, outcomeDescriptor } from './container-plan.ts';
import { bindMount, changeRoot, mountNew } from './mount.ts';

interface OpenDoor {
  readonly enter: number;
  readonly leave: number;
  readonly late?: { readonly file: number; readonly value: number };
}

/** Enters the world of the plan; gives open files of the control groups, which can't be reached from inside. */
function enterWorld(plan: ContainerPlan): readonly OpenDoor[] {
  const open = (path: string): number => openSync(path, fsConstants.O_WRONLY);
  const groups = plan.controlGroups.map(({ enter, leave, late }) => ({
    enter: open(enter),
    leave: open(leave),
    ...(late === undefined ? {} : { late: { ...late, file: open(late.file) } }),
  }));
  // A device that is made inside is never opened: nothing else guards the host's disks from real root.
  bindMount(plan.rootFolder, plan.rootFolder, ['nodev']);
  for (const { source, target, mode } of plan.mounts) bindMount(source, target, mode === 'rw' ? ['nodev'] : ['readonly', 'nodev']);
  for (const { target, options } of plan.memory) mountNew('tmpfs', target, ['nosuid', 'nodev'], options);
  mountSystem(plan.system, plan.terminalGroup);
  setHostName(plan.hostName);
  if (plan.isOffline) raiseLoopback();
  changeRoot(plan.rootFolder);
  boundCapabilities(new Set(plan.capabilities));
  return groups;
}

function start(plan: ContainerPlan, groups: readonly OpenDoor[]): StartAnswer {
  const env = new Map(plan.env);
  const ownRoot = openSync('/', fsConstants.O_RDONLY | fsConstants.O_DIRECTORY);
  // Who starts is in the groups for a moment, as a child is where its parent was: no instant passes in which it is not limited.
  for (const { enter, late } of groups) {
    writeSync(enter, '0');
    if (late !== undefined) writeSync(late.file, String(readdirSync('/proc/self/task').length + late.value));
  }
  try {
    return startProgram(
      {
        candidates: programCandidates(plan.argv[0] ?? '', env.get('PATH') ?? ''),
        argv: plan.argv.map(bytesFromText),
        env: [...env].map(([name, value]) => bytesFromText(`${name}=${value}`)),
        cwd: bytesFromText(plan.cwd),
        root: undefined,
        ...plan.user,
        stdio: [0, 1, 2],
        sharesSession: true,
      },
      ownRoot,
    );
  } finally {
    closeSync(ownRoot);
    for (const { enter, leave, late } of groups) {
      writeSync(leave, '0');
      if (late !== undefined) writeSync(late.file, String(late.value));
      for (const file of [enter, leave, ...(late === undefined ? [] : [late.file])]) closeSync(file);
    }
  }
}

function outcomeOf(answer: StartAnswer, plan: ContainerPlan): StartOutcome {
  if (answer.kind === 'started') return { kind: 'started', lacksGroups: answer.lacksGroups };
  const path = Buffer.from(answer.path, 'latin1').toString('utf8');
  if (answer.step === 'execute') {
    const head = answer.head === undefined ? undefined : Buffer.from(answer.head);
    const { exitCode, refusal } = explainRefusal({ errno: answer.errno, path, head }, plan.argv);
    return { kind: 'refused', exitCode, reason: refusal };
  }
  const { message } = systemError(answer.errno, answer.step);
  if (answer.step === 'directory') return { kind: 'refused', exitCode: 127, reason: `the folder ${path} can't be entered: ${message}` };
  const { uid, gid } = plan.user;
  return { kind: 'refused', exitCode: 126, reason: `it can't run as uid ${uid}, gid ${gid} here: ${message}` };
}

function tell(outcome: StartOutcome): void {
  writeSync(outcomeDescriptor, `${JSON.stringify(outcome)}\n`);
  closeSync(outcomeDescriptor);
}

function statusOf(exit: Exit): number {
  if ('code' in exit) return exit.code;
  const number = Object.entries(constants.signals).find(([name]) => name === exit.signalName)?.[1];
  return 128 + (number ?? 0);
}

/** Never returns: the process ends with the command's status. */
function live(plan: ContainerPlan, nextSignals: AsyncIterable<string>): void {
  const groups = enterWorld(plan);
  const processes = new Processes();
  const answer = start(plan, groups);
  // In the same tick, or its end may be lost.
  const ended = answer.kind === 'started' ? processes.waitFor(answer.pid) : undefined;
  const outcome = outcomeOf(answer, plan);
  tell(outcome);
  if (answer.kind !== 'started' || ended === undefined) process.exit(outcome.kind === 'refused' ? outcome.exitCode : 125);
  // What a terminal sends reaches the command by itself.
  for (const name of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
  const alive = setInterval(() => undefined, 60_000);
  void passSignals(nextSignals, answer.pid);
  void ended.then((exit) => {
    clearInterval(alive);
    process.exit(statusOf(exit));
  });
}

async function passSignals(lines: AsyncIterable<string>, pid: number): Promise<void> {
  for await (const line of lines) {
    const number = Object.entries(constants.signals).find(([name]) => name === line)?.[1];
    if (number !== undefined) attempt('kill', pid, number);
  }
}

async function main(): Promise<void> {
  // Not a file's stream: a read that waits in libuv's pool would be waited for at exit.
  const input = new Socket({ fd: orderDescriptor, readable: true, writable: false });
  const lines = createInterface({ input })[Symbol.asyncIterator]();
  try {
    const first = await lines.next();
    const plan = JSON.parse(first.done === true ? '' : first.value) as ContainerPlan; // written by the launcher of the same version
    live(plan, { [Symbol.asyncIterator]: () => lines });
  } catch (error) {
    tell({ kind: 'failed', message: messageOf(error) });
    process.exit(125);
  }
}

void main();
