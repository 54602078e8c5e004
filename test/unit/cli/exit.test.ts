import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeBuildFailure, describeFailure, exitStatusOf } from '../../../src/cli/exit.ts';
import { BuilderError, CommandError, DockerfileError, RegistryError } from '../../../src/errors.ts';
import { stepLabel } from '../../support/step-label.ts';

const argv = ['/bin/sh', '-c', 'make'];
const range = { start: { line: 2, column: 1 }, end: { line: 2, column: 9 } };
const dockerfile = { name: 'Dockerfile', text: 'FROM debian\nRUN make\n' };
const step = stepLabel({ total: 3, range });

const statuses: readonly { readonly error: unknown; readonly status: number }[] = [
  { error: new CommandError('Cannot run make', { argv, exitCode: 7 }), status: 7 },
  { error: new CommandError('Cannot run make', { argv, signalName: 'SIGKILL' }), status: 137 },
  { error: new CommandError('Cannot start make', { argv }), status: 1 },
  { error: new BuilderError('ERR_USAGE', 'Cannot use --x'), status: 1 },
  { error: new DockerfileError('unknown instruction', range), status: 1 },
  { error: new RegistryError('Cannot push', { method: 'PUT', url: 'https://r.example/v2/', status: 403 }), status: 1 },
  { error: new TypeError('x is not a function'), status: 1 },
  { error: 'thrown text', status: 1 },
];
for (const { error, status } of statuses)
  test(`exitStatusOf() gives ${status} for ${String(error)}`, () => assert.equal(exitStatusOf(error), status));

test('describeFailure() says what failed, each cause once, and the nearest thing to try', () => {
  const inner = new BuilderError('ERR_AUTH', 'Cannot read config.json: EACCES', { hint: 'mount it readable' });
  const middle = new BuilderError('ERR_REGISTRY', 'Cannot push r.example/a: 401', { cause: inner });
  const outer = new BuilderError('ERR_REGISTRY', 'Cannot push r.example/a: 401', { cause: middle });
  assert.deepEqual(describeFailure(outer, false), [
    'error: Cannot push r.example/a: 401',
    '  because: Cannot read config.json: EACCES',
    '  try: mount it readable',
    '  code: ERR_REGISTRY (docs/errors.md)',
  ]);
});

test('describeFailure() does not repeat a cause that a message above tells', () => {
  const inner = new Error('connect ECONNREFUSED 127.0.0.1:5000');
  const middle = new BuilderError('ERR_REGISTRY', 'Cannot reach r.example: connection refused', { cause: inner });
  const message = 'Cannot pull r.example/a: Cannot reach r.example: connection refused (tried 6 times)';
  const outer = new BuilderError('ERR_REGISTRY', message, { cause: middle });
  assert.deepEqual(describeFailure(outer, false), [
    `error: ${message}`,
    '  because: connect ECONNREFUSED 127.0.0.1:5000',
    '  code: ERR_REGISTRY (docs/errors.md)',
  ]);
});

test("describeFailure() says a system's reason once, and nothing of what OpenSSL says of itself", () => {
  const absent = Object.assign(new Error("ENOENT: no such file or directory, open '/x'"), { code: 'ENOENT', errno: -2 });
  const openssl = new Error('4013D712087F0000:error:0A00010B:SSL routines:f:wrong version number:../deps/a.c:78:\n');
  const messages = ['Cannot use /x: no such file or directory', 'Cannot use /x: there is no such file'];
  const lines = [absent, openssl].flatMap((cause) =>
    messages.flatMap((message) => describeFailure(new BuilderError('ERR_USAGE', message, { cause }), false).slice(1, -1)),
  );
  assert.deepEqual(lines, []);
});

test('describeFailure() owns up to a mistake of ours, and shows its stack only when asked', () => {
  const mistake = new TypeError('x is not a function');
  assert.equal(describeFailure(mistake, false).length, 2);
  assert.match(describeFailure(mistake, false).join('\n'), /mistake in yadokari itself/);
  assert.match(describeFailure(mistake, true).join('\n'), /exit\.test\.ts/);
});

test("describeFailure() tells a system's refusal as one, and takes what it says of nonsense for a mistake of ours", () => {
  const refused = Object.assign(new Error("EACCES: permission denied, stat '/root/x'"), { code: 'EACCES' });
  assert.deepEqual(describeFailure(refused, false), [
    "error: Cannot stat '/root/x': permission denied",
    '  code: ERR_ROOTFS (docs/errors.md)',
  ]);
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  assert.match(describeFailure(full, false).join('\n'), /^error: Cannot write: no space left on device\n {2}try: /);
  const nonsense = Object.assign(new Error('EBADF: bad file descriptor, read'), { code: 'EBADF' });
  assert.match(describeFailure(nonsense, false).join('\n'), /mistake in yadokari itself/);
});

test('describeBuildFailure() quotes the line of the step that failed', () => {
  const error = new CommandError('Cannot run make: exit status 7', { argv, exitCode: 7 });
  const lines = describeBuildFailure(error, { dockerfile, step }, false);
  assert.equal(lines[0], 'error: Cannot run make: exit status 7');
  assert.match(lines.join('\n'), /Dockerfile:2.*\(step 1\/3\)[^]*RUN make/);
});

test('describeBuildFailure() says which trigger of the base failed, below the FROM that brought it', () => {
  const from = { start: { line: 1, column: 1 }, end: { line: 1, column: 12 } };
  const trigger = { ...stepLabel({ total: 3, range: from }), text: 'RUN make app' };
  for (const error of [
    new CommandError('Cannot run make: exit status 7', { argv, exitCode: 7 }),
    new DockerfileError('Cannot copy x', from),
  ]) {
    const lines = describeBuildFailure(error, { dockerfile, step: trigger }, false);
    assert.match(lines.join('\n'), /1 │ FROM debian\n[^]*\n {2}of its base: ONBUILD RUN make app\n {2}code: /);
  }
  const own = describeBuildFailure(new DockerfileError('Cannot copy x', range), { dockerfile, step }, false);
  assert.doesNotMatch(own.join('\n'), /ONBUILD/);
});

test('describeBuildFailure() has no place for what happened outside of any step', () => {
  const error = new BuilderError('ERR_REGISTRY', 'Cannot push r.example/a: 403');
  assert.deepEqual(describeBuildFailure(error, { dockerfile, step: undefined }, false), [
    'error: Cannot push r.example/a: 403',
    '  code: ERR_REGISTRY (docs/errors.md)',
  ]);
});
