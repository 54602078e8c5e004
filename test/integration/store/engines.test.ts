// What we write, other programs read: skopeo and podman on their own storage.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { bytesFromText } from '../../../src/bytes.ts';
import { type BlobStore, openBlobStore } from '../../../src/layer/store.ts';
import { writeLayer } from '../../../src/layer/write.ts';
import type { Entry } from '../../../src/layer/entry.ts';
import type { Image } from '../../../src/oci/image.ts';
import type { Compression } from '../../../src/oci/media-type.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { encodeImage } from '../../../src/oci/stored-image.ts';
import { writeDockerArchive } from '../../../src/store/docker-archive.ts';
import { readLayout, writeLayout } from '../../../src/store/oci-layout.ts';
import { imageOf } from '../../support/image.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const missing = ['/usr/bin/skopeo', '/usr/bin/podman'].filter((path) => !existsSync(path));
const skip = missing.length === 0 ? false : `${missing.join(' and ')} not installed`;

/** An image with one real layer, its blobs in `store`, which must stay open as long as the image is used. */
async function realImage(store: BlobStore, compression: Compression): Promise<Image> {
  const content = Buffer.from('hello\n');
  const entries = async function* (): AsyncGenerator<Entry> {
    const pieces = async function* (): AsyncGenerator<Buffer> {
      yield await Promise.resolve(content);
    };
    const common = { mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 1, nanoseconds: 0 }, xattrs: new Map() };
    yield await Promise.resolve({ ...common, type: 'file', path: bytesFromText('hello.txt'), size: content.length, content: pieces() });
  };
  const { layer } = await writeLayer(entries(), { compression, family: 'oci', store }, signal);
  return imageOf(layer);
}

for (const compression of ['none', 'gzip', 'zstd'] as const) {
  test(`a docker archive with a layer of compression ${compression} is read by skopeo, and its layer is the same`, { skip }, async () => {
    await using place = await mkdtempDisposable(join(tmpdir(), 'yadokari-archive-'));
    await using store = openBlobStore(place.path);
    const image = await realImage(store, compression);
    const path = join(place.path, 'image.tar');
    await writeDockerArchive(path, encodeImage(image), [parseReference('localhost/archive/x:1'), parseReference('hub:2')], signal);
    await run('skopeo', ['copy', '--insecure-policy', `docker-archive:${path}`, `oci:${place.path}/copy:x`]);
    const copied = await readLayout({ folder: `${place.path}/copy`, tag: 'x' }, { os: 'linux', architecture: 'amd64' }, signal);
    assert.deepEqual(copied.image.config.diffIds, image.config.diffIds);
    const { stdout } = await run('skopeo', ['list-tags', `docker-archive:${path}`]);
    assert.deepEqual((JSON.parse(stdout) as { Tags: string[] }).Tags, ['localhost/archive/x:1', 'docker.io/library/hub:2']); // skopeo's answer
  });
}

test('podman loads a docker archive, and knows its layer', { skip }, async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'yadokari-podman-'));
  await using store = openBlobStore(place.path);
  const image = await realImage(store, 'gzip');
  const path = join(place.path, 'image.tar');
  await writeDockerArchive(path, encodeImage(image), [parseReference('localhost/archive/y:1')], signal);
  const podman = async (...args: readonly string[]): Promise<string> =>
    (await run('podman', ['--root', `${place.path}/root`, '--runroot', `${place.path}/run`, '--storage-driver', 'vfs', ...args])).stdout;
  await podman('load', '-i', path);
  const listed = await podman('image', 'inspect', '--format', '{{.RootFS.Layers}}', 'localhost/archive/y:1');
  assert.equal(listed.trim(), `[${image.config.diffIds.join(' ')}]`);
});

test('skopeo reads a layout that we wrote, and we read one that skopeo wrote', { skip }, async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'yadokari-skopeo-'));
  await using store = openBlobStore(place.path);
  const image = await realImage(store, 'gzip');
  const digest = await writeLayout({ folder: `${place.path}/ours`, tag: 'v1' }, encodeImage(image), signal);
  await run('skopeo', ['copy', '--insecure-policy', `oci:${place.path}/ours:v1`, `oci:${place.path}/theirs:v2`]);
  const read = await readLayout({ folder: `${place.path}/theirs`, tag: 'v2' }, { os: 'linux', architecture: 'amd64' }, signal);
  assert.equal(read.digest, digest);
  assert.deepEqual(read.image.config, image.config);
});
