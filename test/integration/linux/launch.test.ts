import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesFromText } from '../../../src/bytes.ts';
import type { LaunchRequest, LaunchResult } from '../../../src/linux/launch.ts';
import { type ShellRoot, makeShellRoot, shellRootMissing } from '../../support/shell-root.ts';

const missing = shellRootMissing();
const options = { skip: missing ?? false };
let root: ShellRoot;

if (missing === undefined) {
  before(async () => {
    root = await makeShellRoot({ graceMs: 300 });
  });
  after(async () => {
    await root[Symbol.asyncDispose]();
  });
}

interface Launched {
  readonly result: LaunchResult;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

async function launch(script: string, changes: Partial<LaunchRequest> = {}): Promise<Launched> {
  const lines: Record<'stdout' | 'stderr', string[]> = { stdout: [], stderr: [] };
  const result = await root.launcher.launch({
    argv: ['/bin/sh', '-c', script],
    env: new Map([['PATH', '/bin']]),
    cwd: bytesFromText('/'),
    root: root.bytes,
    user: { uid: 0, gid: 0, groups: [0] },
    onOutput: (stream, line) => lines[stream].push(line),
    signal: new AbortController().signal,
    ...changes,
  });
  return { result, ...lines };
}

/** The same on the machine's own root, which has a /proc. */
function launchHere(script: string, changes: Partial<LaunchRequest> = {}): Promise<Launched> {
  const env = new Map([['PATH', '/usr/bin:/bin']]);
  const lines: Record<'stdout' | 'stderr', string[]> = { stdout: [], stderr: [] };
  return root.launcher
    .launch({
      argv: ['/bin/sh', '-c', script],
      env,
      cwd: bytesFromText('/'),
      user: { uid: 0, gid: 0, groups: [0] },
      signal: new AbortController().signal,
      onOutput: (stream, line) => lines[stream].push(line),
      ...changes,
    })
    .then((result) => ({ result, ...lines }));
}

test('launch() refuses a NUL byte, at which a command would take an argument or a variable to end', options, async () => {
  const refused = { code: 'ERR_UNSUPPORTED', message: /^Cannot run a command with "(?:A=)?a\\u0000b": no argument or variable can hold/ };
  await assert.rejects(launch('a\0b'), refused);
  await assert.rejects(launch('true', { env: new Map([['A', 'a\0b']]) }), refused);
});

test('launch() keeps stdout and stderr apart, in lines', options, async () => {
  const { stdout, stderr } = await launch('echo a; echo b >&2; printf "c\\r\\nd"');
  assert.deepEqual(stdout, ['a', 'c', 'd']);
  assert.deepEqual(stderr, ['b']);
});

test('launch() gives a line of a million characters in pieces, and loses nothing', options, async () => {
  const { stdout } = await launch('head -c 1000000 /dev/zero 2>/dev/null | tr "\\0" x || true; echo');
  const long = await launch('seq 1 150000 | tr "\\n" ,');
  assert.deepEqual(
    stdout.filter((line) => line.length > 16_384),
    [],
  );
  const expected = Array.from({ length: 150_000 }, (_, index) => `${index + 1},`).join('');
  assert.equal(long.stdout.join(''), expected);
  assert.ok(long.stdout.every((line) => line.length <= 16_384));
});

test('launch() puts a character together that came in two pieces', options, async () => {
  const { stdout } = await launch('printf "\\303"; sleep 0.1; printf "\\274\\n"');
  assert.deepEqual(stdout, ['ü']);
});

for (const code of [0, 1, 2, 42, 126, 127, 128, 255]) {
  test(`launch() gives exit code ${code}`, options, async () => {
    assert.deepEqual((await launch(`exit ${code}`)).result, { exitCode: code });
  });
}

for (const name of ['SIGHUP', 'SIGINT', 'SIGABRT', 'SIGKILL', 'SIGUSR1', 'SIGSEGV', 'SIGPIPE', 'SIGTERM'] as const) {
  test(`launch() names ${name} as the end of a command`, options, async () => {
    assert.deepEqual((await launch(`kill -${constants.signals[name]} $$; sleep 5`)).result, { signalName: name });
  });
}

test('launch() starts a command with three descriptors, no input, and a session of its own', options, async () => {
  const { stdout } = await launchHere('readlink /proc/self/fd/0; ls /proc/$$/fd; cut -d" " -f1,5,6 /proc/$$/stat; read line || echo end');
  const [input, ...rest] = stdout;
  assert.equal(input, '/dev/null');
  const descriptors = rest.filter((line) => /^\d+$/.test(line));
  assert.deepEqual(descriptors, ['0', '1', '2']);
  const [pid, group, session] = rest.find((line) => line.includes(' '))?.split(' ') ?? [];
  assert.deepEqual([group, session], [pid, pid]);
  assert.equal(rest.at(-1), 'end');
});

test('launch() starts a command with umask 022, no signal blocked or ignored, and few descriptors allowed', options, async () => {
  const { stdout } = await launchHere('umask; grep -E "^Sig(Blk|Ign)" /proc/self/status; ulimit -Sn');
  const [umask, blocked = '', ignored = '', limit] = stdout;
  assert.equal(umask, '0022');
  assert.match(blocked, /\t0{16}$/);
  assert.match(ignored, /\t0{16}$/);
  assert.ok(Number(limit) <= 65_536, `ulimit -n is ${limit}`);
});

test('launch() leaves umask, directory and limits of the builder as they were', options, async () => {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const cwd = process.cwd();
  const umask = process.umask();
  await launch('true', { user: { uid: 1234, gid: 5678, groups: [5678, 9] } });
  assert.equal(await readFile('/proc/self/limits', 'utf8'), limits);
  assert.equal(process.cwd(), cwd);
  assert.equal(process.umask(), umask);
  assert.deepEqual([process.getuid?.(), process.getgid?.(), process.geteuid?.()], [0, 0, 0]);
});

test('launch() lets another user open /dev/stdout and /dev/stderr', options, async () => {
  const user = { uid: 1234, gid: 5678, groups: [5678] };
  const { result, stdout, stderr } = await launchHere('echo a > /dev/stdout; echo b > /dev/stderr', { user });
  assert.deepEqual([result, stdout, stderr], [{ exitCode: 0 }, ['a'], ['b']]);
});

test('launch() gives a command nothing of the environment of the builder', options, async () => {
  process.env['YADOKARI_CANARY'] = 'leaked';
  const { stdout } = await launchHere('cat /proc/$$/environ | tr "\\0" "\\n"');
  delete process.env['YADOKARI_CANARY'];
  assert.deepEqual(stdout, ['PATH=/usr/bin:/bin']);
});

test('launch() asks a command to end when the build is stopped', options, async () => {
  const controller = new AbortController();
  const reason = new Error('stop');
  const lines: string[] = [];
  const running = launch('trap "echo asked; exit 0" TERM; echo ready; while :; do sleep 0.05; done', {
    signal: controller.signal,
    onOutput: (stream, line) => {
      if (stream === 'stdout') lines.push(line);
      if (line === 'ready') controller.abort(reason);
    },
  });
  await assert.rejects(running, (error) => error === reason);
  assert.deepEqual(lines, ['ready', 'asked']);
});

test('launch() kills a command that does not want to end', options, async () => {
  const controller = new AbortController();
  const started = performance.now();
  const running = launch('trap "" TERM; echo ready; while :; do sleep 0.05; done', {
    user: { uid: 1234, gid: 5678, groups: [5678] },
    signal: controller.signal,
    onOutput: () => controller.abort(new Error('stop')),
  });
  await assert.rejects(running, /stop/);
  const took = performance.now() - started;
  assert.ok(took >= 300 && took < 5000, `took ${took} ms`);
});

test('launch() starts nothing after the build was stopped', options, async () => {
  await assert.rejects(launch('touch /tmp/started', { signal: AbortSignal.abort(new Error('stopped')) }), /stopped/);
  await assert.rejects(readFile(join(root.path, 'tmp/started')), /ENOENT/);
});

test('launch() looks for a program along PATH of the command, and takes the first that it may execute', options, async () => {
  await writeFile(join(root.path, 'tmp/tool'), '#!/bin/sh\necho tmp\n', { mode: 0o644 });
  await writeFile(join(root.path, 'root/tool'), '#!/bin/sh\necho root\n', { mode: 0o755 });
  const env = new Map([['PATH', '/none:/etc/passwd:/tmp:/root']]);
  assert.deepEqual((await launch('', { argv: ['tool'], env })).stdout, ['root']);
  const { result } = await launch('', { argv: ['tool'], env: new Map([['PATH', '/none:/tmp']]) });
  assert.deepEqual(result, { exitCode: 126, refusal: "/tmp/tool can't be executed: it lacks the permission for this user" });
});

test('launch() says what a script needs that is missing', options, async () => {
  await writeFile(join(root.path, 'tmp/py'), '#!/usr/bin/python3 -u\n', { mode: 0o755 });
  const { result } = await launch('', { argv: ['/tmp/py'] });
  assert.deepEqual(result, { exitCode: 127, refusal: '/tmp/py needs /usr/bin/python3, which is not in this image' });
});

for (const uid of [-1, 4_294_967_295, 2 ** 32, 1.5, Number.NaN]) {
  test(`launch() refuses uid ${uid}, which the kernel would take for "stay as you are" or for another`, options, async () => {
    await assert.rejects(launch('touch /tmp/as-root', { user: { uid, gid: 0, groups: [0] } }), RangeError);
    await assert.rejects(launch('touch /tmp/as-root', { user: { uid: 1, gid: uid, groups: [0] } }), RangeError);
    await assert.rejects(launch('touch /tmp/as-root', { user: { uid: 1, gid: 1, groups: [uid] } }), RangeError);
    await assert.rejects(readFile(join(root.path, 'tmp/as-root')), /ENOENT/);
  });
}

test('launch() does not take away children that Node started itself', options, async () => {
  const child = spawn('/bin/sh', ['-c', 'sleep 0.3; exit 9']);
  await launch('(sleep 0.01 &) ; sleep 0.1');
  const [code] = await once(child, 'exit');
  assert.equal(code, 9);
  await sleep(1);
});

test('launch() leaves no pipe open where a command could not be asked for', options, async () => {
  const openFiles = (): number => readdirSync('/proc/self/fd').length;
  await launch('true');
  const before = openFiles();
  const env = Object.assign(new Map<string, string>(), {
    get: (): never => {
      throw new Error('no environment');
    },
  });
  for (let attempt = 0; attempt < 3; attempt++) await assert.rejects(launch('true', { env }), /no environment/);
  assert.equal(openFiles(), before);
});
