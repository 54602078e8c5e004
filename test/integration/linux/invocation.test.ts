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
  readonly cmdline: string;
  readonly dumpable: boolean;
  readonly leftOpen: boolean;
  readonly samePid: boolean;
}

function seen(...words: readonly string[]): Seen {
  const env = { ...process.env, CANARY: 's3cret', NODE_OPTIONS: '--stack-trace-limit=5' };
  const result = spawnSync(process.execPath, [probe, ...words], { encoding: 'utf8', env });
  assert.equal(result.status, 0, result.stderr);
  return JSON.parse(result.stdout) as Seen; // written by the probe
}

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
