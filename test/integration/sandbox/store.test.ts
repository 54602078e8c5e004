// `yadokari build` and the images of this machine, judged by skopeo.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run } from '../../support/command.ts';
import { startFakeRegistry } from '../../support/fake-registry.ts';
import { sandboxMissing } from '../../support/sandbox-build.ts';
import { writeProgram } from '../../support/working-containers.ts';

const checkout = join(import.meta.dirname, '../../..');
const skip = spawnSync('skopeo', ['--version']).status === 0 ? sandboxMissing : 'skopeo is not installed';

describe('yadokari build with the store of this machine', { skip, timeout: 300_000 }, () => {
  let top = '';
  let program: readonly string[] = [];
  before(async () => {
    top = mkdtempSync('/var/tmp/yadokari-kept-');
    program = await writeProgram(join(top, 'app'));
    mkdirSync(join(top, 'context'));
    writeFileSync(join(top, 'context/file'), 'context\n');
  });
  after(() => rmSync(top, { recursive: true, force: true }));

  const yadokari = async (...args: readonly string[]) =>
    await run([...program, ...args], { cwd: join(top, 'context'), env: { YADOKARI_ROOT: join(top, 'store') } });
  const build = async (dockerfile: string, ...flags: readonly string[]) => {
    writeFileSync(join(top, 'context/Dockerfile'), dockerfile);
    return await yadokari('build', `--build-context=base=oci-layout://${checkout}/test/conformance/base:base`, '--no-check', ...flags, '.');
  };
  const dockerfile = 'FROM base\nCOPY file /file\nRUN echo made > /made\n';

  test('names the image there, prints its id, and finds all steps the next time', async () => {
    const first = await build(dockerfile, '-t', 'app', '-t', 'registry.example/team/app:2', `--iidfile=${top}/id`);
    assert.equal(first.status, 0, first.output);
    assert.match(first.stderr, /^Stored localhost\/app:latest sha256:/m);
    const id = first.stdout.trim();
    assert.equal(readFileSync(join(top, 'id'), 'utf8'), `sha256:${id}`);
    for (const name of ['localhost/app:latest', 'registry.example/team/app:2']) {
      const { stdout } = await run(['skopeo', 'inspect', '--raw', `oci:${top}/store/images:${name}`]);
      assert.equal(JSON.parse(stdout).config.digest, `sha256:${id}`, name);
    }
    const second = await build(dockerfile, '-q');
    assert.deepEqual([second.stdout, second.stderr], [`${id}\n`, '']);
    const { stderr } = await build(dockerfile, '--no-push');
    assert.equal(stderr.match(/from the cache/g)?.length, 2, stderr);
    assert.doesNotMatch((await build(dockerfile, '--no-cache')).stderr, /not in the cache/);
    const anew = await build(dockerfile, '--no-cache', '-q');
    assert.notEqual(anew.stdout.trim(), id, 'executed again, at another time');
    assert.equal((await build(dockerfile, '-q')).stdout, anew.stdout, 'what was executed anew is what the cache has from then on');
  });

  test('starts from what is there by its name, by its short name, and by its id', async () => {
    const { stdout } = await build('FROM base\nRUN echo below > /below\n', '-q', '-t', 'below:1');
    for (const from of ['below:1', 'localhost/below:1', stdout.trim()]) {
      const above = await build(`FROM ${from}\nRUN grep below /below\n`, '--pull=never');
      assert.equal(above.status, 0, above.output);
    }
    const other = await build('FROM elow:1\nRUN true\n', '--pull', 'never');
    assert.match(other.output, /Cannot use elow:1: it is not in .*\/store for linux\/amd64/);
  });

  test('keeps a base that it pulled, and asks for it again by --pull alone', async () => {
    const registry = await startFakeRegistry();
    const name = `${registry.host}/team/base:1`;
    const copied = await run([
      'skopeo',
      'copy',
      '-q',
      '--dest-tls-verify=false',
      `oci:${checkout}/test/conformance/base:base`,
      `docker://${name}`,
    ]);
    assert.equal(copied.status, 0, copied.output);
    const text = `FROM ${name}\nRUN echo on it > /it\n`;
    const online = await build(text, '--insecure-pull', '-t', 'on-it');
    assert.equal(online.status, 0, online.output);
    await registry.stop();
    const offline = await build(text, '--no-cache', '-q');
    assert.equal(offline.status, 0, offline.output);
    const asked = await build(text, '--insecure-pull', '--pull');
    assert.match(asked.output, /Cannot pull .*team\/base:1/);
    const { stdout } = await yadokari('images', '--format', '{{.Name}}:{{.Tag}}');
    assert.ok(stdout.includes(name), stdout);
  });

  test('names an index of several platforms, which is one image for whoever asks for one, and goes on as a whole', async () => {
    const text =
      'FROM --platform=$BUILDPLATFORM base AS tool\nRUN sleep 2 && echo tool > /tool\nFROM scratch\nCOPY --from=tool /tool /tool\n';
    writeFileSync(join(top, 'context/Dockerfile'), text);
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const flags = [
      '--platform',
      'linux/amd64,linux/arm64',
      '-t',
      'several',
      `--build-context=base=oci-layout://${checkout}/test/conformance/base:base`,
    ];
    const building = run([...program, 'build', ...flags, '.'], {
      cwd: join(top, 'context'),
      env: { YADOKARI_ROOT: join(top, 'store') },
      onOutput: (said) => (said.includes('sleep 2') ? resolve() : undefined),
    });
    await begun;
    const pruned = await yadokari('prune');
    const built = await building;
    assert.equal(built.status, 0, built.output);
    assert.match(pruned.stderr, /^waiting for others who work with .*\/store\n/, 'nobody takes away what is being written');
    const index = JSON.parse((await yadokari('inspect', '--raw', 'several')).stdout) as { manifests: { digest: string }[] }; // image-spec
    assert.equal(index.manifests.length, 2);
    for (const [position, architecture] of ['amd64', 'arm64'].entries()) {
      const format = '{{.FromImageDigest}} {{.OCIv1.architecture}}';
      const { stdout } = await yadokari('inspect', `--platform=linux/${architecture}`, '--format', format, 'several');
      assert.equal(stdout.trim(), `${index.manifests[position]?.digest} ${architecture}`);
    }
    assert.match((await yadokari('history', '--platform=linux/arm64', 'several')).stdout, /COPY \/tool \/tool/);
    assert.match((await yadokari('images', '--format', '{{.Name}} {{.Digest}}', 'several')).stdout, /^localhost\/several +sha256:/);
    const pushed = await yadokari('push', 'several', `oci:${top}/several:all`);
    assert.equal(pushed.status, 0, pushed.output);
    const copied = await run(['skopeo', 'copy', '-q', '--all', '--insecure-policy', `oci:${top}/several:all`, `dir:${top}/several-dir`]);
    assert.equal(copied.status, 0, copied.output);
  });

  test('keeps what it found out once on disk, which du counts and prune takes away', async () => {
    assert.equal((await build('FROM base\nRUN head -c 100000 /dev/urandom > /noise\n', '-q', '-t', 'noise')).status, 0);
    const usage = async () => JSON.parse((await yadokari('du', '--json')).stdout) as { id: string; size: number; unique: number }[];
    const cache = (await usage()).find(({ id }) => id === 'cache');
    assert.ok(cache !== undefined && cache.size > 100_000 && cache.size - cache.unique > 100_000, JSON.stringify(cache));
    const { stdout, stderr } = await yadokari('prune');
    assert.match(`${stdout}${stderr}`, /and \d+ results of builds removed/);
    assert.ok((await usage()).every(({ id }) => id !== 'cache'));
    assert.equal(
      (await run(['skopeo', 'copy', '-q', '--insecure-policy', `oci:${top}/store/images:localhost/noise:latest`, `dir:${top}/noise`]))
        .status,
      0,
    );
  });

  test('leaves no image where another place was named, and no RUN can touch the store', async () => {
    const images = async () => (await yadokari('images', '--no-trunc', '--format={{.ID}}')).stdout;
    const before = await images();
    const places = [`/kaniko/host${top}/store`, '/proc/1/fd/6', '/proc/self/fd/6'];
    const attempts = places.flatMap((place) => [`! touch ${place}/planted`, `! ls ${place}/images`]).join(' && ');
    const { status, output } = await build(`FROM base\nRUN ${attempts}\n`, `--oci-layout-path=${top}/layout`);
    assert.equal(status, 0, output);
    assert.equal(await images(), before);
    assert.equal(existsSync(join(top, 'store/planted')), false);
  });

  test('says where there can be no store', async () => {
    writeFileSync(join(top, 'file'), '');
    const { output } = await build(dockerfile, `--root=${top}/file/store`, '-t', 'x');
    assert.match(output, /Cannot keep images: the image store .*\/file\/store can't be used: not a directory/);
  });

  test('an ordinary user has a store of his own', async () => {
    const home = join(top, 'home');
    cpSync(join(checkout, 'test/conformance/base'), join(home, 'base'), { recursive: true });
    writeFileSync(join(home, 'Dockerfile'), 'FROM base\nRUN echo mine > /mine\n');
    for (const each of [top, home]) chownSync(each, 61_004, 61_004);
    const args = ['--reuid=61004', '--regid=61004', '--clear-groups', '--', join(checkout, 'bin/yadokari')];
    const built = spawnSync('setpriv', [...args, 'build', `--build-context=base=oci-layout://${home}/base:base`, '-q', '-t', 'mine', '.'], {
      cwd: home,
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin', HOME: home },
    });
    if (/Cannot make a sandbox/.test(built.stderr)) return; // this machine forbids user namespaces
    assert.equal(built.status, 0, built.stderr);
    const store = join(home, '.local/share/yadokari');
    assert.equal(statSync(join(store, 'images/index.json')).uid, 61_004);
    const { stdout } = await run(['skopeo', 'inspect', '--raw', `oci:${store}/images:localhost/mine:latest`]);
    assert.equal(JSON.parse(stdout).config.digest, `sha256:${built.stdout.trim()}`);
  });
});
