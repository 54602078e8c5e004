// What a build costs: wall clock from the program's start to its end, and, by a control group of its own, the CPU time and
// memory of all its processes.
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { run } from '../support/command.ts';

export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
  /** The most memory that the processes had at once and the kernel can't take back: page cache doesn't count. */
  readonly peakBytes: number;
}

/** A control group below which a program has to put what is to be measured. */
export interface Group {
  /** As in `podman run --cgroup-parent`. */
  readonly name: string;
  /** An argument vector that runs another one in the group. */
  inside(argv: readonly string[]): readonly string[];
}

const root = '/sys/fs/cgroup';
// podman's monitor: it isn't part of the container
const monitor = 'conmon';
const sampleMs = 20;
let groups = 0;

/** @throws Error that says what is missing where this machine's control groups can't measure. */
export function checkMeter(): void {
  for (const controller of ['cpuacct', 'memory']) {
    if (existsSync(join(root, controller, 'cgroup.procs'))) continue;
    throw new Error(`Cannot measure CPU time and memory: ${root}/${controller} (control groups, version 1) is not there`);
  }
}

/** Runs the program that `argvOf` gives. @throws Error with its output when it fails; nothing of it is left when `signal` aborts. */
export async function measure(argvOf: (group: Group) => readonly string[], signal: AbortSignal): Promise<Cost> {
  const name = `/yadokari-bench-${process.pid}-${++groups}`;
  const [cpu, memory] = [join(root, 'cpuacct', name), join(root, 'memory', name)];
  await Promise.all([mkdir(join(cpu, 'inside'), { recursive: true }), mkdir(join(memory, 'inside'), { recursive: true })]);
  const done = new AbortController();
  try {
    const peak = samplePeak(memory, done.signal);
    const argv = argvOf({ name, inside: (command) => ['sh', '-c', enter([cpu, memory]), 'sh', ...command] });
    const result = await run(argv, { signal, timeoutMs: 3_600_000 });
    done.abort();
    if (result.status !== 0) throw new Error(`${argv.join(' ')}:\n${result.output.slice(-4000)}`);
    const cpuNs = (await usage(cpu)) - (await usage(join(cpu, monitor)));
    return { wallMs: result.durationMs, cpuMs: cpuNs / 1e6, peakBytes: await peak };
  } finally {
    done.abort();
    await removeGroup(name);
  }
}

const enter = (folders: readonly string[]): string =>
  `for f in ${folders.map((folder) => `${folder}/inside`).join(' ')}; do echo $$ > $f/cgroup.procs; done; exec "$@"`;

async function usage(folder: string): Promise<number> {
  return Number(await readFile(join(folder, 'cpuacct.usage'), 'utf8').catch(() => 0));
}

async function samplePeak(folder: string, done: AbortSignal): Promise<number> {
  for (let peak = 0; ;) {
    for (const name of await childrenOf(folder)) {
      if (name === monitor) continue;
      const text = await readFile(join(folder, name, 'memory.stat'), 'utf8').catch(() => ''); // it may have ended
      const [, rss = 0, shared = 0] = /^shmem (\d+)$[^]*^total_rss (\d+)$/m.exec(text) ?? [];
      peak = Math.max(peak, Number(rss) + Number(shared));
    }
    if (done.aborted) return peak;
    await setTimeout(sampleMs);
  }
}

async function childrenOf(folder: string): Promise<readonly string[]> {
  const found = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return found.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** Ends what still runs in the group, and removes it from all controllers: an engine puts it into those that it knows. */
async function removeGroup(name: string): Promise<void> {
  for (const controller of await childrenOf(root)) {
    const folder = join(root, controller, name);
    for (let tries = 0; existsSync(folder) && tries < 100; tries++) {
      await removeTree(folder);
      if (existsSync(folder)) await setTimeout(20); // a process is still on its way out
    }
  }
}

async function removeTree(folder: string): Promise<void> {
  for (const name of await childrenOf(folder)) await removeTree(join(folder, name));
  const pids = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '');
  for (const pid of pids.split('\n').filter((line) => line !== '' && line !== '0')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // it has ended by itself
    }
  }
  await rmdir(folder).catch(() => undefined); // the caller looks whether it is gone
}
