import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesFromText } from '../../../src/bytes.ts';
import type { MountSources } from '../../../src/build/instructions/run-mounts.ts';
import { BuilderError } from '../../../src/errors.ts';
import { diskView } from '../../../src/files/disk-view.ts';
import { parseIgnoreFile } from '../../../src/context/ignore.ts';
import { type ShellRoot, makeShellRoot, shellRootMissing } from '../../support/shell-root.ts';
import { type Ran, runInstruction, runStep, stageState } from '../../support/run-step.ts';
import { temporaryFolder } from '../../support/tree.ts';

const missing = shellRootMissing();
const options = { skip: missing ?? false };
let root: ShellRoot;
let context: string;

if (missing === undefined) {
  before(async () => {
    root = await makeShellRoot();
    context = await mkdtemp(join(tmpdir(), 'yadokari-context-'));
    await mkdir(join(context, 'src/deep'), { recursive: true });
    await writeFile(join(context, 'src/a'), 'A\n', { mode: 0o640 });
    await writeFile(join(context, 'src/deep/b'), 'B\n');
    await writeFile(join(context, 'hidden'), 'H\n');
    await symlink('/etc/passwd', join(context, 'outside'));
    await symlink('deep', join(context, 'src/link'));
  });
  after(async () => {
    await root[Symbol.asyncDispose]();
    await rm(context, { recursive: true, force: true });
  });
}

function inRoot(path: string): string {
  return join(root.path, path);
}

function sources(changes: Partial<MountSources> = {}): MountSources {
  const tree = {
    files: diskView(bytesFromText(context)),
    label: 'the build context',
    ignore: parseIgnoreFile('hidden\n', '.dockerignore'),
    keepsOwners: false,
  };
  return {
    tree: (from) => (from === undefined ? Promise.resolve(tree) : Promise.reject(new Error(`no stage ${from}`))),
    secret: (id) => (id === 'token' ? Buffer.from('s3cret-t0ken\n') : id === 'binary' ? Buffer.from([0xff]) : undefined),
    ssh: () => undefined,
    cacheFolder: bytesFromText(inRoot('caches')),
    ...changes,
  };
}

function run(mounts: readonly string[], script: string, user = '', changes: Partial<MountSources> = {}): Promise<Ran> {
  const state = stageState({}, { workingDir: '/work', ...(user === '' ? {} : { user }) });
  return runStep(root, runInstruction(script, mounts), state, { mounts: sources(changes) });
}

/** Everything below a folder: type, mode, owner, inode, time and content, but for what a rename alone changes. */
async function picture(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name !== 'caches' && !name.startsWith('caches/')).toSorted();
  return await Promise.all(
    names.map(async (name) => {
      const stats = await lstat(join(folder, name), { bigint: true });
      return [name, stats.mode, stats.uid, stats.gid, stats.ino, stats.mtimeNs, stats.size].join(' ');
    }),
  );
}

test('a bind mount shows the context without what is ignored, owned by root, and its links stay inside', options, async () => {
  await mkdir(inRoot('work'), { recursive: true });
  const before_ = await picture(root.path);
  // The context's own mode is nobody's business but its owner's: mkdtemp's is 0700.
  const script = 'ls /ctx; cat /ctx/src/a /ctx/src/link/b; stat -c "%u:%g %a" /ctx /ctx/src/a; readlink /ctx/outside';
  const ran = await run(['target=/ctx'], script);
  assert.equal(ran.error, undefined);
  assert.deepEqual(ran.lines, ['outside', 'src', 'A', 'B', '0:0 755', '0:0 640', '/etc/passwd']);
  assert.deepEqual(ran.effect?.touched, { kind: 'anything', except: ['ctx'], unchanged: ['.'] });
  assert.deepEqual(await picture(root.path), before_);
});

test('a bind mount covers the working directory and what was there comes back untouched', options, async () => {
  await writeFile(inRoot('work/own'), 'own');
  const before_ = await picture(root.path);
  const ran = await run(['type=bind,source=src,target=.'], 'ls; echo x > a; rm -r deep; echo y > new');
  assert.equal(ran.error, undefined);
  assert.deepEqual(ran.lines, ['a', 'deep', 'link']);
  assert.deepEqual(await picture(root.path), before_);
  assert.equal(await readFile(join(context, 'src/a'), 'utf8'), 'A\n');
});

test('a bind mount of one file stands in for an existing file', options, async () => {
  const before_ = await picture(root.path);
  const ran = await run(['source=src/a,target=/etc/passwd'], 'cat /etc/passwd');
  assert.deepEqual(ran.lines, ['A']);
  assert.deepEqual(await picture(root.path), before_);
});

for (const source of ['/outside', '/hidden', '/none', '/src/../../etc/passwd', '/outside/../shadow']) {
  test(`a bind mount refuses source ${source}, which is not in the context`, options, async () => {
    const ran = await run([`source=${source},target=/x`], 'cat /x');
    assert.match(String(ran.error), /Cannot mount .*: it is not in the build context/);
  });
}

test('mounts are gone and covered files are back after a command that fails', options, async () => {
  const before_ = await picture(root.path);
  const ran = await run(['target=/etc', 'type=secret,id=token', 'type=tmpfs,target=/a/b/c'], 'echo x > /a/b/c/d; exit 3');
  assert.match(String(ran.error), /exit code 3/);
  assert.deepEqual(await picture(root.path), before_);
});

test('mounts are gone and covered files are back after a build that was stopped', options, async () => {
  const before_ = await picture(root.path);
  const instruction = runInstruction('sleep 100', ['target=/etc', 'type=secret,id=token']);
  const signal = AbortSignal.timeout(200);
  const ran = await runStep(root, instruction, stageState(), { mounts: sources(), signal });
  assert.equal(ran.error, signal.reason);
  assert.deepEqual(await picture(root.path), before_);
});

test('a secret is a file of mode 0400 of root for this RUN alone', options, async () => {
  const before_ = await picture(root.path);
  const ran = await run(['type=secret,id=token'], 'cat /run/secrets/token; stat -c "%u:%g %a" /run/secrets/token');
  assert.deepEqual(ran.lines, ['s3cret-t0ken', '0:0 400']);
  assert.deepEqual(ran.effect?.secretIds, ['token']);
  assert.deepEqual(await picture(root.path), before_);
});

test('a secret is put, and what it covers put back, where root has the rights of an owner alone', options, async (test) => {
  const folder = temporaryFolder(test);
  const put = `
    import { chmodSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
    import { MountTargets } from '${resolve(import.meta.dirname, '../../../src/build/instructions/mount-targets.ts')}';
    import { createProtection } from '${resolve(import.meta.dirname, '../../../src/rootfs/protect.ts')}';
    const [root, path] = ['${folder}', '${folder}/t'];
    writeFileSync(path, 'covered', { mode: 0 });
    const targets = new MountTargets({ path: root, protection: createProtection([]) }, () => assert.fail());
    const make = async () => (writeFileSync(path, 'secret'), chmodSync(path, 0o400));
    await targets.put('/t', { type: 'file', make, isSecret: true });
    const seen = [readFileSync(path, 'utf8'), statSync(path).mode & 0o777];
    await targets.restore();
    chmodSync(path, 0o600);
    console.log(JSON.stringify([...seen, readdirSync(root), readFileSync(path, 'utf8')]));`;
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', put];
  const done = spawnSync('setpriv', ['--bounding-set', '-all', '--inh-caps', '-all', '--', ...node], { encoding: 'utf8' });
  assert.equal(done.stdout, `${JSON.stringify(['secret', 0o400, ['t'], 'covered'])}\n`, done.stderr);
});

test('a secret can belong to another user, stand elsewhere, and be a variable', options, async () => {
  const script = 'cat /home/app/.t; stat -c "%u:%g %a" /home/app/.t; echo "$TOKEN"';
  const ran = await run(['type=secret,id=token,target=/home/app/.t,env=TOKEN,uid=2000,gid=3000,mode=0440'], script, 'app');
  assert.deepEqual(ran.lines.slice(0, 3), ['s3cret-t0ken', '2000:3000 440', 's3cret-t0ken']);
  const only = await run(['type=secret,id=token,env=TOKEN'], 'echo "$TOKEN"; ls /run/secrets 2>/dev/null');
  assert.deepEqual(
    only.lines.filter((line) => line !== ''),
    ['s3cret-t0ken'],
  );
});

test('a secret that no variable can hold as it is, is an error there and a file all the same', options, async () => {
  const ran = await run(['type=secret,id=binary,env=TOKEN'], 'true');
  assert.match(String(ran.error), /Cannot put secret binary into TOKEN: it is not UTF-8 text/);
  const file = await run(['type=secret,id=binary'], 'od -An -tx1 /run/secrets/binary');
  assert.deepEqual(file.lines, [' ff']);
});

test('a secret that was not given is absent, or an error where it is required', options, async () => {
  const ran = await run(['type=secret,id=other'], 'test ! -e /run/secrets/other');
  assert.equal(ran.error, undefined);
  const required = await run(['type=secret,id=other,required'], 'true');
  assert.match(String(required.error), /secret other is required and was not given/);
});

test('a secret that the command links elsewhere is emptied, and the build fails', options, async () => {
  const ran = await run(['type=secret,id=token'], 'ln /run/secrets/token /leak');
  assert.match(String(ran.error), /moved or linked it elsewhere/);
  assert.equal(await readFile(inRoot('leak'), 'utf8'), '');
  await rm(inRoot('leak'));
});

test('a secret whose folder the command moves away is emptied, and the build fails', options, async () => {
  const ran = await run(['type=secret,id=token'], 'mv /run /moved');
  assert.match(String(ran.error), /Cannot clear mount target/);
  assert.equal(await readFile(inRoot('moved/secrets/token'), 'utf8'), '');
  await rm(inRoot('moved'), { recursive: true });
});

test('clearing a target does not follow a link that the command put in place of its folder', options, async () => {
  await mkdir(inRoot('canary/secrets'), { recursive: true });
  await writeFile(inRoot('canary/secrets/token'), 'canary');
  await chmod(inRoot('canary'), 0o700);
  const ran = await run(['type=secret,id=token'], 'rm -rf /run; ln -s /canary /run');
  assert.equal(ran.error, undefined);
  assert.equal(await readFile(inRoot('canary/secrets/token'), 'utf8'), 'canary');
  assert.equal((await lstat(inRoot('canary'))).mode & 0o7777, 0o700);
  assert.equal(await readlink(inRoot('run')), '/canary');
  await rm(inRoot('run'));
  await rm(inRoot('canary'), { recursive: true });
});

test('a folder made for a target stays where the command uses it too', options, async () => {
  const ran = await run(['type=secret,id=token'], 'echo kept > /run/secrets/mine');
  assert.equal(ran.error, undefined);
  assert.deepEqual(await readdir(inRoot('run/secrets')), ['mine']);
  await rm(inRoot('run'), { recursive: true });
});

test('a cache keeps its content from RUN to RUN and out of the root', options, async () => {
  const mount = 'type=cache,target=/var/cache/x,mode=0770,uid=2000,gid=3000';
  const before_ = await picture(root.path);
  const first = await run([mount], 'stat -c "%u:%g %a" .; stat -c "%u:%g %a" /var/cache/x; echo 1 > /var/cache/x/n');
  assert.deepEqual(first.lines.slice(1), ['2000:3000 770']);
  const failed = await run([mount], 'echo 2 >> /var/cache/x/n; exit 1');
  assert.notEqual(failed.error, undefined);
  const second = await run([mount], 'cat /var/cache/x/n');
  assert.deepEqual(second.lines, ['1', '2']);
  const other = await run(
    [`${mount},id=/var/cache/x,ro`.replace('target=/var/cache/x', 'target=/elsewhere')],
    'cat /elsewhere/n; echo 3 > /elsewhere/n',
  );
  assert.deepEqual(other.lines, ['1', '2']);
  const third = await run([mount], 'cat /var/cache/x/n');
  assert.deepEqual(third.lines, ['1', '2']);
  assert.deepEqual(await picture(root.path), before_);
});

test('a cache of one id is another one for each owner and mode', options, async () => {
  const mounts = ['id=o,target=/c', 'id=o,target=/c,uid=7', 'id=o,target=/c,mode=0700'].map((mount) => `type=cache,${mount}`);
  for (const [number, mount] of mounts.entries()) await run([mount], `echo ${number} >> /c/f`);
  for (const [number, mount] of mounts.entries()) assert.deepEqual((await run([mount], 'cat /c/f')).lines, [String(number)]);
});

test('one cache at two targets is one folder, and two where it is private', options, async () => {
  const shared = await run(['type=cache,id=s,target=/one', 'type=cache,id=s,target=/two'], 'echo x > /one/f; cat /two/f');
  assert.deepEqual(shared.lines, ['x']);
  const apart = ['type=cache,id=p,target=/one,sharing=private', 'type=cache,id=p,target=/two,sharing=private'];
  assert.deepEqual((await run(apart, 'echo x > /one/f; ls /two')).lines, []);
});

test('a cache on another filesystem keeps its content too, with owners and times', options, async () => {
  const folder = await mkdtemp('/dev/shm/yadokari-cache-');
  try {
    const before_ = await picture(root.path);
    const far = { cacheFolder: bytesFromText(folder) };
    const script = 'mkdir d; echo 1 > d/f; chown 7:8 d/f; touch -d @1000000000 d/f; ln d/f hard; ln -s d link';
    const first = await run(['type=cache,target=/far'], `cd /far; ${script}`, '', far);
    assert.equal(first.error, undefined);
    const second = await run(['type=cache,target=/far'], 'cd /far; cat link/f; stat -c "%u:%g %Y %h" d/f; rm hard', '', far);
    assert.deepEqual(second.lines, ['1', '7:8 1000000000 2']);
    assert.deepEqual((await run(['type=cache,target=/far'], 'ls /far', '', far)).lines, ['d', 'link']);
    assert.deepEqual(await picture(root.path), before_);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

for (const id of ['../../x', '/etc', '..']) {
  test(`a cache named ${id} lives in the cache folder`, options, async () => {
    const before_ = await picture(root.path);
    const ran = await run([`type=cache,id=${id},target=/cached`], 'ls /cached; echo x > /cached/f');
    assert.equal(ran.error, undefined);
    assert.deepEqual(ran.lines, []);
    assert.deepEqual(await picture(root.path), before_);
  });
}

test('a folder of a cache that a command replaced by a link leads nowhere else', options, async () => {
  const made = await run(['type=cache,id=race,target=/cached'], 'ln -s /etc /cached/a');
  assert.equal(made.error, undefined);
  const ran = await run(['type=cache,id=race,source=a,target=/cached'], 'ls /cached');
  assert.match(String(ran.error), /Cannot mount \/a of the cache: it is not a folder/);
});

test(
  'what a command links between a cache and the root is two files afterwards, and what it links within the cache one',
  options,
  async () => {
    const script =
      'mkdir d; echo 1 > d/f; touch -d @1000000000 d/f d; ln d/f twin; ln d/f /linked; echo 2 > /own; ln /own taken; touch -d @1000000000 d';
    const linked = await run(['type=cache,id=links,target=/cached'], `cd /cached; ${script}`);
    assert.equal(linked.error, undefined);
    const used = await run(
      ['type=cache,id=links,target=/cached'],
      'cd /cached; echo evil > d/f; echo evil > taken; stat -c %h d/f; cat twin',
    );
    assert.deepEqual(used.lines, ['2', 'evil']);
    const kept = await run(['type=cache,id=links,target=/cached,ro'], 'stat -c "%h %Y" /cached/d');
    assert.deepEqual(kept.lines, ['2 1000000000']);
    assert.equal(await readFile(inRoot('linked'), 'utf8'), '1\n');
    assert.equal(await readFile(inRoot('own'), 'utf8'), '2\n');
    assert.deepEqual(await Promise.all(['linked', 'own'].map(async (name) => (await lstat(inRoot(name))).nlink)), [1, 1]);
    for (const name of ['linked', 'own']) await rm(inRoot(name));
  },
);

test('a tmpfs is an empty folder for everybody, and says that its size is not limited', options, async () => {
  const ran = await run(['type=tmpfs,target=/etc,size=1m'], 'ls /etc; stat -c %a /etc; echo x > /etc/y', '1234:5');
  assert.equal(ran.error, undefined);
  assert.deepEqual(ran.lines, ['1777']);
  assert.ok(ran.events.some((event) => event.kind === 'warning' && event.code === 'mount-tmpfs-size'));
});

test('an ssh mount passes what a command says to the agent, and its answer back', options, async () => {
  const agentPath = join(context, 'agent.sock');
  const agent = createServer((socket) => socket.on('data', (data) => socket.end(`agent heard ${data.toString()}`))).listen(agentPath);
  await once(agent, 'listening');
  try {
    const script = 'echo "$SSH_AUTH_SOCK"; stat -c "%F %a" "$SSH_AUTH_SOCK"; until test -e /tmp/answered; do sleep 0.05; done';
    const running = run(['type=ssh'], script, '', { ssh: (id) => (id === 'default' ? agentPath : undefined) });
    const answer = await sayTo(inRoot('run/buildkit/ssh_agent.0'), 'hello');
    await writeFile(inRoot('tmp/answered'), '');
    const ran = await running;
    assert.equal(ran.error, undefined);
    assert.equal(answer, 'agent heard hello');
    assert.deepEqual(ran.lines, ['/run/buildkit/ssh_agent.0', 'socket 600']);
    assert.deepEqual((await readdir(root.path)).includes('run'), false);
  } finally {
    agent.close();
  }
});

/** Connects as soon as the socket is there, and gives the whole answer. */
async function sayTo(path: string, words: string): Promise<string> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
    } catch {
      await sleep(10); // not there yet
      continue;
    }
    socket.write(words);
    let answer = '';
    for await (const data of socket) answer += String(data);
    return answer;
  }
}

test('a mount refuses a target that is a folder of the builder', options, async () => {
  for (const target of ['/caches', '/caches/x', '/work/../caches/y']) {
    const ran = await runStep(root, runInstruction('true', [`type=tmpfs,target=${target}`]), stageState(), { mounts: sources() }, [
      'caches',
    ]);
    assert.match(String(ran.error), /Cannot mount at .*: (?:it|\/caches) is a mount/);
    assert.match(ran.error instanceof BuilderError ? (ran.error.hint ?? '') : '', /^mount the volume elsewhere/);
  }
});

test('a mount covers a folder that something of the container is mounted in, which stays, and all else comes back', options, async () => {
  await mkdir(inRoot('held/deep/mounted'), { recursive: true });
  for (const file of ['own', '.hidden', 'deep/own', 'deep/mounted/token']) await writeFile(inRoot(`held/${file}`), file);
  await chmod(inRoot('held'), 0o750);
  const before_ = await picture(root.path);
  const put = (mount: string, script: string): Promise<Ran> =>
    runStep(root, runInstruction(script, [mount]), stageState(), { mounts: sources() }, ['held/deep/mounted']);
  const tmpfs = await put('type=tmpfs,target=/held', 'stat -c %a /held; find /held -mindepth 1; echo x > /held/own');
  assert.deepEqual(tmpfs.lines, ['1777', '/held/deep', '/held/deep/mounted', '/held/deep/mounted/token'], String(tmpfs.error));
  assert.deepEqual(tmpfs.effect?.touched, { kind: 'anything', except: ['held'], unchanged: [] });
  const bind = await put('source=src,target=/held', 'ls -A /held /held/deep; rm -r /held/a /held/deep/b; mkdir /held/own /held/.hidden');
  assert.deepEqual(bind.lines, ['/held:', 'a', 'deep', 'link', '', '/held/deep:', 'b', 'mounted'], String(bind.error));
  assert.match(String((await put('source=none,target=/held', 'true')).error), /none/);
  assert.match(String((await put('type=cache,target=/held', 'true')).error), /Cannot have the cache at \/held: .* is mounted there/);
  assert.deepEqual(await picture(root.path), before_);
  assert.match(
    String((await put('type=tmpfs,target=/held', 'mv /held /gone')).error),
    /Cannot take the mount at .*held away: the command moved/,
  );
  await rm(inRoot('gone'), { recursive: true });
});

test('a mount inside of another mount is put into it', options, async () => {
  const before_ = await picture(root.path);
  const ran = await run(['type=cache,target=/ctx/src/cache', 'target=/ctx'], 'ls /ctx/src; echo x > /ctx/src/cache/f');
  assert.deepEqual(ran.lines, ['a', 'cache', 'deep', 'link']);
  assert.deepEqual(await picture(root.path), before_);
});

test('a file can not be mounted over a folder, nor a folder over a file', options, async () => {
  assert.match(String((await run(['type=secret,id=token,target=/etc'], 'true')).error), /Cannot mount a file at \/etc: a folder is there/);
  assert.match(String((await run(['target=/etc/passwd'], 'true')).error), /Cannot mount a folder at \/etc\/passwd: a file is there/);
});
