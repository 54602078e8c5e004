import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nodeOptions } from '../../../src/linux/invocation.ts';

const probe = fileURLToPath(new URL('../../support/invocation-probe.ts', import.meta.url));

interface Seen {
  readonly argv: readonly string[];
  readonly canary: string | undefined;
  readonly isSealed: boolean;
  readonly environ: string;
  readonly own: Readonly<Record<string, string>>;
  readonly cmdline: string;
  readonly dumpable: boolean;
  readonly leftOpen: boolean;
  readonly samePid: boolean;
}

const nodesOwn = { NODE_OPTIONS: '--stack-trace-limit=5' };

function seen(...words: readonly string[]): Seen {
  return start([], words, { ...process.env, CANARY: 's3cret', ...nodesOwn });
}

function start(options: readonly string[], words: readonly string[], env: NodeJS.ProcessEnv): Seen {
  const result = spawnSync(process.execPath, [...options, probe, ...words], { encoding: 'utf8', env });
  assert.equal(result.status, 0, result.stderr);
  assert.doesNotMatch(result.stderr, /Debugger/);
  return JSON.parse(result.stdout) as Seen; // written by the probe
}

// As the image starts it.
const asStarted = ['--max-semi-space-size=4'];
const bare = { PATH: '/usr/bin:/bin', HOME: '/root', CANARY: 's3cret', EMPTY: '' };

test('becomeBuilder() hands arguments and environment over without showing them in /proc', () => {
  const second = seen('first', '--password', 'hunter2', 'a  b', 'ü');
  assert.deepEqual(second.argv, ['--password', 'hunter2', 'a  b', 'ü']);
  assert.equal(second.canary, 's3cret');
  assert.equal(second.isSealed, true);
  assert.doesNotMatch(second.environ, /s3cret|NODE_OPTIONS/);
  assert.doesNotMatch(second.cmdline, /hunter2/);
  assert.match(second.cmdline, /--disable-sigusr1/);
});

test('becomeBuilder() keeps the pid, closes the memory it used, and leaves a process that cannot be looked into', () => {
  const second = seen('first');
  assert.equal(second.samePid, true);
  assert.equal(second.leftOpen, false);
  assert.equal(second.dumpable, false);
});

test('a process that was started as the builder has to be goes on, and shows nothing of its start', () => {
  const same = start(asStarted, ['first', '--password', 'hunter2', 'ü'], bare);
  assert.deepEqual(same.argv, ['--password', 'hunter2', 'ü']);
  assert.equal(same.canary, 's3cret');
  assert.equal(same.isSealed, true);
  assert.equal(same.cmdline.replace(/\0+$/, ''), 'yadokari');
  assert.match(same.environ, /^\0*$/);
  assert.deepEqual(same.own, { PATH: '/usr/bin:/bin', HOME: '/root' });
  assert.equal(same.samePid, true);
  assert.equal(same.leftOpen, false);
  assert.equal(same.dumpable, false);
});

for (const name of ['NODE_OPTIONS', 'UV_THREADPOOL_SIZE', 'LD_LIBRARY_PATH', 'LC_ALL', 'MALLOC_ARENA_MAX', 'TZ']) {
  test(`a process with ${name} becomes another one, which has not`, () => {
    const value = name === 'NODE_OPTIONS' ? '--stack-trace-limit=5' : '1';
    const other = start(asStarted, ['first', '--password', 'hunter2'], { ...bare, [name]: value });
    assert.match(other.cmdline, /--disable-sigusr1/);
    assert.doesNotMatch(other.cmdline, /hunter2/);
    assert.deepEqual(other.own, { PATH: '/usr/bin:/bin', HOME: '/root', MALLOC_MMAP_THRESHOLD_: '1048576' });
  });
}

test('receiveInvocation() takes arguments as they are when there was no first stage', () => {
  const only = seen('--flag', 'value');
  assert.deepEqual(only.argv, ['--flag', 'value']);
  assert.equal(only.isSealed, false);
});

test('receiveInvocation() refuses a descriptor that no first stage left', () => {
  const result = spawnSync(process.execPath, [probe, '--invocation-fd=1'], { encoding: 'utf8' });
  assert.notEqual(result.status, 0);
  assert.match(result.stderr, /Cannot use --invocation-fd=1: it is for the builder's own use/);
});

for (const [limit, megabytes] of [
  [undefined, 1024],
  [8 * 1024 ** 3, 1024],
  [512 * 1024 ** 2, 256],
  [64 * 1024 ** 2, 96],
] as const) {
  test(`nodeOptions() gives V8 ${megabytes} MiB where the container has ${limit ?? 'no limit of'} bytes`, () => {
    assert.deepEqual(nodeOptions(limit), ['--disable-sigusr1', '--max-semi-space-size=4', `--max-old-space-size=${megabytes}`]);
  });
}
