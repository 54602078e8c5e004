// The commands about the store, run as a person runs them, beside the real buildah, podman, skopeo and umoci on images of their own.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { type CommandResult, run } from '../../support/command.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { pushImage } from '../../support/image-writer.ts';
import { tar } from '../../support/tar.ts';

const program = join(import.meta.dirname, '../../../bin/yadokari');
const missing = ['buildah', 'podman', 'skopeo', 'umoci'].filter((name) => !existsSync(`/usr/bin/${name}`));
const skip =
  missingDockerRegistry() ??
  (missing.length > 0
    ? `${missing.join(', ')} not installed`
    : process.getuid?.() === 0
      ? false
      : 'engines need root for a storage of their own');

let folder = '';
let registry: RunningRegistry;
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'yadokari-store-commands-'));
  registry = await startDockerRegistry();
});
after(async () => {
  if (skip !== false) return;
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

async function ended(file: string, args: readonly string[]): Promise<CommandResult> {
  return await run([file, ...args], { cwd: folder, env: { HOME: folder, YADOKARI_ROOT: join(folder, 'store') } });
}

async function out(file: string, ...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await ended(file, args);
  assert.equal(status, 0, `${file} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

const yadokari = async (...args: readonly string[]): Promise<string> => await out(program, ...args);
const storage = (): readonly string[] => ['--root', join(folder, 'engine'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
const buildah = async (...args: readonly string[]): Promise<string> => await out('buildah', ...storage(), ...args);
const podman = async (...args: readonly string[]): Promise<string> => await out('podman', ...storage(), ...args);
const bare = '--tls-verify=false';

/** Two layers, the second of which takes something away. */
async function pushApp(name: string): Promise<string> {
  const layers = [
    tar([
      { path: 'etc/', type: '5', mode: 0o755 },
      { path: 'etc/a', content: 'a' },
      { path: 'etc/gone', content: 'gone' },
    ]),
    tar([
      { path: 'etc/.wh.gone', content: '' },
      { path: 'etc/a', content: 'another' },
      { path: 'bin', type: '2', link: 'usr/bin' },
    ]),
  ];
  await pushImage(registry.host, name, { layers, config: { Env: ['A=1'] } });
  return `docker://${registry.host}/${name}`;
}

const isHex = /^[0-9a-f]{64}\n$/;

test('pull, images, tag and rmi print what buildah prints, and keep the digest of the registry', { skip }, async () => {
  const place = await pushApp('first/app');
  const name = `${registry.host}/first/app`;
  const id = await yadokari('pull', bare, place);
  assert.match(id, isHex);
  assert.equal(id, await buildah('pull', '-q', bare, place));
  // What is there is not asked for again: there is no such host.
  await yadokari('tag', name, 'nowhere.invalid/app');
  assert.equal(await yadokari('pull', '-q', 'nowhere.invalid/app'), id);
  await yadokari('rmi', 'nowhere.invalid/app');
  assert.equal(await yadokari('pull', '-q', bare, name), id);
  const both = async (...args: readonly string[]): Promise<string> => {
    const [ours, theirs] = [await ended(program, args), await ended('buildah', [...storage(), ...args])];
    assert.equal(ours.stdout, theirs.stdout, args.join(' '));
    assert.equal(ours.status === 0, theirs.status === 0, args.join(' '));
    return ours.stdout;
  };
  await both('tag', name, 'short', 'quay.io/a/b:2');
  await both('images', '-q', '--no-trunc');
  await both('images', '--format', '{{.Name}} {{.CreatedAt}}', 'short');
  await both('images', '--format', '{{.ID}} {{.Name}} {{.Tag}} {{.Digest}}', 'short');
  assert.match(await both('rmi', 'short', 'nosuch'), /^untagged: localhost\/short:latest\n$/);
  await both('rmi', id.slice(0, 12));
  await both('rmi', '--all', 'short');
  assert.equal(await both('rmi', '--force', id.trim()), `untagged: ${name}:latest\nuntagged: quay.io/a/b:2\n${id}`);
  await both('images', '-q');
  assert.deepEqual(await readdir(join(folder, 'store/images/blobs/sha256')), []);
});

test('an image keeps its digest from a registry to the store, to skopeo, and on', { skip }, async () => {
  const place = await pushApp('second/app');
  const name = `${registry.host}/second/app`;
  await yadokari('pull', '-q', bare, place);
  const digest = digestOf(await out('skopeo', 'inspect', '--raw', bare, place));
  assert.equal((await yadokari('images', '--format', '{{.Digest}}', name)).trim(), digest);
  const layout = `oci:${join(folder, 'store/images')}:${name}:latest`;
  assert.equal(digestOf(await out('skopeo', 'inspect', '--raw', layout)), digest);
  await yadokari('push', '-q', bare, name, `${registry.host}/second/copy`, '--digestfile', 'digest');
  await yadokari('push', '-q', '--insecure', name, '--destination', `${registry.host}/second/kanikos:1`);
  for (const copy of ['second/copy', 'second/kanikos:1'])
    assert.equal(digestOf(await out('skopeo', 'inspect', '--raw', bare, `docker://${registry.host}/${copy}`)), digest, copy);
  await yadokari('push', '-q', name, 'oci:pushed:here');
  assert.equal(digestOf(await out('skopeo', 'inspect', '--raw', `oci:${join(folder, 'pushed')}:here`)), digest);
  await yadokari('pull', '-q', 'oci:pushed:here');
  assert.match(await yadokari('images', '--digests', 'localhost/here'), new RegExp(digest));
  const inspected = [
    'inspect',
    '--type',
    'image',
    '--format',
    '{{.FromImageID}} {{.FromImageDigest}} {{.OCIv1.Config.Env}} {{.FromImage}}',
    name,
  ];
  await buildah('pull', '-q', bare, place);
  assert.equal((await yadokari(...inspected)).trim(), (await buildah(...inspected)).trim());
  for (const mistake of [
    ['push', bare, name, '--destination', `${registry.host}/x`],
    ['push', '--insecure', name, `${registry.host}/x`],
    ['push', name, 'containers-storage:x'],
    ['pull', 'docker-daemon:x'],
  ])
    assert.match((await ended(program, mistake)).stderr, /^error: Cannot use /, mistake.join(' '));
});

test('what save writes podman loads, and what podman saves load takes', { skip }, async () => {
  const ids: string[] = [];
  for (const name of ['third/one', 'third/two']) {
    await pushImage(registry.host, name, { layers: [tar([{ path: name.slice(6), content: name }])] });
    ids.push(await yadokari('pull', '-q', bare, `docker://${registry.host}/${name}`));
    await yadokari('tag', `${registry.host}/${name}`, name.slice(6));
  }
  await yadokari('save', '-o', 'ours.tar', 'one', 'two', `${registry.host}/third/one`);
  assert.equal(
    (await podman('load', '-q', '-i', join(folder, 'ours.tar'))).replaceAll(registry.host, 'HOST'),
    'Loaded image: localhost/one:latest\nLoaded image: HOST/third/one:latest\nLoaded image: localhost/two:latest\n',
  );
  const saved = ['podman', ...storage(), 'save', '-q', '-m', 'one', 'two'].join(' ');
  await podman('save', '-q', '--format', 'oci-archive', '-o', join(folder, 'theirs-oci.tar'), 'two');
  await yadokari('rmi', '--all', '--force');
  const loaded = await out('/bin/sh', '-c', `${saved} | gzip | "${program}" load`);
  assert.match(loaded, /^Loaded image: localhost\/one:latest\n/);
  for (const [position, name] of ['one', 'two'].entries())
    assert.equal(await yadokari('images', '-q', '--no-trunc', name), `sha256:${ids[position] ?? ''}`, name);
  await yadokari('rmi', 'two');
  assert.equal(await yadokari('load', '-q', '-i', 'theirs-oci.tar'), 'Loaded image: localhost/two:latest\n');
  assert.equal(await yadokari('images', '-q', '--no-trunc', 'two'), `sha256:${ids[1] ?? ''}`);
});

test("history and diff are podman's, and unpack makes the tree that umoci makes", { skip }, async () => {
  const place = await pushApp('fourth/app');
  const name = `${registry.host}/fourth/app`;
  await yadokari('pull', '-q', bare, place);
  await podman('pull', '-q', bare, place);
  const bothPrint = async (...args: readonly string[]): Promise<void> =>
    assert.equal(await yadokari(...args), await podman(...args), args.join(' '));
  await bothPrint('history', '-q', name);
  await bothPrint('history', '--format', '{{.ID}}|{{.CreatedBy}}|{{.CreatedSince}}', name);
  const changes = ['A /bin', 'C /etc', 'C /etc/a', 'D /etc/gone', ''];
  assert.deepEqual((await yadokari('diff', name)).split('\n'), changes);
  assert.deepEqual((await podman('diff', name)).split('\n').toSorted(), changes.toSorted());
  assert.equal(await yadokari('diff', name, name), '');
  await yadokari('unpack', name, 'ours');
  const layout = `${join(folder, 'store/images')}:${name}:latest`;
  await out('skopeo', 'copy', '-q', `oci:${layout}`, `oci:${join(folder, 'for-umoci')}:app`);
  await out('umoci', 'unpack', '--image', `${join(folder, 'for-umoci')}:app`, 'theirs');
  const list = async (root: string): Promise<string> =>
    await out('/bin/sh', '-c', `cd "${join(folder, root)}" && find . -mindepth 1 -printf '%P %y %m %U:%G %s %T@ %l\\n' | sort`);
  assert.equal(await list('ours'), await list('theirs/rootfs'));
  await mkdir(join(folder, 'taken'));
  await writeFile(join(folder, 'taken/mine'), '');
  assert.match((await ended(program, ['unpack', name, 'taken'])).stderr, /there is something in it/);
});
