// The builder among other processes: closed to those it starts, parent of whatever they leave behind, and the end of them.
import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { BuilderError, systemCode } from '../errors.ts';
import { attempt, call, errnoOf, systemError } from './libc.ts';

/** How a process ended: the code it gave, or the signal that killed it. */
export type Exit = { readonly code: number } | { readonly signalName: string };

const prctl = { getDumpable: 3, setDumpable: 4, setSubreaper: 36 } as const;
const wait = { any: 0, pid: 1, noHang: 1, exited: 4, peek: 0x0100_0000, everyKind: 0x4000_0000 } as const;
const siginfoBytes = 128;
const exitedNormally = 1; // CLD_EXITED
const killDeadlineMs = 10_000;
const limitCount = 16;

/**
 * Closes this process to those it starts: no reading of its memory, environment or descriptors through /proc, no ptrace.
 * @throws ERR_UNSUPPORTED when the kernel does not go along.
 */
export function protectSelf(): void {
  if (attempt('prctl', prctl.setDumpable, 0, 0, 0, 0) === 0 && isProtected()) return;
  throw new BuilderError('ERR_UNSUPPORTED', 'Cannot close the builder to the commands it runs: prctl(PR_SET_DUMPABLE) was refused');
}

/** Whether protectSelf() is in force. It ends with execve(2). */
export function isProtected(): boolean {
  return attempt('prctl', prctl.getDumpable, 0, 0, 0, 0) !== 1;
}

/**
 * Remembers the resource limits of this process; the answer compares.
 * A RUN with our uid may call prlimit(2) on us, and a lowered limit would break the build in odd ways later.
 */
export function watchLimits(): () => void {
  const before = readLimits();
  return () => {
    const after = readLimits();
    for (const [resource, limit] of before.entries()) {
      if (after[resource] === limit) continue;
      throw new BuilderError('ERR_TAMPERED', `Cannot go on: a RUN changed resource limit ${resource} of the builder (see setrlimit(2))`);
    }
  };
}

/** The processes that RUN instructions start and leave behind. One per builder, made before the first of them. */
export class Processes {
  readonly #waiting = new Map<number, (exit: Exit) => void>();
  readonly #nodeChildren = new Set<ChildProcess>();
  readonly #seesOwnPids: boolean;

  /** @throws ERR_UNSUPPORTED where leftovers of a RUN could not be found: /proc shows another pid namespace. */
  constructor() {
    this.#seesOwnPids = ownPidInProc() === process.pid;
    if (!this.#seesOwnPids && process.pid !== 1) {
      throw new BuilderError('ERR_UNSUPPORTED', 'Cannot watch over processes: /proc is missing or belongs to another pid namespace');
    }
    call('prctl', [prctl.setSubreaper, 1, 0, 0, 0]);
    subscribe('child_process', this.#noteChild);
    process.on('SIGCHLD', this.#reap);
  }

  /** Stops watching; for tests. */
  close(): void {
    process.off('SIGCHLD', this.#reap);
    unsubscribe('child_process', this.#noteChild);
  }

  /** The end of child `pid`. To be called in the very tick in which it was started, or its end may be lost. */
  waitFor(pid: number): Promise<Exit> {
    return new Promise((resolve) => this.#waiting.set(pid, resolve));
  }

  /** Sends `signalName` to the process group of a RUN; none there is fine. */
  signalGroup(pid: number, signalName: 'SIGTERM' | 'SIGKILL'): void {
    const members = this.#seesOwnPids ? this.#leftovers().filter((one) => one.group === pid) : [];
    const uids = new Set(members.map((one) => one.uid));
    for (const uid of uids.size === 0 ? [0] : uids) sendAs(uid, -pid, constants.signals[signalName]);
  }

  /**
   * Kills and reaps every process that a RUN left, whatever its session or user. Foreign processes of a shared pid namespace and
   * children of Node's own (credential helpers, git) are not touched.
   * @throws ERR_COMMAND when one can't be ended within 10 s: a snapshot would not be safe.
   */
  async killAll(): Promise<void> {
    const deadline = performance.now() + killDeadlineMs;
    for (let round = 0; ; round += 1) {
      this.#reap();
      const left = this.#seesOwnPids ? this.#leftovers() : [];
      if (this.#seesOwnPids ? left.length === 0 : !hasChildren()) return;
      if (performance.now() > deadline) throw unkillable(left);
      if (this.#isAlone(left)) killEveryone(left);
      else this.#stopAndKill(left);
      await sleep(Math.min(round, 20));
    }
  }

  /** True when kill(-1) reaches only what RUNs left: we are PID 1, and nobody else lives in our pid namespace. */
  #isAlone(left: readonly Process[]): boolean {
    if (process.pid !== 1) return false;
    if (!this.#seesOwnPids) return true;
    return this.#livingNodeChildren().size === 0 && readProcesses().size === left.length + 1;
  }

  /** A fork bomb outruns KILL, but not STOP repeated until a look finds nobody new. */
  #stopAndKill(left: readonly Process[]): void {
    const stopped = new Map<number, Process>();
    for (let fresh = left; fresh.length > 0; fresh = this.#leftovers().filter((one) => !stopped.has(one.pid))) {
      for (const one of fresh) {
        sendAs(one.uid, one.pid, constants.signals.SIGSTOP);
        stopped.set(one.pid, one);
      }
    }
    for (const one of stopped.values()) sendAs(one.uid, one.pid, constants.signals.SIGKILL);
  }

  /** Our descendants, but for those that Node knows and theirs. */
  #leftovers(): readonly Process[] {
    const all = readProcesses();
    const known = this.#livingNodeChildren();
    const verdicts = new Map<number, boolean>([[process.pid, true]]);
    for (const pid of known) verdicts.set(pid, false);
    const isOurs = (pid: number): boolean => {
      const path: number[] = [];
      let at = pid;
      while (at !== 0 && !verdicts.has(at)) {
        path.push(at);
        verdicts.set(at, false); // parents go round in circles if pids are reused while we read
        at = all.get(at)?.parent ?? 0;
      }
      const verdict = verdicts.get(at) ?? false;
      for (const one of path) verdicts.set(one, verdict);
      return verdict;
    };
    return [...all.values()].filter((one) => one.pid !== process.pid && isOurs(one.pid));
  }

  #livingNodeChildren(): ReadonlySet<number> {
    const living = new Set<number>();
    for (const child of this.#nodeChildren) {
      if (child.exitCode !== null || child.signalCode !== null) this.#nodeChildren.delete(child);
      else if (child.pid !== undefined) living.add(child.pid);
    }
    return living;
  }

  readonly #noteChild = (message: unknown): void => {
    if (typeof message !== 'object' || message === null || !('process' in message)) return;
    this.#nodeChildren.add(message.process as ChildProcess); // what Node documents for this channel
  };

  /** Takes every dead child off the process table, but leaves to Node the ones that Node waits for: they would hang it. */
  readonly #reap = (): void => {
    const known = this.#livingNodeChildren();
    for (;;) {
      const peeked = Buffer.alloc(siginfoBytes);
      const flags = wait.exited | wait.noHang | wait.everyKind;
      if (attempt('waitid', wait.any, 0, peeked, flags | wait.peek, null) < 0) return;
      const pid = peeked.readInt32LE(16);
      if (pid === 0) return;
      if (known.has(pid)) {
        // It hides the ones behind it until Node has fetched it, which is due in this very turn of the loop.
        setTimeout(this.#reap, 10).unref();
        return;
      }
      if (attempt('waitid', wait.pid, pid, peeked, flags, null) < 0) continue;
      this.#waiting.get(pid)?.(exitOf(peeked));
      this.#waiting.delete(pid);
    }
  };
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** The real uid. */
  readonly uid: number;
}

function exitOf(siginfo: Buffer): Exit {
  const status = siginfo.readInt32LE(24);
  if (siginfo.readInt32LE(8) === exitedNormally) return { code: status };
  for (const [name, number] of Object.entries(constants.signals)) if (number === status) return { signalName: name };
  return { signalName: `SIG${status}` };
}

function readProcesses(): ReadonlyMap<number, Process> {
  const found = new Map<number, Process>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const one = readProcess(Number(name));
    if (one !== undefined) found.set(one.pid, one);
  }
  return found;
}

function readProcess(pid: number): Process | undefined {
  try {
    // "pid (name) state ppid pgrp …": the name may hold anything, parentheses too.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const uid = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return { pid, parent: Number(parent), group: Number(group), uid: Number(uid) };
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ESRCH') return undefined; // gone since the listing
    throw error;
  }
}

function killEveryone(left: readonly Process[]): void {
  for (const uid of new Set([process.getuid?.() ?? 0, ...left.map((one) => one.uid)])) sendAs(uid, -1, constants.signals.SIGKILL);
}

/**
 * kill(2) that needs no CAP_KILL: a sender whose real uid is the target's may signal it, and CAP_SETUID lets this thread be that
 * for a moment. A target that is gone is fine.
 */
function sendAs(uid: number, pid: number, signal: number): void {
  let result = attempt('kill', pid, signal);
  // kill(-1) and kill(-group) answer 0 as soon as they reached one, so with another uid there may be more to reach.
  if ((result === 0 && pid > 0) || result === -errnoOf('ESRCH')) return;
  const own = process.getuid?.() ?? 0;
  if (uid !== own && attempt('setresuid', uid, -1, -1) === 0) {
    result = attempt('kill', pid, signal);
    call('setresuid', [own, -1, -1]);
  }
  if (result < 0 && result !== -errnoOf('ESRCH')) throw systemError(-result, 'kill');
}

function hasChildren(): boolean {
  const flags = wait.exited | wait.noHang | wait.everyKind | wait.peek;
  return attempt('waitid', wait.any, 0, Buffer.alloc(siginfoBytes), flags, null) >= 0;
}

function ownPidInProc(): number | undefined {
  try {
    return Number(readlinkSync('/proc/self'));
  } catch {
    return undefined; // no /proc at all
  }
}

function readLimits(): readonly string[] {
  return Array.from({ length: limitCount }, (_, resource) => {
    const limit = Buffer.alloc(16);
    call('prlimit64', [0, resource, null, limit]);
    return limit.toString('hex');
  });
}

function unkillable(left: readonly Process[]): BuilderError {
  const pids = left.map((one) => one.pid).join(', ');
  return new BuilderError('ERR_COMMAND', `Cannot end what the command left running: process ${pids || 'of unknown id'} survives SIGKILL`);
}
