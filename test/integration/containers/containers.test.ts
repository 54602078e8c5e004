// Working containers by real command lines, as root and as an ordinary user with ranges of ids: made of an image, changed by commands
// in namespaces, committed as an image.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { type Caller, type ContainerBench, openContainerBench, whyNoContainers } from '../../support/working-containers.ts';

for (const caller of ['root', 'user'] as const) {
  const skip = whyNoContainers(caller);
  const bench = skip === false ? await openContainerBench(caller) : undefined;
  suite(`containers of ${caller === 'root' ? 'root' : 'an ordinary user'}`, { skip }, () => {
    if (bench === undefined) return;
    after(() => bench[Symbol.dispose]());
    testRun(bench);
    testLimits(bench, caller);
    testCommit(bench);
    testNames(bench);
    testEnd(bench, caller);
  });
}

function testRun({ must, run }: ContainerBench): void {
  test('run has namespaces of its own, the user, folder and variables that are asked for, and gives the exit status on', () => {
    const name = must('from', '--name', 'runner', 'busybox');
    const script =
      'id -u; id -G; pwd; stat -c %u:%g /work .; echo $A $HOME; hostname; ls /proc/1 > /dev/null && ps | head -n 9; echo out > /dev/null; exit 7';
    const asked = ['--user', 'guest', '--workingdir', '/work/here', '--env', 'A=b c', '--hostname', 'shell'];
    const { status, stdout, stderr } = run('run', ...asked, name, 'sh', '-c', script);
    assert.equal(status, 7, stderr);
    const [id, groups, folder, outer, inner, variables, host, ...processes] = stdout.trimEnd().split('\n');
    assert.deepEqual([id, groups, folder, variables, host], ['1000', '1000 2000', '/work/here', 'b c /home/guest', 'shell']);
    assert.deepEqual([outer, inner], ['1000:1000', '1000:1000'], "a folder that is made for the command is its user's");
    // The first process, the shell, ps and head: nobody else can be seen.
    assert.ok(processes.length <= 5, stdout);
  });

  test('run says why a command can not be executed, with the status of a shell', () => {
    const { status, stderr } = run('run', 'runner', 'no-such-program');
    assert.deepEqual([status, stderr], [127, 'error: Cannot run no-such-program: no-such-program is not in this image\n']);
    assert.equal(run('run', 'runner', 'sh', '-c', 'kill -9 $$').status, 137);
    const { status: failure, stderr: reason } = run('run', 'nobody', 'true');
    assert.equal(failure, 125);
    assert.match(reason, /^error: Cannot find container "nobody": there is no such container/);
  });
}

function testLimits({ must, run }: ContainerBench, caller: Caller): void {
  test('a command without network has loopback alone, whether run says so or from did', () => {
    const interfaces = ['sh', '-c', 'while read name rest; do case $name in *:*) echo $name;; esac; done < /proc/net/dev'];
    assert.equal(must('run', '--network=none', 'runner', ...interfaces), 'lo:');
    const offline = must('from', '--network', 'none', 'busybox');
    assert.equal(must('run', offline, ...interfaces), 'lo:');
    assert.equal(must('run', '--net=host', offline, 'cat', '/proc/net/dev').includes(':'), true);
    must('rm', offline);
  });

  test('limits on memory and processes hold for the command alone, or are refused by name', (t) => {
    const bombs = 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait';
    const { status, stderr } = run('run', '--pids-limit=5', 'runner', 'sh', '-c', bombs);
    if (stderr.startsWith('error: Cannot honour --pids-limit: no control group can be had here')) {
      assert.equal(status, 125);
      assert.equal(caller, 'user', stderr);
      return t.diagnostic('no control groups for this user');
    }
    assert.match(stderr, /can't fork/);
    assert.equal(must('run', '--pids-limit=5', 'runner', 'sh', '-c', 'sleep 0 & wait; echo few'), 'few');
    assert.equal(run('run', '--memory=32m', 'runner', 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=100M', 'count=1').status, 137);
    assert.equal(must('run', '--memory=64m', 'runner', 'echo', 'fits'), 'fits');
  });
}

function testCommit({ must, storeFolder }: ContainerBench): void {
  test('commit makes a layer of what was changed and of nothing else', () => {
    const container = must('from', 'busybox');
    assert.equal(container, 'busybox-working-container');
    must(
      'run',
      container,
      'sh',
      '-c',
      'mkdir /a && echo hi > /a/b && chown 33:44 /a/b && rm /bin/ps && chown -R 0:0 /bin/sh && touch -d @7 /a/b',
    );
    const id = must('commit', container, 'changed');
    assert.match(id, /^[0-9a-f]{64}$/);
    const layer = layersOf(storeFolder, 'localhost/changed:latest').at(-1) ?? '';
    const listing = execFileSync('tar', ['--numeric-owner', '-tvzf', layer], { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } });
    const lines = listing
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s+/));
    assert.deepEqual(
      lines.map(([mode, owner, , , , path]) => [mode, owner, path].join(' ')),
      ['drwxr-xr-x 0/0 a/', '-rw-r--r-- 33/44 a/b', 'drwxr-xr-x 0/0 bin/', '---------- 0/0 bin/.wh.ps'],
    );
    // A place that has another format gets it.
    must('commit', '-q', container, `docker-archive:${storeFolder}/../changed.tar:example.test/changed:1`);
    assert.match(must('list-tags', `docker-archive:${storeFolder}/../changed.tar`), /example.test\/changed:1/);
    // A container of it begins as what was committed, owners and all.
    const again = must('from', 'changed');
    assert.equal(must('run', again, 'sh', '-c', 'stat -c "%u:%g %Y" /a/b; ls /bin/ps 2>/dev/null || echo gone'), '33:44 7\ngone');
  });
}

function testNames({ must, run, storeFolder }: ContainerBench): void {
  test('containers are listed, called otherwise and removed by name or id', () => {
    const file = join(storeFolder, '../id');
    const first = must('from', '--cidfile', file, 'busybox');
    const id = readFileSync(file, 'utf8');
    assert.equal(first, 'busybox-working-container-1');
    assert.equal(
      must('ps', '-n', '--filter', `id=${id}`),
      `${id.slice(0, 12)}     *     ${imageId(storeFolder)} localhost/busybox:latest         ${first}`,
    );
    // Whole ids in templates, and blanks part columns.
    const template = '{{.ContainerName}} {{.ContainerID}}';
    assert.equal(must('ps', '--filter', `id=${id}`, '--format', template), `${first}   ${id}`);
    const committed = join(storeFolder, '../iid');
    assert.equal(must('commit', '--timestamp', '0', '--iidfile', committed, first, 'by-file'), '');
    assert.match(must('images', '--format', '{{.CreatedAt}}', 'by-file'), /^\d+ years ago$/);
    assert.match(readFileSync(committed, 'utf8'), /^sha256:[0-9a-f]{64}$/);
    assert.match(run('commit', '--rm', '--iidfile', '/proc/none', first, 'lost').stderr, /^error: Cannot write --iidfile \/proc\/none:/);
    // Within one container, and from an image whose name is how an id may begin.
    must('copy', '--from', first, first, '/etc/passwd', '/etc/again');
    must('tag', 'busybox', id.slice(0, 3));
    must('copy', '--from', id.slice(0, 3), first, '/etc/passwd', '/from-image');
    assert.equal(run('copy', '--from', id.slice(0, 3), first, '/etc/again', '/no').status, 125, 'the image has none');
    must('untag', 'busybox', id.slice(0, 3));
    must('copy', '--from', first, '--exclude', 'pass*', first, '/etc', '/copied');
    assert.equal(run('copy', '--from', first, first, '/copied/passwd', '/no').status, 125, 'it was left out');
    must('copy', '--from', first, first, '/copied/again', '/yes');
    must('rmi', 'by-file');
    assert.equal(must('umount', first), '', 'it was not mounted');
    assert.equal(must('rename', first, 'other'), '');
    assert.match(run('rename', 'other', 'runner').stderr, /^error: Cannot call a container "runner": there is one of that name/);
    assert.equal(must('containers', '--format', '{{.ContainerName}}', '--filter', 'name=other'), 'other');
    assert.equal(must('rm', id.slice(0, 12)), id);
    assert.equal(existsSync(join(storeFolder, 'containers', id)), false);
    assert.equal(run('rm', 'other').status, 125);
  });
}

function testEnd({ argv, env, must, storeFolder }: ContainerBench, caller: Caller): void {
  test('a signal is passed on to the command, and nothing that a mount needed stays in the container', async () => {
    const container = must('from', 'scratch');
    must('copy', '-q', container, '/bin/busybox', '/busybox');
    const [program, ...args] = argv(
      'run',
      container,
      '/busybox',
      'sh',
      '-c',
      'trap "exit 9" TERM; echo up; while :; do /busybox sleep 0.1; done',
    );
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    const [status] = (await once(child, 'exit')) as [number | null]; // what Node documents
    assert.equal(status, 9);
    const { id } = stateOf(storeFolder, container);
    assert.deepEqual(readdirSync(join(storeFolder, 'containers', id, 'root')), ['busybox']);
    assert.deepEqual(stateOf(storeFolder, container).mountPoints, []);
  });

  test(
    'the store is closed to others, and files in it have the owners of the range',
    { skip: caller === 'root' && 'root has one range' },
    () => {
      const { id } = stateOf(storeFolder, 'runner');
      writeFileSync(join(storeFolder, 'mine'), '');
      assert.equal(statSync(join(storeFolder, 'containers')).mode & 0o777, 0o700);
      const folder = join(storeFolder, 'containers', id, 'root');
      must('run', 'runner', 'chown', '1000:33', '/etc/group');
      const { uid, gid } = statSync(join(folder, 'etc/group'));
      assert.deepEqual([uid, gid], [710_000_999, 710_000_032]);
      assert.match(
        must('unshare', '--mount', 'WHERE=runner', 'sh', '-c', 'stat -c %u:%g $WHERE/etc/group; yes | head -n 1 > $WHERE/new'),
        /^1000:33$/,
      );
      assert.equal(must('run', 'runner', 'cat', '/new'), 'y');
    },
  );

  test('a cache is kept from command to command, apart from the container, until prune', () => {
    const cache = (options: string, ...command: readonly string[]): string =>
      must('run', '--mount', `type=cache,target=/kept${options}`, 'runner', ...command);
    cache(',id=one,mode=0700,uid=1000', 'sh', '-c', 'echo something > /kept/file');
    assert.equal(cache(',id=one,mode=0700,uid=1000,ro', 'sh', '-c', 'stat -c %a:%u /kept; cat /kept/file'), '700:1000\nsomething');
    assert.equal(cache(',id=two', 'ls', '/kept'), '');
    assert.equal(must('run', 'runner', 'sh', '-c', 'ls -d /kept || echo none'), 'none');
    must('prune');
    assert.equal(cache(',id=one,mode=0700,uid=1000', 'ls', '/kept'), '');
  });
}

function stateOf(storeFolder: string, name: string): { readonly id: string; readonly mountPoints: readonly string[] } {
  for (const id of readdirSync(join(storeFolder, 'containers'))) {
    const path = join(storeFolder, 'containers', id, 'state.json');
    if (!existsSync(path)) continue;
    const state = JSON.parse(readFileSync(path, 'utf8')) as { id: string; name: string; mountPoints: string[] }; // written by the program
    if (state.name === name) return state;
  }
  throw new Error(`there is no container ${name}`);
}

interface Named {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

function manifestOf(storeFolder: string, name: string): { readonly config: Named; readonly layers: readonly Named[] } {
  const index = JSON.parse(readFileSync(join(storeFolder, 'images/index.json'), 'utf8')) as { manifests: Named[] }; // image-spec
  const entry = index.manifests.find(({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === name);
  return JSON.parse(readFileSync(blob(storeFolder, entry), 'utf8')) as { config: Named; layers: Named[] }; // image-spec
}

function layersOf(storeFolder: string, name: string): readonly string[] {
  return manifestOf(storeFolder, name).layers.map((layer) => blob(storeFolder, layer));
}

function imageId(storeFolder: string): string {
  return manifestOf(storeFolder, 'localhost/busybox:latest').config.digest.slice('sha256:'.length, 'sha256:'.length + 12);
}

function blob(storeFolder: string, named: Named | undefined): string {
  return join(storeFolder, 'images/blobs/sha256', named?.digest.slice('sha256:'.length) ?? '');
}
