// The commands that move and show images, run as a person runs them, against a real registry and beside the real skopeo.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { copyImage } from '../../../src/oci/copy-image.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { openLayoutSink } from '../../../src/store/oci-layout.ts';
import { type CommandResult, run as command } from '../../support/command.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { imageMemory } from '../../support/image-memory.ts';
import { pushImage, writeOciLayout } from '../../support/image-writer.ts';
import { tar } from '../../support/tar.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const program = join(import.meta.dirname, '../../../bin/yadokari');
const skopeo = '/usr/bin/skopeo';
const skip = missingDockerRegistry() ?? (existsSync(skopeo) ? false : `${skopeo} is not installed`);

let folder = '';
let registry: RunningRegistry;
let guarded: RunningRegistry;
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'yadokari-commands-'));
  registry = await startDockerRegistry();
  guarded = await startDockerRegistry({ htpasswd: 'ada:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n' });
});
after(async () => {
  if (skip !== false) return;
  await registry.stop();
  await guarded.stop();
  await rm(folder, { recursive: true, force: true });
});

async function ended(file: string, args: readonly string[]): Promise<CommandResult> {
  return await command([file, ...args], { env: { HOME: folder } });
}

const yadokari = async (...args: readonly string[]): Promise<CommandResult> => await ended(program, args);
const content = (name: string): Buffer => tar([{ path: name, content: name.repeat(200) }]);

async function digestOfSkopeo(place: string): Promise<string> {
  const { stdout } = await run(skopeo, ['inspect', '--raw', '--tls-verify=false', place]);
  return digestOf(stdout);
}

test('inspect, list-tags and manifest-digest print what skopeo prints', { skip }, async () => {
  await pushImage(registry.host, 'shown/app', { layers: [content('a'), content('b')], config: { Labels: { 'a<b': 'c&d' }, Env: ['A=1'] } });
  const place = `docker://${registry.host}/shown/app`;
  const bare = '--tls-verify=false';
  const ours = JSON.parse((await yadokari('inspect', bare, place)).stdout) as Record<string, unknown>;
  // Newer versions of skopeo print it as well.
  delete ours['LayersData'];
  assert.deepEqual(ours, JSON.parse((await ended(skopeo, ['inspect', bare, place])).stdout));
  for (const args of [
    ['inspect', '--raw', bare, place],
    ['inspect', '--config', '--raw', bare, place],
    ['inspect', '--format', '{{.Name}} {{.Digest}} {{range .Layers}}{{.}},{{end}}{{.Labels}}', bare, place],
    ['list-tags', bare, place.replace(':latest', '')],
  ])
    assert.deepEqual((await yadokari(...args)).stdout, (await ended(skopeo, args)).stdout, args.join(' '));
  const file = join(folder, 'manifest.json');
  await writeFile(file, (await yadokari('inspect', '--raw', bare, place)).stdout);
  assert.equal((await yadokari('manifest-digest', file)).stdout.trim(), (await ended(skopeo, ['manifest-digest', file])).stdout.trim());
  const failed = await yadokari('inspect', bare, `${place}:none`);
  // As with skopeo since 1.13: a script can tell an image that is not there from a registry that is down.
  assert.deepEqual([failed.status, failed.stdout], [2, '']);
  assert.match(failed.stderr, /there is no such image/);
  assert.equal((await yadokari('inspect', bare, 'docker://localhost:1/app')).status, 1);
});

test('delete takes an image from a registry and from a layout, with the blobs that nothing else needs', { skip }, async () => {
  await pushImage(registry.host, 'gone/app', { layers: [content('gone')] });
  const place = `docker://${registry.host}/gone/app:latest`;
  assert.equal((await yadokari('delete', '--tls-verify=false', place)).status, 0);
  assert.match((await yadokari('delete', '--tls-verify=false', place)).stderr, /there is no such image/);
  const layout = join(folder, 'shrinking');
  await writeOciLayout(join(folder, 'one'), 'one', { layers: [content('shared'), content('one')] });
  await writeOciLayout(join(folder, 'two'), 'two', { layers: [content('shared'), content('two')] });
  for (const name of ['one', 'two'])
    assert.equal((await yadokari('copy', `oci:${join(folder, name)}:${name}`, `oci:${layout}:${name}`)).status, 0);
  assert.equal((await readdir(join(layout, 'blobs/sha256'))).length, 7);
  assert.equal((await yadokari('delete', `oci:${layout}:one`)).status, 0);
  assert.equal((await readdir(join(layout, 'blobs/sha256'))).length, 4);
  assert.match((await yadokari('list-tags', `oci:${layout}`)).stdout, /\[\n {8}"two"\n {4}\]/);
  await run(skopeo, ['--insecure-policy', 'copy', `oci:${layout}:two`, `dir:${join(folder, 'still-whole')}`]);
});

test('credentials of each side count for that side, and a wrong password is told', { skip }, async () => {
  await pushImage(registry.host, 'open/app', { layers: [content('open')] });
  const [from, to] = [`docker://${registry.host}/open/app:latest`, `docker://${guarded.host}/closed/app:v1`];
  const bare = ['--src-tls-verify=false', '--dest-tls-verify=false'];
  const anonymous = await yadokari('copy', ...bare, from, to);
  assert.equal(anonymous.status, 1);
  assert.match(anonymous.stderr, /no credentials found/i);
  const wrong = await yadokari('copy', ...bare, '--dest-creds', 'ada:wrong', from, to);
  assert.equal(wrong.status, 1);
  assert.doesNotMatch(wrong.stderr, /wrong/);
  const digests = join(folder, 'digest');
  const right = await yadokari('copy', ...bare, '--dest-creds', 'ada:secret', '--digestfile', digests, '--additional-tag', 'v2', from, to);
  assert.equal(right.status, 0, right.stderr);
  assert.equal(await readFile(digests, 'utf8'), await digestOfSkopeo(from));
  const auth = join(folder, 'auth.json');
  await writeFile(auth, JSON.stringify({ auths: { [guarded.host]: { auth: Buffer.from('ada:secret').toString('base64') } } }));
  const tags = await yadokari('list-tags', '--tls-verify=false', '--authfile', auth, to);
  assert.deepEqual(JSON.parse(tags.stdout), { Repository: `${guarded.host}/closed/app`, Tags: ['v1', 'v2'] });
});

test('a copy that was interrupted sends only what is not there yet, and nothing was visible before', { skip }, async (context) => {
  const fake = await startFakeRegistry();
  context.after(fake.stop);
  const layout = join(folder, 'resumed');
  await writeOciLayout(layout, 'v1', { layers: [content('first'), content('second')] });
  const place = `docker://${fake.host}/resumed/app:v1`;
  fake.inject({ method: 'PUT', path: /manifests/, act: answer(400, 'MANIFEST_INVALID') });
  assert.equal((await yadokari('copy', '--dest-tls-verify=false', `oci:${layout}:v1`, place)).status, 1);
  assert.equal([...fake.manifests.keys()].length, 0);
  const uploads = (): number => fake.requests.filter(({ method, path }) => method === 'PUT' && path.includes('/blobs/')).length;
  const before_ = uploads();
  assert.equal(before_, 3);
  assert.equal((await yadokari('copy', '--dest-tls-verify=false', `oci:${layout}:v1`, place)).status, 0);
  assert.equal(uploads(), before_);
  // The other way round: of two layers one breaks off for good, and the other is not fetched again.
  const [largest] = [...fake.blobs.values()].toSorted((a, b) => b.length - a.length);
  assert.ok(largest !== undefined);
  fake.inject({ method: 'GET', path: new RegExp(`blobs/${digestOf(largest)}`), act: answer(404, 'BLOB_UNKNOWN'), times: 1 });
  const target = join(folder, 'target');
  assert.equal((await yadokari('copy', '--src-tls-verify=false', place, `oci:${target}:v1`)).status, 1);
  assert.ok(!existsSync(join(target, 'index.json')));
  const there = existsSync(join(target, 'blobs'))
    ? (await readdir(join(target, 'blobs/sha256'))).filter((name) => !name.startsWith('.'))
    : [];
  fake.requests.length = 0;
  assert.equal((await yadokari('copy', '--src-tls-verify=false', place, `oci:${target}:v1`)).status, 0);
  const fetched = fake.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/')).map(({ path }) => path);
  for (const hex of there) assert.ok(!fetched.some((path) => path.includes(hex)), hex);
  assert.equal(await digestOfSkopeo(`oci:${target}:v1`), await digestOfSkopeo(`oci:${layout}:v1`));
});

test('a copy that was killed shows nothing, and the next one fetches only what is not there yet', { skip }, async (context) => {
  const fake = await startFakeRegistry();
  context.after(fake.stop);
  const layers = ['one', 'two', 'three'].map((name) => content(`killed ${name}`));
  await pushImage(fake.host, 'killed/app', { layers });
  const place = `docker://${fake.host}/killed/app:latest`;
  const { layers: named } = JSON.parse((await yadokari('inspect', '--raw', '--tls-verify=false', place)).stdout) as {
    layers: readonly { digest: string }[];
  };
  const [first, second] = named.map(({ digest }) => digest);
  assert.ok(first !== undefined && second !== undefined);
  const fetches = (digest: string): number =>
    fake.requests.filter(({ method, path }) => method === 'GET' && path.endsWith(`/blobs/${digest}`)).length;
  for (const target of ['oci', 'dir'] as const) {
    const at = join(folder, `killed-${target}`);
    const to = target === 'oci' ? `oci:${at}:v1` : `dir:${at}`;
    fake.requests.length = 0;
    // The second layer does not come.
    const { promise: isAsked, resolve: told } = Promise.withResolvers<void>();
    fake.inject({ method: 'GET', path: new RegExp(`blobs/${second}`), act: () => told(), times: 1 });
    const child = spawn(program, ['copy', '--src-tls-verify=false', place, to], { stdio: 'ignore' });
    await isAsked;
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(fetches(first), 1);
    assert.ok(!existsSync(join(at, target === 'oci' ? 'index.json' : 'manifest.json')), 'it has no name');
    const again = await yadokari('copy', '--src-tls-verify=false', place, to);
    assert.equal(again.status, 0, again.stderr);
    assert.deepEqual([fetches(first), fetches(second)], [1, 2], target);
    assert.equal(await digestOfSkopeo(to), await digestOfSkopeo(place));
  }
});

test('within one registry blobs are mounted and not sent', { skip }, async (context) => {
  const fake = await startFakeRegistry();
  context.after(fake.stop);
  const layout = join(folder, 'mounted');
  await writeOciLayout(layout, 'v1', { layers: [content('mounted')] });
  const [from, to] = [`docker://${fake.host}/mount/from:v1`, `docker://${fake.host}/mount/to:v1`];
  const bare = ['--src-tls-verify=false', '--dest-tls-verify=false'];
  assert.equal((await yadokari('copy', ...bare, `oci:${layout}:v1`, from)).status, 0);
  fake.requests.length = 0;
  assert.equal((await yadokari('copy', ...bare, from, to)).status, 0);
  assert.deepEqual(
    fake.requests.filter(({ method, path }) => (method === 'PUT' || method === 'PATCH' || method === 'GET') && path.includes('/blobs/')),
    [],
  );
});

test('--chunk-size holds for copy, push and sync', { skip }, async (context) => {
  const fake = await startFakeRegistry();
  context.after(fake.stop);
  const layout = join(folder, 'chunks');
  const chunkBytes = 100_000;
  const layer = randomBytes(250_000);
  await writeOciLayout(layout, 'v1', { layers: [tar([{ path: 'large', content: layer }])] });
  const store = ['--root', join(folder, 'chunk-store')];
  assert.equal((await yadokari('pull', ...store, `oci:${layout}:v1`)).status, 0);
  const dir = join(folder, 'chunk-dirs/app:v1');
  await mkdir(join(folder, 'chunk-dirs'));
  assert.equal((await yadokari('copy', `oci:${layout}:v1`, `dir:${dir}`)).status, 0);
  const to = (name: string): string => `docker://${fake.host}/chunks/${name}:v1`;
  for (const args of [
    ['copy', '--dest-tls-verify=false', `oci:${layout}:v1`, to('copied')],
    ['push', '--tls-verify=false', ...store, 'v1', to('pushed')],
    ['sync', '--dest-tls-verify=false', '--src', 'dir', '--dest', 'docker', join(folder, 'chunk-dirs'), `${fake.host}/synced`],
  ]) {
    fake.requests.length = 0;
    const { status, stderr } = await yadokari(...args, `--chunk-size=${chunkBytes}`);
    assert.equal(status, 0, stderr);
    const sizes = fake.requests.filter(({ method }) => method === 'PATCH').map(({ headers }) => Number(headers['content-length']));
    assert.ok(sizes.length >= 3 && sizes.every((size) => size <= chunkBytes), `${args[0]}: ${sizes.join(' ')}`);
    fake.blobs.clear();
  }
  const refused = await yadokari('copy', '--chunk-size=1k', `oci:${layout}:v1`, to('refused'));
  assert.match(refused.stderr, /^error: Cannot use --chunk-size=1k: expected a size such as 20MB or 50MiB, and 64 KiB at least/);
});

test('--retry-times copies again after what no request survives', { skip }, async (context) => {
  const fake = await startFakeRegistry();
  context.after(fake.stop);
  const layout = join(folder, 'retried');
  await writeOciLayout(layout, 'v1', { layers: [content('retried')] });
  const args = ['copy', '--dest-tls-verify=false', `oci:${layout}:v1`, `docker://${fake.host}/retried/app:v1`];
  fake.inject({ method: 'PUT', path: /manifests/, act: answer(400, 'MANIFEST_INVALID'), times: 2 });
  const ended_ = await yadokari(...args, '--retry-times', '2');
  assert.equal(ended_.status, 0, ended_.stderr);
  assert.match(ended_.stderr, /copying again \(2 of 2\)/);
});

test('referrers go along, from layout to registry and back, and theirs', { skip }, async () => {
  const memory = imageMemory();
  const text = (value: unknown): string => JSON.stringify(value);
  const config = memory.keep(text({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] } }), MediaType.ociConfig);
  const image = memory.keep(text({ schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers: [] }), MediaType.ociManifest);
  const empty = memory.keep('{}', 'application/vnd.oci.empty.v1+json');
  const about = (subject: typeof image, word: string): typeof image =>
    memory.keep(
      text({
        schemaVersion: 2,
        mediaType: MediaType.ociManifest,
        artifactType: `application/x-${word}`,
        config: empty,
        layers: [memory.keep(word, 'text/plain')],
        subject,
        // A hostile one would like to be v1.
        annotations: { 'org.opencontainers.image.ref.name': 'v1' },
      }),
      MediaType.ociManifest,
    );
  const bill = about(image, 'bill');
  const signature = about(bill, 'signature');
  const layout = join(folder, 'referred');
  const sink = openLayoutSink({ folder: layout, tag: 'v1' });
  await copyImage(memory.source(image), sink, signal);
  for (const referrer of [bill, signature]) {
    const source = memory.source(referrer);
    await sink.writeBlobs([{ descriptor: empty, open: () => source.open(empty, signal) }], signal);
    const word = referrer === bill ? 'bill' : 'signature';
    const blob = memory.keep(word, 'text/plain');
    await sink.writeBlobs([{ descriptor: blob, open: () => source.open(blob, signal) }], signal);
    await sink.writeReferrer?.(source.root, signal);
  }
  const place = `docker://${registry.host}/referred/app:v1`;
  const bare = ['--src-tls-verify=false', '--dest-tls-verify=false', '--with-referrers'];
  const there = await yadokari('copy', ...bare, `oci:${layout}:v1`, place);
  assert.equal(there.status, 0, there.stderr);
  assert.match(there.stderr, /with 2 referrers/);
  const back = join(folder, 'referred-back');
  assert.match((await yadokari('copy', ...bare, place, `oci:${back}:v1`)).stderr, /with 2 referrers/);
  const digests = async (at: string): Promise<unknown> => {
    const { manifests } = JSON.parse(await readFile(join(at, 'index.json'), 'utf8')) as { manifests: readonly Record<string, unknown>[] };
    return manifests.map(({ digest, artifactType, annotations }) => ({ digest, artifactType, annotations }));
  };
  assert.deepEqual(await digests(back), await digests(layout));
  assert.equal((await yadokari('inspect', '--raw', `oci:${back}:v1`)).stdout, memory.blobs.get(image.digest)?.toString());
  assert.match(
    (await yadokari('copy', ...bare, `oci:${layout}:v1`, `dir:${join(folder, 'referred-dir')}`)).stderr,
    /Cannot copy referrers to dir:/,
  );
  assert.ok(!(await readdir(join(folder, 'referred-dir'))).includes('manifest.json'));
});

test('a digest that would change is refused with --preserve-digests, and so are signatures of another one', { skip }, async () => {
  const layout = join(folder, 'preserved');
  await writeOciLayout(layout, 'v1', { layers: [content('preserved')] });
  const docker = `dir:${join(folder, 'preserved-docker')}`;
  assert.equal((await yadokari('copy', '--format', 'v2s2', `oci:${layout}:v1`, docker)).status, 0);
  const refused = await yadokari('copy', '--preserve-digests', docker, `oci:${join(folder, 'preserved-no')}:v1`);
  assert.match(refused.stderr, /its digest would change; it gets the OCI format there/);
  assert.ok(!existsSync(join(folder, 'preserved-no')));
  await writeFile(join(folder, 'preserved-docker', 'signature-1'), 'signed');
  assert.equal((await yadokari('copy', docker, `dir:${join(folder, 'signed')}`)).status, 0);
  assert.equal(await readFile(join(folder, 'signed', 'signature-1'), 'utf8'), 'signed');
  const lost = await yadokari('copy', docker, `oci:${join(folder, 'preserved-yes')}:v1`);
  assert.match(lost.stderr, /Cannot copy the signatures .*: they are about another digest\n {2}try: --remove-signatures/);
  assert.equal((await yadokari('copy', '--remove-signatures', docker, `oci:${join(folder, 'preserved-yes')}:v1`)).status, 0);
});

test("skopeo's flags that change nothing here are named, unless nothing is to be told", { skip }, async () => {
  const places = [`docker://${registry.host}/spoken/app:latest`, `oci:${join(folder, 'spoken')}:v1`];
  await pushImage(registry.host, 'spoken/app', { layers: [content('spoken')] });
  const flags = ['--src-tls-verify=false', '--dest-precompute-digests'];
  const told = await yadokari('copy', ...flags, ...places);
  assert.equal(told.status, 0, told.stderr);
  assert.match(told.stderr, /^without effect here: --dest-precompute-digests \(.*looked for.*\)$/m);
  const { status, output } = await yadokari('copy', '--quiet', ...flags, ...places);
  assert.deepEqual([status, output], [0, '']);
});

test('sync copies a repository, a folder and what a file lists, to where skopeo puts it', { skip }, async () => {
  for (const tag of ['1.0', '1.1', '2.0']) {
    const layout = join(folder, `sync-${tag}`);
    await writeOciLayout(layout, tag, { layers: [content(`sync ${tag}`)] });
    await run(skopeo, [
      '--insecure-policy',
      'copy',
      '--dest-tls-verify=false',
      `oci:${layout}:${tag}`,
      `docker://${registry.host}/sync/app:${tag}`,
    ]);
  }
  const list = join(folder, 'list.yml');
  await writeFile(
    list,
    `${registry.host}:\n  tls-verify: false\n  images:\n    sync/app:\n      - "1.0"\n  images-by-tag-regex:\n    sync/app: ^2\n`,
  );
  const bare = ['--src-tls-verify=false', '--dest-tls-verify=false'];
  const trees = async (who: 'ours' | 'theirs'): Promise<readonly string[]> => {
    const tool = async (args: readonly string[]): Promise<void> => {
      const { status, stderr } = who === 'ours' ? await yadokari(...args) : await ended(skopeo, ['--insecure-policy', ...args]);
      assert.equal(status, 0, stderr);
    };
    const at = join(folder, who);
    await mkdir(at, { recursive: true });
    await tool(['sync', ...bare, '--src', 'docker', '--dest', 'dir', `${registry.host}/sync/app`, join(at, 'flat')]);
    await tool(['sync', ...bare, '--src', 'docker', '--dest', 'dir', '--scoped', `${registry.host}/sync/app:1.0`, join(at, 'scoped')]);
    await tool(['sync', ...bare, '--src', 'yaml', '--dest', 'dir', list, join(at, 'listed')]);
    await tool(['sync', ...bare, '--src', 'dir', '--dest', 'docker', join(at, 'flat'), `${registry.host}/${who}`]);
    return (await readdir(at, { recursive: true })).toSorted();
  };
  assert.deepEqual(await trees('ours'), await trees('theirs'));
  for (const tag of ['1.0', '1.1', '2.0'])
    assert.equal(
      await digestOfSkopeo(`docker://${registry.host}/ours/app:${tag}`),
      await digestOfSkopeo(`docker://${registry.host}/theirs/app:${tag}`),
    );
  const dry = await yadokari(
    'sync',
    ...bare,
    '--src',
    'docker',
    '--dest',
    'dir',
    '--dry-run',
    `${registry.host}/sync/app`,
    join(folder, 'dry'),
  );
  assert.match(dry.stderr, /3 images would be copied/);
  assert.ok(!existsSync(join(folder, 'dry')));
  await writeFile(list, `${registry.host}:\n  images:\n    sync/none: []\n    sync/app: ["9.9", "1.0"]\n  tls-verify: false\n`);
  const partly = await yadokari('sync', ...bare, '--src', 'yaml', '--dest', 'dir', '--keep-going', list, join(folder, 'partly'));
  assert.equal(partly.status, 1);
  assert.match(partly.stderr, /there is no such image[^]*1 image copied\nerror: 1 image was not copied\nerror: 1 repository was skipped/);
  // As skopeo does, a number is the tag as it is written, and YAML 1.1's words are known.
  await writeFile(list, `${registry.host}:\n  images:\n    sync/app: [9.90, 1.0]\n  tls-verify: no\n`);
  const numbers = await yadokari('sync', ...bare, '--src', 'yaml', '--dest', 'dir', '--keep-going', list, join(folder, 'numbers'));
  assert.match(numbers.stderr, /sync\/app:9\.90: there is no such image[^]*1 image copied/);
});

test('tags that would lead out of a folder are refused', { skip }, async (context) => {
  const fake = await startFakeRegistry();
  context.after(fake.stop);
  fake.inject({
    path: /tags\/list/,
    act: (_request, response) => void response.end(JSON.stringify({ name: 'x', tags: ['../../../etc/evil'] })),
  });
  const ended_ = await yadokari(
    'sync',
    '--src-tls-verify=false',
    '--src',
    'docker',
    '--dest',
    'dir',
    `${fake.host}/x/y`,
    join(folder, 'unsafe'),
  );
  assert.equal(ended_.status, 1);
  assert.match(ended_.stderr, /"..\/..\/..\/etc\/evil" is no tag/);
});

test('logout takes away what login kept, and leaves all else in the file', { skip }, async () => {
  const path = join(folder, '.docker', 'config.json');
  await mkdir(join(folder, '.docker'), { recursive: true });
  await writeFile(path, JSON.stringify({ auths: { 'other.example': { auth: 'YTpi' } }, detachKeys: 'x' }));
  assert.equal((await yadokari('login', guarded.host, '-u', 'ada', '-p', 'secret')).status, 0);
  assert.equal((await yadokari('list-tags', '--tls-verify=false', `docker://${guarded.host}/closed/app`)).status, 0);
  assert.equal((await yadokari('logout', guarded.host)).status, 0);
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), { auths: { 'other.example': { auth: 'YTpi' } }, detachKeys: 'x' });
  assert.match((await yadokari('logout', guarded.host)).stderr, /has no credentials for it/);
  const aside = join(folder, 'aside.json');
  assert.equal((await yadokari('login', '--tls-verify=false', `--authfile=${aside}`, guarded.host, '-u', 'ada', '-p', 'secret')).status, 0);
  const place = `docker://${guarded.host}/closed/app`;
  assert.equal((await yadokari('--tls-verify=false', '--authfile', aside, 'list-tags', place)).status, 0);
  assert.deepEqual((await yadokari('login', '--get-login', '--authfile', aside, guarded.host)).output, 'ada\n');
  assert.match((await yadokari('login', '--get-login', guarded.host)).output, /^error: Cannot tell who is logged in to .*: nobody is/);
  // The file that podman and skopeo take, too, where it is named.
  const named = { HOME: folder, REGISTRY_AUTH_FILE: join(folder, 'named.json') };
  assert.equal((await command([program, 'login', guarded.host, '-u', 'ada', '-p', 'secret'], { env: named })).status, 0);
  assert.match(await readFile(named.REGISTRY_AUTH_FILE, 'utf8'), /YWRhOnNlY3JldA==/);
  assert.equal((await yadokari('logout', '--all')).status, 0);
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), { auths: {}, detachKeys: 'x' });
});
