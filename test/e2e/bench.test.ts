// The bench measures a real build, and leaves nothing behind on the machine, whatever ends it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { buildOnce } from '../bench/builds.ts';
import type { BuildCase } from '../bench/cases.ts';
import { measure } from '../bench/meter.ts';
import { builderLayout } from '../support/builder.ts';

const small: BuildCase = { name: 'small', lines: ['FROM @base', 'COPY app /app'], context: 'echo app > app', gigabytes: 0.2 };
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'yadokari-bench-'));
});

after(() => rm(folder, { recursive: true, force: true }));

function leftOver(): readonly string[] {
  const devices = readdirSync('/sys/block').flatMap((name) => {
    try {
      return [readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trim()];
    } catch {
      return []; // no loop device, or one without a file
    }
  });
  const groups = readdirSync('/sys/fs/cgroup/memory').filter((name) => name.startsWith(`yadokari-bench-${process.pid}-`));
  return [...devices.filter((file) => file.startsWith(folder)), ...readdirSync(folder), ...groups];
}

test('a build costs time of the wall, time of the CPU and memory', async () => {
  const { wallMs, cpuMs, peakBytes } = await buildOnce(small, folder, builderLayout(), new AbortController().signal);
  assert.ok(cpuMs > 50 && cpuMs < wallMs * 16, `${cpuMs} ms of CPU in ${wallMs} ms`);
  assert.ok(peakBytes > 20e6 && peakBytes < 300e6, `${peakBytes} bytes`);
  assert.deepEqual(leftOver(), []);
});

test('a build that is stopped while it runs is gone with its disk', async () => {
  const stop = new AbortController();
  const build = buildOnce({ ...small, lines: ['FROM @base', 'RUN sleep 600'] }, folder, builderLayout(), stop.signal);
  const isRunning = () => readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && commandOf(pid) === 'sleep\u0000600\u0000');
  for (let tries = 0; !isRunning() && tries < 300; tries++) await setTimeout(100);
  stop.abort(new Error('enough'));
  await assert.rejects(build, /enough|aborted/);
  assert.deepEqual(leftOver(), []);
});

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

test('a program that fails is an error with what it said', async () => {
  const failing = measure((group) => group.inside(['sh', '-c', 'echo so much; exit 3']), new AbortController().signal);
  await assert.rejects(failing, /so much/);
  assert.deepEqual(leftOver(), []);
});

test('the memory and CPU time of a program inside the group are its own', async () => {
  const script = `const all = Buffer.alloc(200e6, 1); const end = Date.now() + 500; while (Date.now() < end) all.length;`;
  const { cpuMs, peakBytes } = await measure((group) => group.inside([process.execPath, '-e', script]), new AbortController().signal);
  assert.ok(peakBytes > 200e6 && peakBytes < 400e6, `${peakBytes} bytes`);
  assert.ok(cpuMs > 150 && cpuMs < 5000, `${cpuMs} ms`);
});
