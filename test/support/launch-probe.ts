// A program for tests: a builder in small, under whatever privileges it was started with. Reads a JSON list of commands from its
// argument, runs one after the other on the real root, and prints what came of each and who is left.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { bytesFromText } from '../../src/bytes.ts';
import { createLauncher } from '../../src/linux/launch.ts';
import { attempt } from '../../src/linux/libc.ts';
import { runThread } from '../../src/surroundings/guarded-launch.ts';
import { Processes } from '../../src/linux/process.ts';

interface Task {
  readonly script: string;
  readonly uid?: number;
  /** Undo the builder's first defence, to see the second. */
  readonly dumpable?: boolean;
  /** How many children Node itself starts meanwhile. */
  readonly nodeChildren?: number;
}

function openPort(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Children of this process, by state: `Z` for those that nobody fetched. */
function children(): readonly string[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const [state = '', parent] = readFileSync(`/proc/${name}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ');
      return Number(parent) === process.pid ? [state] : [];
    } catch {
      return []; // gone
    }
  });
}

const tasks = JSON.parse(process.argv[2] ?? '[]') as readonly Task[]; // written by the test
const processes = new Processes();
const launcher = await createLauncher(processes, { thread: runThread, graceMs: 300 });
const results = [];
for (const task of tasks) {
  if (task.dumpable === true) attempt('prctl', 4, 1, 0, 0, 0);
  const lines: string[] = [];
  const uid = task.uid ?? 0;
  const others = Array.from({ length: task.nodeChildren ?? 0 }, async (_, index) => {
    const [code] = await once(spawn('/bin/sh', ['-c', `exit ${index % 7}`]), 'exit');
    return code === index % 7;
  });
  const started = performance.now();
  let outcome: unknown;
  try {
    outcome = await launcher.launch({
      argv: ['/bin/sh', '-c', task.script],
      env: new Map([['PATH', '/usr/sbin:/usr/bin:/sbin:/bin']]),
      cwd: bytesFromText('/'),
      user: { uid, gid: uid, groups: [uid] },
      onOutput: (_, line) => lines.push(line),
      signal: new AbortController().signal,
    });
  } catch (error) {
    outcome = { error: error instanceof Error && 'code' in error ? `${String(error.code)} ${error.message}` : String(error) };
  }
  const durationMs = performance.now() - started;
  results.push({ outcome, lines, durationMs, delivered: await Promise.all(others), children: children(), inspector: await openPort(9229) });
}
process.stdout.write(JSON.stringify({ pid: process.pid, uid: process.getuid?.(), capabilitiesLeft: launcher.capabilitiesLeft, results }));
await launcher.close();
processes.close();
