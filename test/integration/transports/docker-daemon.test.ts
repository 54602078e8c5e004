// Images of an engine that speaks Docker's API. podman's service does, and has a store of its own here; where an engine fails as podman
// can't be made to, a server stands in that answers as Docker does.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type CommandResult, run } from '../../support/command.ts';
import { writeOciLayout } from '../../support/image-writer.ts';
import { podmanCommand } from '../../support/podman.ts';
import { tar } from '../../support/tar.ts';

const program = join(import.meta.dirname, '../../../bin/yadokari');
const missing = ['/usr/bin/podman', '/usr/bin/skopeo'].find((path) => !existsSync(path));
const skip = process.getuid?.() !== 0 ? 'needs root for podman' : missing === undefined ? false : `${missing} is not installed`;

let folder = '';
let host = '';
let engine: ChildProcess | undefined;
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'yadokari-engine-'));
  const socket = join(folder, 'engine.sock');
  host = `unix://${socket}`;
  const [file = '', ...args] = podmanCommand([...own(), 'system', 'service', '--time=0', host]);
  engine = spawn(file, args, { stdio: 'ignore' });
  for (let tries = 0; !existsSync(socket); tries++) {
    assert.ok(tries < 200, 'podman made no socket in ten seconds');
    await setTimeout(50);
  }
  await writeOciLayout(join(folder, 'made'), 'latest', { layers: [tar([{ path: 'a.txt', content: 'hello' }])], config: { Env: ['A=1'] } });
});
after(async () => {
  if (engine !== undefined) {
    const ended = Promise.withResolvers<void>();
    engine.on('exit', () => ended.resolve());
    engine.kill();
    await ended.promise;
  }
  if (folder !== '') await rm(folder, { recursive: true, force: true });
});

const own = (): readonly string[] => ['--storage-driver=vfs', `--root=${join(folder, 'store')}`, `--runroot=${join(folder, 'run')}`];

async function yadokari(args: readonly string[], engineHost = host): Promise<CommandResult> {
  const env = { HOME: folder, DOCKER_HOST: engineHost, YADOKARI_ROOT: join(folder, 'images'), TMPDIR: folder };
  return await run([program, ...args], { env, cwd: folder });
}

async function out(args: readonly string[], engineHost = host): Promise<string> {
  const { status, stdout, stderr } = await yadokari(args, engineHost);
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

const idOf = async (name: string): Promise<string> =>
  (await run(podmanCommand([...own(), 'images', '-q', '--no-trunc', name]))).stdout.trim();

test('an image goes to an engine and comes back as what skopeo makes of it', { skip }, async () => {
  await out(['copy', 'oci:made:latest', 'docker-daemon:app:1', '--additional-tag', 'app:2']);
  const id = await idOf('app:1');
  assert.match(id, /^sha256:[0-9a-f]{64}$/);
  assert.equal(await idOf('app:2'), id);
  await out(['copy', 'docker-daemon:app:1', 'dir:ours']);
  const theirs = ['skopeo', 'copy', '--src-daemon-host', host, 'docker-daemon:app:1', `dir:${join(folder, 'theirs')}`];
  assert.equal((await run(theirs)).status, 0);
  const digests = await Promise.all(
    ['ours', 'theirs'].map(async (name) => (await readdir(join(folder, name))).filter((file) => file.length === 64)),
  );
  assert.deepEqual(digests[0], digests[1]);
  await out(['pull', '-q', `docker-daemon:${id}`], host);
  assert.equal(await out(['images', '-q', '--no-trunc']), id);
  await out(['push', '-q', id, 'docker-daemon:pushed:3']);
  assert.equal(await idOf('pushed:3'), id);
  const [env] = JSON.parse(await out(['inspect', '--format', '{{json .Env}}', '--daemon-host', host, 'docker-daemon:app:2'], 'unix:///x'));
  assert.equal(env, 'A=1');
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('yadokari-')),
    [],
  ); // of the archives that went between
});

/** A failure that Docker's engine tells in its own way. */
async function refusal(status: number, body: string, args: readonly string[]): Promise<string> {
  const server: Server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(status).end(body));
  });
  const socket = join(folder, 'docker.sock');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  try {
    const result = await yadokari(args, `unix://${socket}`);
    assert.equal(result.status, 1);
    return result.stderr;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test('what an engine has not, says or can not is told in one line', { skip }, async () => {
  const from = ['copy', 'docker-daemon:none', 'dir:nowhere'];
  const to = ['copy', 'oci:made:latest', 'docker-daemon:app:1'];
  assert.match((await yadokari(from)).stderr, /^error: Cannot .*docker\.io\/library\/none:latest/);
  assert.match(
    await refusal(404, '{"message":"No such image: none"}', from),
    /^error: Cannot read docker-daemon:docker\.io\/library\/none:latest: the engine at unix:.* has no such image$/m,
  );
  assert.match(
    await refusal(200, '{"stream":"x"}\n{"errorDetail":{"message":"no space"},"error":"no space"}\n', to),
    /^error: .*: no space$/m,
  );
  assert.match(await refusal(200, 'no archive', from), /^error: Cannot read .*image\.tar/m);
  assert.match((await yadokari(from, 'unix:///x')).stderr, /^error: Cannot use the engine at unix:\/\/\/x: there is no such socket$/m);
  assert.match((await yadokari(from, 'tcp://127.0.0.1:1')).stderr, /^error: .*: nobody listens there$/m);
  assert.match((await yadokari(from, 'ssh://x')).stderr, /^error: Cannot use the engine ssh:\/\/x: only unix:/m);
  assert.ok(!existsSync(join(folder, 'nowhere')));
});
