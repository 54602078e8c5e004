import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { link, mkdir, mkdtempDisposable, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { verify } from '../../../src/layer/meter.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import type { Image } from '../../../src/oci/image.ts';
import { blobPath } from '../../../src/store/blob-file.ts';
import { removeLayoutImage } from '../../../src/store/layout-removal.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { layoutTags, listLayout, parseLayoutReference, readLayout, writeLayout } from '../../../src/store/oci-layout.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';

const { signal } = new AbortController();

async function workplace(): Promise<{ readonly path: string } & AsyncDisposable> {
  return await mkdtempDisposable(join(tmpdir(), 'yadokari-layout-'));
}

async function contentOf(image: Image): Promise<readonly Buffer[]> {
  const all: Buffer[] = [];
  for (const layer of image.layers) all.push(await buffer(layer.open(signal)));
  return all;
}

const places: readonly (readonly [text: string, expected: unknown])[] = [
  ['/a/b', { folder: '/a/b' }],
  ['/a/b:v1', { folder: '/a/b', tag: 'v1' }],
  ['/a:b/c', { folder: '/a:b/c' }],
  [`/a@sha256:${'a'.repeat(64)}`, { folder: '/a', digest: `sha256:${'a'.repeat(64)}` }],
];
for (const [text, expected] of places) {
  test(`parseLayoutReference(${JSON.stringify(text)}) finds folder, tag and digest`, () => {
    assert.deepEqual(parseLayoutReference(text), expected);
  });
}
test('parseLayoutReference() refuses what is no digest, and no folder', () => {
  assert.throws(() => parseLayoutReference('/a@sha256:../../x:y'), { code: 'ERR_REFERENCE' });
  assert.throws(() => parseLayoutReference('/a@latest'), { code: 'ERR_REFERENCE' });
  assert.throws(() => parseLayoutReference(':v1'), { code: 'ERR_REFERENCE' });
});

test('what writeLayout() wrote, readLayout() reads, and no temporary file stays', async () => {
  await using place = await workplace();
  const content = someBytes(300_000);
  const image = storedOf(layerOf(content), layerOf(Buffer.alloc(0)));
  const digest = await writeLayout({ folder: place.path, tag: 'v1' }, image, signal);
  const read = await readLayout({ folder: place.path, tag: 'v1' }, platform, signal);
  assert.equal(read.digest, digest);
  assert.deepEqual(read.image.config, image.image.config);
  assert.deepEqual(await contentOf(read.image), [content, Buffer.alloc(0)]);
  const files = await readdir(place.path, { recursive: true });
  assert.equal(files.filter((name) => name.includes('tmp')).length, 0);
});

test('a second image leaves the first its tag, and a tag that moves has one entry', async () => {
  await using place = await workplace();
  const [one, two] = [storedOf(layerOf(someBytes(10))), storedOf(layerOf(someBytes(10)))];
  const first = await writeLayout({ folder: place.path, tag: 'one' }, one, signal);
  const second = await writeLayout({ folder: place.path, tag: 'two' }, two, signal);
  assert.equal((await readLayout({ folder: place.path, tag: 'one' }, platform, signal)).digest, first);
  await assert.rejects(readLayout({ folder: place.path }, platform, signal), { code: 'ERR_REFERENCE', hint: 'it has: one, two' });
  await writeLayout({ folder: place.path, tag: 'one' }, two, signal);
  assert.equal((await readLayout({ folder: place.path, tag: 'one' }, platform, signal)).digest, second);
  const index: unknown = JSON.parse(await readFile(join(place.path, 'index.json'), 'utf8'));
  assert.ok(index !== null && typeof index === 'object' && 'manifests' in index && Array.isArray(index.manifests));
  assert.equal(index.manifests.length, 2);
});

test('images that are written into one layout at once all have their entry', async () => {
  await using place = await workplace();
  const tags = Array.from({ length: 20 }, (_, number) => `v${number}`);
  await Promise.all(tags.map(async (tag) => await writeLayout({ folder: place.path, tag }, storedOf(layerOf(Buffer.from(tag))), signal)));
  assert.deepEqual((await layoutTags(place.path, signal)).toSorted(), tags.toSorted());
});

test('an image that is removed while others are added takes none of them along', async () => {
  await using place = await workplace();
  const write = async (tag: string): Promise<unknown> =>
    await writeLayout({ folder: place.path, tag }, storedOf(layerOf(Buffer.from(tag))), signal);
  for (const tag of ['a', 'b', 'c']) await write(tag);
  const remove = async (tag: string): Promise<void> => await removeLayoutImage({ folder: place.path, tag }, signal);
  await Promise.all([write('d'), remove('a'), write('e'), remove('b'), write('f')]);
  assert.deepEqual((await layoutTags(place.path, signal)).toSorted(), ['c', 'd', 'e', 'f']);
});

test('a blob that was broken on disk is written anew', async () => {
  await using place = await workplace();
  const layer = layerOf(someBytes(1000));
  await writeLayout({ folder: place.path, tag: 'v1' }, storedOf(layer), signal);
  await rm(blobPath(place.path, layer.descriptor.digest));
  await writeFile(blobPath(place.path, layer.descriptor.digest), someBytes(1000));
  const { image } = await readLayout({ folder: place.path, tag: 'v1' }, platform, signal);
  await assert.rejects(contentOf(image), { code: 'ERR_DIGEST_MISMATCH' });
  await writeLayout({ folder: place.path, tag: 'v1' }, storedOf(layer), signal);
  assert.equal((await contentOf(image)).length, 1);
});

test('a source that fails leaves nothing under its digest', async () => {
  await using place = await workplace();
  const made = layerOf(someBytes(1000));
  const { digest } = made.descriptor;
  const other = layerOf(someBytes(1000));
  const layer = { ...made, open: () => Readable.from(verify(other.open(signal), { digest, subject: 'it' }), { objectMode: false }) };
  await assert.rejects(writeLayout({ folder: place.path }, storedOf(layer), signal), { code: 'ERR_DIGEST_MISMATCH' });
  assert.deepEqual(await readdir(join(place.path, 'blobs', 'sha256')), []);
});

/** A layout whose layer can be replaced by something hostile. */
async function layoutWithLayer(folder: string): Promise<{ readonly digest: Digest; readonly path: string }> {
  const layer = layerOf(someBytes(1000));
  await writeLayout({ folder, tag: 'v1' }, storedOf(layer), signal);
  return { digest: layer.descriptor.digest, path: blobPath(folder, layer.descriptor.digest) };
}

test('a blob that is a symlink to a file outside is refused, even with the right bytes', async () => {
  await using place = await workplace();
  const { path } = await layoutWithLayer(join(place.path, 'layout'));
  await link(path, join(place.path, 'outside'));
  await rm(path);
  await symlink(join(place.path, 'outside'), path);
  const { image } = await readLayout({ folder: join(place.path, 'layout'), tag: 'v1' }, platform, signal);
  await assert.rejects(contentOf(image), { code: 'ERR_UNSAFE_PATH' });
});

test('a blobs folder that is a symlink is refused', async () => {
  await using place = await workplace();
  const layout = join(place.path, 'layout');
  await layoutWithLayer(layout);
  await rename(join(layout, 'blobs', 'sha256'), join(place.path, 'elsewhere'));
  await symlink(join(place.path, 'elsewhere'), join(layout, 'blobs', 'sha256'));
  await assert.rejects(readLayout({ folder: layout, tag: 'v1' }, platform, signal), { code: 'ERR_UNSAFE_PATH' });
});

test('a blob that is a directory is refused', async () => {
  await using place = await workplace();
  const { path } = await layoutWithLayer(place.path);
  await rm(path);
  await mkdir(path);
  const { image } = await readLayout({ folder: place.path, tag: 'v1' }, platform, signal);
  await assert.rejects(contentOf(image), { code: 'ERR_UNSAFE_PATH' });
});

test('a folder that is no layout is named', async () => {
  await using place = await workplace();
  await assert.rejects(readLayout({ folder: place.path }, platform, signal), { code: 'ERR_LAYER', message: /there is no oci-layout file/ });
});

test('an index.json that is a pipe, broken, or has a name twice is told with its place', async () => {
  await using place = await workplace();
  const failing = async (message: RegExp): Promise<void> =>
    await assert.rejects(readLayout({ folder: place.path, tag: 'v1' }, platform, signal), { message });
  const index = join(place.path, 'index.json');
  await writeFile(join(place.path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  execFileSync('mkfifo', [index]);
  await failing(/^Cannot read .*\/index\.json: it is no file$/);
  await rm(index);
  await writeFile(index, '{"schemaVersion":2,"manifests":[');
  await failing(/^Cannot read OCI layout .*: index\.json: /);
  const annotations = { 'org.opencontainers.image.ref.name': 'v1' };
  const manifests = ['a', 'b'].map((digit) => ({
    mediaType: MediaType.ociManifest,
    digest: `sha256:${digit.repeat(64)}`,
    size: 2,
    annotations,
  }));
  await writeFile(index, JSON.stringify({ schemaVersion: 2, manifests }));
  await failing(/: 2 have the name v1, and no platform$/);
});

test('listLayout() takes the whole name that buildx and containerd write, and else the one of the annotation for names', async () => {
  const entry = (digit: string, annotations: Record<string, string>): object => ({
    mediaType: MediaType.ociManifest,
    digest: `sha256:${digit.repeat(64)}`,
    size: 2,
    annotations,
  });
  const whole = { 'io.containerd.image.name': 'quay.io/team/app:3.1', 'org.opencontainers.image.ref.name': '3.1' };
  const manifests = [entry('a', whole), entry('b', { 'org.opencontainers.image.ref.name': 'v1' })];
  const texts = new Map([
    ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
    ['index.json', JSON.stringify({ schemaVersion: 2, manifests })],
  ]);
  const files = { name: 'x', text: async (path: string) => await Promise.resolve(texts.get(path)), open: () => assert.fail() };
  assert.deepEqual(
    (await listLayout(files, signal)).map(({ names }) => names),
    [['quay.io/team/app:3.1'], ['v1']],
  );
});
