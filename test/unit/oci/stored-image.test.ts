import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { configLimitBytes, parseManifest } from '../../../src/oci/manifest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { blobOf, encodeImage, readImage, writeImage } from '../../../src/oci/stored-image.ts';
import { type ImageMemory, imageMemory } from '../../support/image-memory.ts';
import { imageOf, layerOf, platform } from '../../support/image.ts';

const { signal } = new AbortController();

test('encodeImage() gives the same bytes for the same image, and its own parser reads them', () => {
  const image = imageOf(layerOf(Buffer.from('a')), layerOf(Buffer.from('b')));
  const { manifest, config, image: view } = encodeImage(image);
  assert.deepEqual(encodeImage(image).manifest, manifest);
  assert.equal(manifest.digest, digestOf(manifest.bytes));
  assert.equal(config.descriptor.digest, digestOf(config.bytes));
  const read = parseManifest(manifest.bytes, manifest.mediaType);
  assert.ok(read.kind === 'manifest');
  assert.deepEqual(
    read.layers,
    view.layers.map(({ descriptor }) => descriptor),
  );
  assert.deepEqual(read.config, config.descriptor);
});

test('encodeImage() puts all layers into the family of the image, and a zstd layer makes it OCI', () => {
  const docker = { ...imageOf(layerOf(Buffer.from('a'))), family: 'docker' as const };
  const typesOf = (image: typeof docker): readonly string[] => {
    const { manifest, config, image: view } = encodeImage(image);
    return [manifest.mediaType, config.descriptor.mediaType, view.family, ...view.layers.map(({ descriptor }) => descriptor.mediaType)];
  };
  assert.deepEqual(typesOf(docker), [MediaType.dockerManifest, MediaType.dockerConfig, 'docker', MediaType.dockerLayer]);
  const zstd = layerOf(Buffer.from('b'));
  const layers = [...docker.layers, { ...zstd, descriptor: { ...zstd.descriptor, mediaType: MediaType.ociLayerZstd } }];
  const oci = [MediaType.ociManifest, MediaType.ociConfig, 'oci', MediaType.ociLayer];
  assert.deepEqual(typesOf({ ...docker, layers }), [...oci, MediaType.ociLayerZstd]);
  assert.deepEqual(typesOf({ ...docker, annotations: new Map([['a', 'b']]) }), oci);
});

/** Keeps an image of one layer whose documents no encoder of ours would write. */
function keepOdd(memory: ImageMemory): { readonly root: Descriptor; readonly config: Descriptor; readonly layer: Descriptor } {
  const layer = memory.keep('layer', MediaType.ociLayer);
  const config = memory.keep(
    ` {"rootfs":{"diff_ids":["${layer.digest}"],"type":"layers"},\n\t"os":"linux","x":1e400,"architecture":"amd64","big":98765432109876543210}\n`,
    MediaType.ociConfig,
  );
  const text = `{ "layers" : [${JSON.stringify({ ...layer, data: 'bGF5ZXI=' })}],"config":${JSON.stringify(config)},"schemaVersion":2, "artifactType":"x/y"}\n`;
  return { root: memory.keep(text, MediaType.ociManifest), config, layer };
}

test('readImage() gives the very bytes, and an image that is a view of them', async () => {
  const memory = imageMemory();
  const { root, config, layer } = keepOdd(memory);
  const stored = await readImage(memory.source(root), platform, signal);
  assert.deepEqual(stored.manifest.bytes, memory.blobs.get(root.digest));
  assert.equal(stored.manifest.digest, root.digest);
  assert.deepEqual(stored.config, { bytes: memory.blobs.get(config.digest), descriptor: config });
  assert.deepEqual(stored.image.config.diffIds, [layer.digest]);
  const [first] = stored.image.layers;
  assert.ok(first !== undefined);
  assert.deepEqual(first.from, { registry: 'memory.test', repository: 'it' });
  assert.equal((await buffer(first.open(signal))).toString(), 'layer');
});

test('what readImage() read, writeImage() writes byte for byte, what is named before what names it', async () => {
  const [from, to] = [imageMemory(), imageMemory()];
  const { root, config, layer } = keepOdd(from);
  await writeImage(to.sink, await readImage(from.source(root), platform, signal), signal);
  assert.deepEqual(to.written, [`blob ${layer.digest}`, `blob ${config.digest}`, `root ${root.digest}`]);
  assert.deepEqual(to.blobs, from.blobs);
});

test('writeImage() leaves foreign layers where they are', async () => {
  const to = imageMemory();
  const made = layerOf(Buffer.from('a'));
  const away = { ...made, descriptor: { ...made.descriptor, mediaType: MediaType.ociForeignLayerGzip, urls: ['https://a.test/x'] } };
  const stored = encodeImage(imageOf(away));
  await writeImage(to.sink, stored, signal);
  assert.deepEqual(to.written, [`blob ${stored.config.descriptor.digest}`, `root ${stored.manifest.digest}`]);
});

const indexOf = (...entries: readonly Descriptor[]): string =>
  JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: entries });

test('readImage() finds the platform through nested indexes, and takes the word of an index for the type', async () => {
  const memory = imageMemory();
  const { root } = keepOdd(memory);
  const inner = memory.keep(indexOf({ ...root, platform }), MediaType.ociIndex);
  const outer = memory.keep(indexOf({ ...inner, platform }), MediaType.ociIndex);
  assert.equal((await readImage(memory.source(outer), platform, signal)).manifest.digest, root.digest);
});

test('readImage() follows indexes three deep and no deeper', async () => {
  const memory = imageMemory();
  let at = keepOdd(memory).root;
  for (let depth = 0; depth < 3; depth++) at = memory.keep(indexOf({ ...at, platform }), MediaType.ociIndex);
  await readImage(memory.source(at), platform, signal);
  at = memory.keep(indexOf({ ...at, platform }), MediaType.ociIndex);
  await assert.rejects(
    readImage(memory.source(at), platform, signal),
    /^BuilderError: Cannot use memory: its indexes are nested more than 3/,
  );
});

const keepManifest = (memory: ImageMemory, config: Descriptor, ...layers: readonly Descriptor[]): Descriptor =>
  memory.keep(JSON.stringify({ schemaVersion: 2, config, layers }), MediaType.ociManifest);

test('readImage() refuses an artifact by the type of its config', async () => {
  const memory = imageMemory();
  const empty = memory.keep('{}', 'application/vnd.oci.empty.v1+json');
  const root = keepManifest(memory, empty, empty);
  await assert.rejects(readImage(memory.source(root), platform, signal), {
    code: 'ERR_UNSUPPORTED',
    message: 'Cannot use memory as an image: its config is "application/vnd.oci.empty.v1+json"',
  });
});

test('readImage() refuses a config that does not know all layers, and one that is too large', async () => {
  const memory = imageMemory();
  const config = memory.keep('{"rootfs":{"diff_ids":[]}}', MediaType.ociConfig);
  const layer = memory.keep('layer', MediaType.ociLayer);
  await assert.rejects(readImage(memory.source(keepManifest(memory, config, layer)), platform, signal), {
    code: 'ERR_LAYER',
    message: 'Cannot use memory: its config names 0 layers, its manifest 1',
  });
  const large = keepManifest(memory, { ...config, size: configLimitBytes + 1 });
  await assert.rejects(readImage(memory.source(large), platform, signal), { code: 'ERR_LAYER' });
});

test('blobOf() opens a blob as often as it is asked to', async () => {
  const memory = imageMemory();
  const { root, layer } = keepOdd(memory);
  const blob = blobOf(memory.source(root), layer);
  for (let time = 0; time < 2; time++) assert.equal((await buffer(blob.open(signal))).toString(), 'layer');
});
