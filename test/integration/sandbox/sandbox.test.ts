// The launcher with a stand-in for the builder, as root and as an ordinary user with and without id ranges.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readIdSources } from '../../../src/sandbox/host.ts';
import { rangesHint } from '../../../src/sandbox/ids.ts';
import { type VisiblePath, sandboxPath } from '../../../src/sandbox/plan.ts';

import { addAccount, removeAccount } from '../../support/account.ts';

const driver = join(import.meta.dirname, 'driver.ts');
const whyNot = reasonToSkip();

interface Runner {
  readonly name: string;
  /** Words before the command that make it run as this one. */
  readonly prefix: readonly string[];
  readonly uid: number;
  /** An account that is made for the tests. */
  readonly account?: string;
}

const root: Runner = { name: 'root', prefix: [], uid: 0 };
const ranged: Runner = { name: 'a user with id ranges', prefix: asUser(61_001), uid: 61_001, account: 'yadokari-ranged' };
const plain: Runner = { name: 'a user without id ranges', prefix: asUser(61_002), uid: 61_002, account: 'yadokari-plain' };

for (const runner of [root, ranged, plain]) {
  describe(`runInSandbox() as ${runner.name}`, { skip: whyNot, timeout: 120_000 }, () => {
    let base = '';
    before(() => {
      if (runner.account !== undefined) addAccount(runner.account, runner.uid, runner === ranged ? 300_000 : undefined);
      base = mkdtempSync(join('/var/tmp', 'sandbox-test-'));
      for (const name of ['parent', 'context', 'out']) {
        mkdirSync(join(base, name));
        chownSync(join(base, name), runner.uid, runner.uid);
      }
      chownSync(base, runner.uid, runner.uid);
      writeFileSync(join(base, 'context/file'), 'context\n');
    });
    after(() => {
      rmSync(base, { recursive: true, force: true });
      if (runner.account !== undefined) removeAccount(runner.account);
    });

    const command = (argv: readonly string[], visible: readonly VisiblePath[]): readonly string[] => {
      const request = JSON.stringify({ argv, visible, parentFolder: join(base, 'parent') });
      return [...runner.prefix, process.execPath, '--no-warnings', driver, request];
    };
    const run = (argv: readonly string[], visible: readonly VisiblePath[] = []) => {
      const [program = '', ...args] = command(argv, visible);
      const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000, cwd: '/' });
      return { status, stdout, stderr, value: (): unknown => JSON.parse(stdout) };
    };
    const start = async (): Promise<ChildProcess> => {
      const [program = '', ...args] = command(['wait'], []);
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' });
      const [chunk] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
      assert.equal(String(chunk), 'waiting\n');
      return child;
    };
    const leftovers = (): readonly string[] => readdirSync(join(base, 'parent'));

    test('gives the builder an empty root, pid 1 and a host name that says nothing', () => {
      const result = run(['report']);
      assert.equal(result.status, 0, result.stderr);
      const { pid, root: names, hostName, hosts, sees, devices } = asRecord(result.value());
      assert.deepEqual({ pid, names, hostName }, { pid: 1, names: ['dev', 'etc', 'kaniko', 'proc', 'sys'], hostName: 'yadokari' });
      assert.match(String(hosts), /^127\.0\.1\.1 yadokari$/m);
      assert.deepEqual(sees, { node: true, app: ['node_modules', 'package.json', 'test'] });
      const expected = 'fd full null ptmx pts random shm stderr stdin stdout tty urandom zero';
      assert.deepEqual(devices, expected.split(' '));
    });

    test('hands over the arguments, but shows neither them nor the environment in /proc', () => {
      const result = asRecord(run(['report', 'argument-canary']).value());
      assert.deepEqual(result['argv'], ['report', 'argument-canary']);
      const hint =
        runner === plain ? { YADOKARI_ID_HINT: rangesHint({ uid: 0, name: plain.account, mayMount: false }, readIdSources()) } : {};
      assert.deepEqual(result['env'], { SECRET: 'environment-canary', YADOKARI_SANDBOX: '1', ...hint });
      assert.doesNotMatch(`${String(result['commandLine'])}${String(result['environment'])}`, /canary/);
    });

    test('leaves the builder the powers of a container and no more', () => {
      assert.equal(asRecord(run(['report']).value())['capabilities'], 'a80425fb');
      const { otherProcesses, mount, remount, climbOut, ...others } = asRecord(run(['probe']).value());
      assert.deepEqual(
        { otherProcesses, mount, remount, climbOut },
        { otherProcesses: 'none', mount: 'refused', remount: 'refused', climbOut: 'refused' },
      );
      for (const [what, result] of Object.entries(others)) assert.match(String(result), /^(?:EROFS|EACCES|EPERM)$/, what);
    });

    test('shows the context read-only, and an output inside it writable', () => {
      const context = join(base, 'context');
      const output = join(context, 'made/digest');
      const visible: readonly VisiblePath[] = [
        { path: output, mode: 'rw', kind: 'file' },
        { path: context, mode: 'ro', kind: 'folder' },
      ];
      assert.equal(run(['read', sandboxPath(join(context, 'file'))], visible).value(), 'context\n');
      assert.equal(run(['write', sandboxPath(join(context, 'file')), 'x'], visible).value(), 'EROFS');
      assert.equal(readFileSync(join(context, 'file'), 'utf8'), 'context\n');
      assert.equal(run(['write', sandboxPath(output), 'sha256:1'], visible).value(), 'done');
      assert.equal(readFileSync(output, 'utf8'), 'sha256:1');
      assert.equal(statSync(output).uid, runner.uid);
    });

    test('gives a secret as a copy that can be taken away inside and stays on the host', () => {
      const secret = join(base, 'out/token');
      writeFileSync(secret, 'canary', { mode: 0o600 });
      chownSync(secret, runner.uid, runner.uid);
      const visible = [{ path: secret, mode: 'copy', kind: 'file' }] as const;
      assert.deepEqual(run(['take', sandboxPath(secret)], visible).value(), ['canary', 'done', false]);
      assert.equal(readFileSync(secret, 'utf8'), 'canary');
    });

    test('takes an output away again that the builder did not write', () => {
      const folder = join(base, 'out/layout');
      const file = join(base, 'out/image.tar');
      const visible = [
        { path: folder, mode: 'rw', kind: 'folder' },
        { path: file, mode: 'rw', kind: 'file' },
      ] as const;
      assert.equal(run(['exit', '1'], visible).status, 1);
      assert.deepEqual([existsSync(folder), existsSync(file)], [false, false]);
    });

    test('refuses an input that is not there and names it', () => {
      const result = run(['report'], [{ path: '/nowhere/Dockerfile', mode: 'ro', kind: 'file' }]);
      assert.match(result.stderr, /^ERR_CONTEXT Cannot use \/nowhere\/Dockerfile: it does not exist/m);
      assert.equal(result.stdout, '');
    });

    test("passes on the builder's exit status and leaves nothing behind", () => {
      assert.equal(run(['exit', '42']).status, 42);
      assert.deepEqual(leftovers(), []);
    });

    test('gives files to other users as far as there are ids, and removes them all the same', () => {
      const result = run(['own']);
      assert.equal(result.status, 0, result.stderr);
      const refused = { owners: ['EINVAL', 'EINVAL', 'EINVAL'], folder: 'EINVAL', uid: 0 };
      const done = { owners: ['done', 'done', 'done'], folder: 'done', uid: 65_534 };
      assert.deepEqual(result.value(), runner === plain ? refused : done);
      const says = /"sandbox-ids","message":"there are no id ranges for yadokari-plain in \/etc\/subuid: files that do not belong to root/;
      assert.equal(says.test(result.stderr), runner === plain, result.stderr);
      assert.deepEqual(leftovers(), []);
    });

    for (const [name, status] of [
      ['SIGTERM', 143],
      ['SIGINT', 130],
    ] as const) {
      test(`passes ${name} on, so the builder ends well, and leaves nothing behind`, async () => {
        const child = await start();
        assert.equal(leftovers().length, 1);
        child.kill(name);
        assert.deepEqual(await once(child, 'exit'), [status, null]);
        assert.deepEqual(leftovers(), []);
      });
    }

    test('ends the builder and removes its root when the launcher itself is killed', async () => {
      const child = await start();
      const inside = processesIn(join(base, 'parent'));
      assert.ok(inside.length > 0);
      child.kill('SIGKILL');
      await once(child, 'exit');
      for (let waits = 0; leftovers().length > 0 && waits < 100; waits += 1) await sleep(50);
      assert.deepEqual(leftovers(), []);
      assert.deepEqual(processesIn(join(base, 'parent')), []);
    });

    test("touches nothing of the host's root, whatever is written to the same paths inside", () => {
      const word = `sandbox-test-${process.pid}`;
      const places = ['/etc', '/usr/local', '/root', '/dev/shm'].map((folder) => join(folder, word));
      // What is there already must not change, and what is not there must not come.
      const [present = '', ...absent] = places;
      writeFileSync(present, 'the host');
      try {
        const { ctimeNs } = lstatSync(present, { bigint: true });
        for (const path of places) assert.equal(run(['write', path, 'inside']).value(), 'done', path);
        assert.deepEqual([readFileSync(present, 'utf8'), lstatSync(present, { bigint: true }).ctimeNs], ['the host', ctimeNs]);
        assert.deepEqual(
          absent.filter((path) => existsSync(path)),
          [],
        );
      } finally {
        for (const path of places) rmSync(path, { force: true });
      }
    });
  });
}

test('runInSandbox() refuses a folder where no program may run', { skip: whyNot }, () => {
  const folder = mkdtempSync('/var/tmp/sandbox-test-');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'noexec', 'tmpfs', folder]);
  try {
    const request = JSON.stringify({ argv: ['report'], visible: [], parentFolder: folder });
    const { stderr, status } = spawnSync(process.execPath, ['--no-warnings', driver, request], { encoding: 'utf8' });
    assert.equal(
      stderr.split(' (')[0],
      `ERR_UNSUPPORTED Cannot make a sandbox in ${folder}: it is mounted noexec, so no RUN could start there`,
    );
    assert.equal(status, 99);
  } finally {
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  }
});

function asUser(uid: number): readonly string[] {
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
}

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to become other users';
  for (const program of ['setpriv', 'unshare', 'newuidmap', 'useradd', 'usermod']) {
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `needs ${program}`;
  }
  const asRanged = (...command: readonly string[]): boolean => spawnSync('setpriv', [...asUser(61_001).slice(1), ...command]).status === 0;
  if (!asRanged('unshare', '--user', '--map-root-user', 'true')) return 'this machine forbids user namespaces';
  return asRanged('test', '-r', driver) ? false : 'the checkout is not readable for other users';
}

function asRecord(value: unknown): Record<string, unknown> {
  assert.ok(typeof value === 'object' && value !== null);
  return { ...value };
}

/** Pids whose root lies below `folder`, as seen from the host. */
function processesIn(folder: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && mountsOf(pid).includes(folder));
}

function mountsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
}
