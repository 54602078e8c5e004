import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manifestOf, parseManifest, selectPlatform } from '../../../src/oci/manifest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { imageOf, layerOf } from '../../support/image.ts';

const hex = 'a'.repeat(64);
const descriptor = { mediaType: MediaType.ociConfig, digest: `sha256:${hex}`, size: 2 };
const manifest = { schemaVersion: 2, mediaType: MediaType.ociManifest, config: descriptor, layers: [] };
const parse = (value: unknown, type?: string): ReturnType<typeof parseManifest> => parseManifest(Buffer.from(JSON.stringify(value)), type);

test('parseManifest() reads a manifest and tells its family', () => {
  const found = parse(manifest, MediaType.ociManifest);
  assert.equal(found.kind, 'manifest');
  assert.equal(found.family, 'oci');
});

test('parseManifest() goes by shape where nobody says what it is', () => {
  assert.equal(parse({ ...manifest, mediaType: undefined }).kind, 'manifest');
  assert.equal(parse({ schemaVersion: 2, manifests: [] }, 'text/plain').kind, 'index');
});

const refused: readonly (readonly [name: string, value: unknown, type: string | undefined, message: RegExp])[] = [
  ['a type that differs from the served one', manifest, MediaType.dockerManifest, /calls itself .* but was served as/],
  ['an index that is an image too', { ...manifest, mediaType: undefined, manifests: [] }, undefined, /index and an image at once/],
  ['an index without manifests', { ...manifest, mediaType: MediaType.ociIndex }, undefined, /but has no manifests/],
  ['schema 1', { schemaVersion: 1, fsLayers: [] }, 'application/json', /schema 1/],
  ['a digest that climbs', { ...manifest, config: { ...descriptor, digest: 'sha256:../../../etc/passwd' } }, undefined, /config\.digest/],
  ['an upper-case digest', { ...manifest, config: { ...descriptor, digest: `sha256:${'A'.repeat(64)}` } }, undefined, /config\.digest/],
  ['a short digest', { ...manifest, layers: [{ ...descriptor, digest: `sha256:${hex.slice(1)}` }] }, undefined, /layers\[0\]\.digest/],
  ['a negative size', { ...manifest, layers: [{ ...descriptor, size: -1 }] }, undefined, /layers\[0\]\.size/],
  ['something else', { ...manifest, mediaType: 'application/x' }, undefined, /is not an image/],
];
for (const [name, value, type, message] of refused) {
  test(`parseManifest() refuses ${name}`, () => {
    assert.throws(() => parse(value, type), message);
  });
}

test('selectPlatform() takes the first that matches, passes attestations over, and lists what there is', () => {
  const entry = (os: string, architecture: string, letter: string, variant?: string): unknown => ({
    ...descriptor,
    mediaType: MediaType.ociManifest,
    digest: `sha256:${letter.repeat(64)}`,
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
  });
  const list = [
    entry('unknown', 'unknown', 'a'),
    entry('linux', 'amd64', 'b'),
    entry('linux', 'arm64', 'c', 'v8'),
    entry('linux', 'amd64', 'd'),
  ];
  const index = parse({ schemaVersion: 2, manifests: list });
  assert.equal(index.kind, 'index');
  const choose = (architecture: string): string => selectPlatform(index, { os: 'linux', architecture }).digest;
  assert.equal(choose('amd64'), `sha256:${'b'.repeat(64)}`);
  assert.equal(choose('arm64'), `sha256:${'c'.repeat(64)}`);
  assert.throws(() => choose('s390x'), /the index has linux\/amd64, linux\/arm64\/v8, linux\/amd64$/);
});

test('manifestOf() gives the same bytes for the same image, and its own parser reads them', () => {
  const image = imageOf(layerOf(Buffer.from('a')), layerOf(Buffer.from('b')));
  const made = manifestOf(image);
  assert.deepEqual(manifestOf(image).bytes, made.bytes);
  const read = parseManifest(made.bytes, made.mediaType);
  assert.equal(read.kind, 'manifest');
  assert.deepEqual(read.kind === 'manifest' && read.layers, made.layers);
});

test('manifestOf() puts all layers into the family of the image, and a zstd layer makes it OCI', () => {
  const docker = { ...imageOf(layerOf(Buffer.from('a'))), family: 'docker' as const };
  assert.equal(manifestOf(docker).mediaType, MediaType.dockerManifest);
  assert.deepEqual(
    manifestOf(docker).layers.map((layer) => layer.mediaType),
    [MediaType.dockerLayer],
  );
  const zstd = layerOf(Buffer.from('b'));
  const mixed = {
    ...docker,
    layers: [...docker.layers, { ...zstd, descriptor: { ...zstd.descriptor, mediaType: MediaType.ociLayerZstd } }],
  };
  assert.equal(manifestOf(mixed).mediaType, MediaType.ociManifest);
  assert.deepEqual(
    manifestOf(mixed).layers.map((layer) => layer.mediaType),
    [MediaType.ociLayer, MediaType.ociLayerZstd],
  );
  assert.equal(manifestOf(mixed).config.descriptor.mediaType, MediaType.ociConfig);
});
