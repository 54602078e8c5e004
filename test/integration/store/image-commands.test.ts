// The commands about the store, run as a person runs them, beside the real buildah, podman, skopeo and umoci on images of their own.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { copyImage } from '../../../src/oci/copy-image.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { openLayoutSink } from '../../../src/store/oci-layout.ts';
import { type CommandResult, run } from '../../support/command.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { imageMemory } from '../../support/image-memory.ts';
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
    assert.equal(ours.status, theirs.status, args.join(' '));
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
    ['pull', 'sif:x'],
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

/** A layout with an index of two images, each made in a year of its own, and an attestation. */
async function writeIndexLayout(layout: string): Promise<{ readonly index: string; readonly arm64: string }> {
  const { keep, source } = imageMemory();
  const manifestOf = (architecture: string, created: string, more: object): ReturnType<typeof keep> => {
    const plain = tar([{ path: `for-${architecture}`, content: architecture }]);
    const layer = keep(gzipSync(plain), MediaType.ociLayerGzip);
    const rootfs = { type: 'layers', diff_ids: [digestOf(plain)] };
    const config = keep(JSON.stringify({ created, architecture, os: 'linux', config: {}, rootfs, history: [] }), MediaType.ociConfig);
    const manifest = { schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers: [layer] };
    return keep(JSON.stringify(manifest), MediaType.ociManifest, more);
  };
  const amd64 = manifestOf('amd64', '2020-01-02T03:04:05Z', { platform: { os: 'linux', architecture: 'amd64' } });
  const arm64 = manifestOf('arm64', '2024-01-02T03:04:05Z', { platform: { os: 'linux', architecture: 'arm64' } });
  const about = { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': amd64.digest };
  const unknown = { os: 'unknown', architecture: 'unknown' };
  const attestation = manifestOf('unknown', '', { platform: unknown, annotations: about });
  const manifests = [amd64, arm64, attestation];
  const root = keep(JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests }), MediaType.ociIndex);
  await copyImage(source(root), openLayoutSink({ folder: layout, tag: 'multi' }), new AbortController().signal);
  return { index: root.digest, arm64: arm64.digest };
}

test('an index goes into an OCI archive and out of it whole, and a docker archive takes one of its images', { skip }, async () => {
  const layout = join(folder, 'indexed');
  const digests = await writeIndexLayout(layout);
  await yadokari('pull', '-q', '--all-platforms', `oci:${layout}:multi`);
  const stored = async (): Promise<string> => await yadokari('images', '--format', '{{.Digest}}@{{.CreatedAtRaw}}', 'multi');
  const whole = `${digests.index}@2024-01-02T03:04:05Z\n`;
  assert.equal(await stored(), whole);
  await yadokari('save', '--format', 'oci-archive', '-o', 'whole.tar', 'multi');
  const inArchive = await out('skopeo', 'inspect', '--raw', `oci-archive:${join(folder, 'whole.tar')}`);
  assert.equal(digestOf(inArchive), digests.index);
  assert.equal(await podman('load', '-q', '-i', join(folder, 'whole.tar')), 'Loaded image: localhost/multi:latest\n');
  await yadokari('rmi', 'multi');
  assert.equal(await yadokari('load', '-q', '-i', 'whole.tar'), 'Loaded image: localhost/multi:latest\n');
  assert.equal(await stored(), whole);
  // Docker's format has one image under a name.
  const both = await ended(program, ['save', '--platform', 'linux/amd64,linux/arm64', '-o', 'both.tar', 'multi']);
  assert.match(both.stderr, /^error: Cannot copy several images to docker-archive:.*: it holds one\n {2}try: choose one with --platform;/);
  assert.deepEqual([both.status, existsSync(join(folder, 'both.tar'))], [125, false]);
  const one = await ended(program, ['save', '-o', 'one.tar', 'multi']);
  assert.match(one.stderr, /^multi is an index: its image for linux\/amd64 is saved; --platform chooses another/);
  await yadokari('save', '--platform', 'linux/arm64', '-o', 'other.tar', 'multi');
  for (const [file, architecture] of [
    ['one.tar', 'amd64'],
    ['other.tar', 'arm64'],
  ] as const)
    assert.match(
      await out('skopeo', 'inspect', '--config', `docker-archive:${join(folder, file)}`),
      new RegExp(`"architecture": ?"${architecture}"`),
    );
  await yadokari('load', '-q', '--platform', 'linux/arm64', '-i', 'whole.tar');
  assert.match(await stored(), new RegExp(`^${digests.arm64}@`));
});

test('of an index that docker wrote beside the image of one platform, load takes that image with its digest', { skip }, async () => {
  const layout = join(folder, 'partial');
  const digests = await writeIndexLayout(layout);
  const { manifests } = JSON.parse(await readFile(join(layout, `blobs/sha256/${digests.index.slice(7)}`), 'utf8')) as {
    manifests: readonly { digest: string }[];
  };
  for (const { digest } of manifests) if (digest !== digests.arm64) await rm(join(layout, `blobs/sha256/${digest.slice(7)}`));
  // As docker since version 25: one image in docker's own words, too.
  const { config, layers } = JSON.parse(await readFile(join(layout, `blobs/sha256/${digests.arm64.slice(7)}`), 'utf8')) as {
    config: { digest: string };
    layers: readonly { digest: string }[];
  };
  const blob = ({ digest }: { digest: string }): string => `blobs/sha256/${digest.slice(7)}`;
  const image = { Config: blob(config), RepoTags: ['multi:latest'], Layers: layers.map(blob) };
  await writeFile(join(layout, 'manifest.json'), JSON.stringify([image]));
  await out('tar', '-C', layout, '-cf', 'partial.tar', '.');
  await yadokari('load', '-q', '-i', 'partial.tar');
  assert.equal((await yadokari('images', '--format', '{{.Digest}}', 'multi')).trim(), digests.arm64);
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
