import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyImage } from '../../../src/oci/copy-image.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { type ImageMemory, imageMemory } from '../../support/image-memory.ts';

const { signal } = new AbortController();
const emptyType = 'application/vnd.oci.empty.v1+json';

/** A manifest whose text no encoder of ours would write. */
function keepManifest(memory: ImageMemory, config: Descriptor, ...layers: readonly Descriptor[]): Descriptor {
  const text = `{"layers":${JSON.stringify(layers)} ,"x":{"n":1.0,"big":123456789012345678901},\n"config": ${JSON.stringify(config)},"schemaVersion":2}`;
  return memory.keep(text, MediaType.ociManifest);
}

const keepIndex = (memory: ImageMemory, ...manifests: readonly Descriptor[]): Descriptor =>
  memory.keep(JSON.stringify({ manifests, schemaVersion: 2, subject: null }), MediaType.ociIndex);

test('copyImage() copies a manifest with its blobs, each once, what is named before what names it', async () => {
  const [from, to] = [imageMemory(), imageMemory()];
  const empty = from.keep('{}', emptyType);
  const layer = from.keep('layer', 'text/plain');
  const root = keepManifest(from, empty, layer, empty, layer);
  assert.equal(await copyImage(from.source(root), to.sink, signal), root.digest);
  assert.deepEqual(to.written, [`blob ${layer.digest}`, `blob ${empty.digest}`, `root ${root.digest}`]);
  assert.deepEqual(to.blobs, from.blobs);
});

test('copyImage() copies all that an index names, nested ones and content that is no manifest too', async () => {
  const [from, to] = [imageMemory(), imageMemory()];
  const config = from.keep('{}', MediaType.ociConfig);
  const one = keepManifest(from, config);
  const two = keepManifest(from, config, from.keep('layer', MediaType.ociLayerZstd));
  const nested = keepIndex(from, two);
  const note = from.keep('a note', 'text/plain');
  const root = keepIndex(from, { ...one, platform: { os: 'unknown', architecture: 'unknown' } }, note, nested, one);
  await copyImage(from.source(root), to.sink, signal);
  const named = to.written.filter((line) => !line.startsWith('blob'));
  assert.deepEqual(named, [`manifest ${one.digest}`, `manifest ${two.digest}`, `manifest ${nested.digest}`, `root ${root.digest}`]);
  assert.deepEqual([...to.blobs.keys()].toSorted(), [...from.blobs.keys()].toSorted());
});

test('copyImage() names foreign layers and does not ask for them', async () => {
  const [from, to] = [imageMemory(), imageMemory()];
  const away = from.keep('windows', MediaType.dockerForeignLayerGzip, { urls: ['https://a.test/x'] });
  from.blobs.delete(away.digest);
  const root = keepManifest(from, from.keep('{}', MediaType.dockerConfig), away);
  await copyImage(from.source(root), to.sink, signal);
  assert.deepEqual(to.blobs, from.blobs);
});

test('copyImage() refuses schema 1 by name, in an index too, and gives the root no name', async () => {
  const [from, to] = [imageMemory(), imageMemory()];
  const old = from.keep('{"schemaVersion":1,"fsLayers":[]}', 'application/vnd.docker.distribution.manifest.v1+prettyjws');
  const root = keepIndex(from, old);
  await assert.rejects(copyImage(from.source(root), to.sink, signal), { code: 'ERR_UNSUPPORTED', message: /schema 1/ });
  assert.deepEqual(to.written, []);
});

test('copyImage() follows indexes three deep and no deeper', async () => {
  const from = imageMemory();
  let at = keepManifest(from, from.keep('{}', MediaType.ociConfig));
  for (let depth = 0; depth < 3; depth++) at = keepIndex(from, at);
  await copyImage(from.source(at), imageMemory().sink, signal);
  const to = imageMemory();
  await assert.rejects(copyImage(from.source(keepIndex(from, at)), to.sink, signal), /nested more than 3 deep/);
  assert.deepEqual(to.written, []);
});

test('copyImage() gives the root no name where something of it is missing', async () => {
  const [from, to] = [imageMemory(), imageMemory()];
  const layer = from.keep('layer', MediaType.ociLayer);
  const root = keepIndex(from, keepManifest(from, from.keep('{}', MediaType.ociConfig), layer));
  from.blobs.delete(layer.digest);
  await assert.rejects(copyImage(from.source(root), to.sink, signal), { code: 'ERR_LAYER' });
  assert.deepEqual(to.written, []);
});

test('copyImage() asks for a manifest that several indexes name only once, and for an image that is its own root never', async () => {
  const [from, to] = [imageMemory(), imageMemory()];
  const image = keepManifest(from, from.keep('{}', MediaType.ociConfig));
  const [one, two] = [keepIndex(from, image), keepIndex(from, image, from.keep('a note', 'text/plain'))];
  const root = keepIndex(from, one, image, two, one);
  const source = from.source(root);
  const asked: string[] = [];
  const counted: typeof source = {
    ...source,
    manifest: async (descriptor, aborted) => {
      asked.push(descriptor.digest);
      return await source.manifest(descriptor, aborted);
    },
  };
  await copyImage(counted, to.sink, signal);
  assert.deepEqual(asked, [one.digest, image.digest, two.digest]);
  asked.length = 0;
  await copyImage({ ...from.source(image), manifest: counted.manifest }, to.sink, signal);
  assert.deepEqual(asked, []);
});

for (const failing of ['writeBlobs', 'writeManifest'] as const) {
  test(`copyImage() gives the root no name where ${failing}() fails, and passes the failure on`, async () => {
    const [from, to] = [imageMemory(), imageMemory()];
    const root = keepIndex(from, keepManifest(from, from.keep('{}', MediaType.ociConfig)));
    const sink = { ...to.sink, [failing]: () => Promise.reject(new Error('the disk is full')) };
    await assert.rejects(copyImage(from.source(root), sink, signal), /^Error: the disk is full$/);
    assert.deepEqual(
      to.written.filter((line) => !line.startsWith('blob')),
      [],
    );
  });
}

test('copyImage() hands its signal to the source and to the sink', async () => {
  const [from, to] = [imageMemory(), imageMemory()];
  const root = keepIndex(from, keepManifest(from, from.keep('{}', MediaType.ociConfig)));
  const source = from.source(root);
  const mine = new AbortController().signal;
  const seen: [string, boolean][] = [];
  const see = (what: string, aborted: AbortSignal): void => void seen.push([what, aborted === mine]);
  await copyImage(
    {
      ...source,
      manifest: (descriptor, aborted) => (see('manifest', aborted), source.manifest(descriptor, aborted)),
      open: (descriptor, aborted) => (see('open', aborted), source.open(descriptor, aborted)),
    },
    {
      writeBlobs: (blobs, aborted) => (see('writeBlobs', aborted), to.sink.writeBlobs(blobs, aborted)),
      writeManifest: (manifest, aborted) => (see('writeManifest', aborted), to.sink.writeManifest(manifest, aborted)),
      writeRoot: (image, aborted) => (see('writeRoot', aborted), to.sink.writeRoot(image, aborted)),
    },
    mine,
  );
  assert.deepEqual(
    seen,
    ['manifest', 'writeBlobs', 'open', 'writeManifest', 'writeRoot'].map((what) => [what, true]),
  );
});

test('copyImage() gives an index of more than 10,000 different manifests no name', async () => {
  const [from, to] = [imageMemory(), imageMemory()];
  const image = keepManifest(from, from.keep('{}', MediaType.ociConfig));
  const digestAt = (position: number): Descriptor['digest'] => `sha256:${String(position).padStart(64, '0')}`;
  const half = (first: number): Descriptor =>
    keepIndex(from, ...Array.from({ length: 5001 }, (_, at) => ({ ...image, digest: digestAt(first + at) })));
  const root = keepIndex(from, half(0), half(5001));
  const source = from.source(root);
  const stored = await source.manifest(image, signal);
  const same: typeof source = {
    ...source,
    manifest: async (descriptor, aborted) =>
      from.blobs.has(descriptor.digest) ? await source.manifest(descriptor, aborted) : { ...stored, digest: descriptor.digest },
  };
  await assert.rejects(copyImage(same, to.sink, signal), {
    code: 'ERR_LAYER',
    message: 'Cannot copy memory: it has more than 10000 manifests',
  });
  assert.ok(!to.written.includes(`root ${root.digest}`));
});
