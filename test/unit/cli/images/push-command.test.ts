// `push` and `login` as pipelines call them, against a registry that wants to know who is there.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { parseReference } from '../../../../src/oci/reference.ts';
import { writeDockerArchive } from '../../../../src/store/docker-archive.ts';
import { writeLayout } from '../../../../src/store/oci-layout.ts';
import { run } from '../../../support/command.ts';
import { runHere } from '../../../support/command-line.ts';
import { keepCredential } from '../../../../src/cli/transports/login-command.ts';
import { startFakeRegistry } from '../../../support/fake-registry.ts';
import { layerOf, storedOf } from '../../../support/image.ts';
import { asObject } from '../../../support/parsed.ts';

const { signal } = new AbortController();
const main = join(import.meta.dirname, '../../../../src/main.ts');
// Whatever the machine says of registries is left out.
const noOthers = { DOCKER_AUTH_CONFIG: '', HOME: '/nowhere' };
const content = Buffer.from('a layer');
const image = storedOf(layerOf(content));

describe('push and login', { timeout: 300_000 }, () => {
  let folder = '';
  const call = async (args: readonly string[], input?: string) => {
    const env = { ...noOthers, DOCKER_CONFIG: join(folder, 'docker'), TMPDIR: join(folder, 'tmp') };
    if (input === undefined) return await runHere(args, { cwd: folder, env });
    return await run([process.execPath, '--no-warnings', main, ...args], { cwd: folder, env, input });
  };
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'yadokari-push-'));
    await writeLayout({ folder: join(folder, 'layout'), tag: 'v1' }, image, signal);
    await writeDockerArchive(join(folder, 'image.tar'), image, [parseReference('registry.example/app:v1')], signal);
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  test('login keeps what it is told, and push uses it: a layout keeps its digest, result files are written', async (context) => {
    const registry = await startFakeRegistry({ auth: { kind: 'basic', user: 'me', password: 'p:w' } });
    context.after(registry.stop);
    const name = `${registry.host}/team/app`;
    const refused = await call(['push', 'layout', '-d', `${name}:1`, '--insecure']);
    assert.equal(refused.status, 1, refused.output);
    assert.equal(registry.manifests.size, 0);
    const login = await call(['login', registry.host, '-u', 'me', '--password-stdin'], 'p:w\n');
    assert.equal(login.status, 0, login.output);
    assert.equal(statSync(join(folder, 'docker/config.json')).mode & 0o777, 0o600);
    const pushed = await call(['push', 'layout', '-d', `${name}:1`, '-d', `${name}:2`, '--insecure', '--digest-file=digest']);
    assert.equal(pushed.status, 0, pushed.output);
    assert.equal(readFileSync(join(folder, 'digest'), 'utf8'), image.manifest.digest);
    for (const tag of ['1', '2']) assert.deepEqual(registry.manifests.get(`team/app:${tag}`)?.bytes, image.manifest.bytes);
  });

  test('push takes one of the images of a layout by its name', async (context) => {
    const registry = await startFakeRegistry();
    context.after(registry.stop);
    const several = join(folder, 'several');
    await writeLayout({ folder: several, tag: 'v1' }, storedOf(layerOf(Buffer.from('other'))), signal);
    await writeLayout({ folder: several, tag: 'registry.example/app:v2' }, image, signal);
    const pushed = await call(['push', 'several:registry.example/app:v2', '-d', `${registry.host}/app:1`, '--insecure']);
    assert.equal(pushed.status, 0, pushed.output);
    assert.deepEqual(registry.manifests.get('app:1')?.bytes, image.manifest.bytes);
  });

  test('push compresses the layers of an archive that has them plain', async (context) => {
    const registry = await startFakeRegistry();
    context.after(registry.stop);
    const pushed = await call(['push', 'image.tar', `--destination=${registry.host}/app:1`, '--insecure']);
    assert.equal(pushed.status, 0, pushed.output);
    const { layers } = asObject(JSON.parse(registry.manifests.get('app:1')?.bytes.toString() ?? ''));
    assert.ok(Array.isArray(layers) && layers.length === 1);
    const layer = asObject(layers[0]);
    assert.match(String(layer['mediaType']), /gzip$/);
    assert.deepEqual(gunzipSync(registry.blobs.get(String(layer['digest'])) ?? Buffer.alloc(0)), content);
  });

  for (const kind of ['basic', 'token'] as const)
    test(`login writes nothing where a registry with ${kind} refuses the password, or does not answer`, async (context) => {
      const registry = await startFakeRegistry({ auth: { kind, user: 'me', password: 'p:w' } });
      context.after(registry.stop);
      const asked = ['login', registry.host, '-u', 'me', '--authfile=asked.json', '--password-stdin'];
      const wrong = await call(asked, 'guess');
      assert.equal(wrong.status, 1);
      assert.match(wrong.output, /^error: Cannot log in to 127\.0\.0\.1:\d+: it refuses this user and password \(401\)\n {2}try: /);
      assert.doesNotMatch(wrong.output, /guess|because/);
      assert.equal(existsSync(join(folder, 'asked.json')), false);
      assert.equal((await call(asked, 'p:w')).status, 0);
      assert.deepEqual(JSON.parse(readFileSync(join(folder, 'asked.json'), 'utf8')), {
        auths: { [registry.host]: { auth: Buffer.from('me:p:w').toString('base64') } },
      });
      rmSync(join(folder, 'asked.json'));
      const silent = await call(['login', 'localhost:1', '-u', 'me', '-p', 'x', '--authfile=asked.json']);
      assert.equal(silent.status, 1);
      assert.match(silent.output, /^error: Cannot reach localhost:1: .*refused/);
      assert.equal(existsSync(join(folder, 'asked.json')), false);
    });

  test('login changes its own entry only, by whatever name it is there, and Docker Hub has one name', async () => {
    const file = join(folder, 'docker/config.json');
    mkdirSync(join(folder, 'docker'), { recursive: true });
    writeFileSync(file, '{"auths":{"https://a.example/v2/":{"auth":"eDp5"},"b.example":{"auth":"eDp5"}},"HttpHeaders":{"x":"y"}}');
    const auth = Buffer.from('u:p').toString('base64');
    for (const registry of ['a.example', 'docker.io']) keepCredential(file, registry, auth);
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
      auths: { 'b.example': { auth: 'eDp5' }, 'a.example': { auth }, 'https://index.docker.io/v1/': { auth } },
      HttpHeaders: { x: 'y' },
    });
    writeFileSync(file, '{"credsStore":"vault"}');
    const refused = await call(['login', 'a.example', '-uu', '-pp']);
    assert.equal(refused.status, 1);
    assert.match(refused.output, /leaves its credentials to docker-credential-vault/);
    assert.equal(readFileSync(file, 'utf8'), '{"credsStore":"vault"}');
    rmSync(file);
  });

  test('login --from-file copies config.json and further files for their owner alone, marked for one build with --once', async () => {
    const config = '{"auths":{"a.example":{"auth":"eDp5"}}}';
    writeFileSync(join(folder, 'secret'), config);
    writeFileSync(join(folder, 'token'), 'a token');
    const copies = [join(folder, 'docker/config.json'), join(folder, 'copies/token')] as const;
    const argv = ['login', '--from-file=secret', `--secret-file=token=${copies[1]}`];
    for (const once of [['--once'], []]) {
      const { status, output } = await call([...argv, ...once]);
      assert.equal(status, 0, output);
      assert.deepEqual(
        copies.map((copy) => readFileSync(copy, 'utf8')),
        [config, 'a token'],
      );
      for (const copy of copies) {
        assert.equal(statSync(copy).mode & 0o777, 0o600);
        assert.equal(existsSync(`${copy}.once`), once.length > 0, 'the mark');
      }
    }
    writeFileSync(join(folder, 'broken'), '{"auths":');
    const broken = await call(['login', '--from-file=broken', '--once']);
    assert.equal(broken.status, 1);
    assert.match(broken.output, /Cannot read credentials in broken: it is not JSON/);
    assert.equal(readFileSync(copies[0], 'utf8'), config);
    rmSync(copies[0]);
  });

  const mistakes: readonly (readonly [argv: readonly string[], message: RegExp])[] = [
    [['push'], /Cannot push: 0 images are named, and one is needed/],
    [['push', 'layout'], /Cannot push layout: there is nowhere to push it to/],
    [['push', 'nothing', '-d', 'registry.example/a'], /Cannot push .*nothing: it does not exist/],
    [
      ['push', 'layout', '-d', 'registry.example/a', '--digest-file=image.tar/x'],
      /Cannot write --digest-file .*: .*image\.tar is not a directory/,
    ],
    [['login'], /Cannot log in: 0 registries are named/],
    [['login', 'a.example'], /Cannot log in to a\.example: there is no user name/],
    [['login', 'a.example', '--from-file=x'], /Cannot log in to a\.example and copy files/],
    [['login', '--secret-file=token=copy'], /Cannot use --secret-file "token=copy": expected FILE=\/PATH\/OF\/COPY/],
    [['login', 'a.example', '-u', 'u'], /there is no password/],
    [['login', 'a.example', '-u', 'u', '-p', 'p', '--password-stdin'], /Cannot combine --password with --password-stdin/],
  ];
  for (const [argv, message] of mistakes)
    test(`${argv.join(' ')} is refused`, async () => {
      const { status, output } = await call(argv);
      // Without a destination push is buildah's.
      assert.equal(status, argv[0] === 'push' && !argv.includes('-d') ? 125 : 1);
      assert.match(output, message);
    });
});
