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
