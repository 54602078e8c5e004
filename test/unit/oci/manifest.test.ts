import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, parseDigest } from '../../../src/oci/digest.ts';
import {
  isManifestType,
  isSchema1Type,
  manifestLimitBytes,
  parseManifest,
  selectPlatform,
  storedManifest,
} from '../../../src/oci/manifest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';

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

const bytesOf = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

test('storedManifest() keeps the very bytes, with their digest', () => {
  const bytes = bytesOf(
    `\n  {"layers": [ ], "x.unknown": 123456789012345678901234567890,\r\n"config":${JSON.stringify(descriptor)},"schemaVersion":2 }\n`,
  );
  const stored = storedManifest(bytes, undefined);
  assert.equal(stored.bytes, bytes);
  assert.equal(stored.digest, digestOf(bytes));
  assert.equal(stored.mediaType, MediaType.ociManifest);
});

test('storedManifest() takes a digest that is known, of another algorithm too', () => {
  const digest = parseDigest(`sha512:${'b'.repeat(128)}`);
  assert.equal(storedManifest(bytesOf(manifest), undefined, digest).digest, digest);
});

const types: readonly (readonly [name: string, value: unknown, contentType: string | undefined, expected: string])[] = [
  ['what it calls itself', manifest, 'application/json', MediaType.ociManifest],
  ['what it was served as', { ...manifest, mediaType: undefined }, `${MediaType.dockerManifest}; charset=utf-8`, MediaType.dockerManifest],
  ['the type of its shape', { ...manifest, mediaType: undefined }, 'application/octet-stream', MediaType.ociManifest],
  ['the type of its shape', { schemaVersion: 2, manifests: [] }, undefined, MediaType.ociIndex],
];
for (const [name, value, contentType, expected] of types) {
  test(`storedManifest() has the type ${expected}: ${name}`, () => {
    assert.equal(storedManifest(bytesOf(value), contentType).mediaType, expected);
  });
}

test('storedManifest() refuses what parseManifest() refuses', () => {
  const schema1 = { schemaVersion: 1, name: 'a', tag: 'b', fsLayers: [], history: [], signatures: [] };
  assert.throws(() => storedManifest(bytesOf(schema1), 'application/vnd.docker.distribution.manifest.v1+prettyjws'), {
    code: 'ERR_UNSUPPORTED',
    message: /it has the old schema 1/,
  });
  // Of several, which one it is.
  assert.throws(() => storedManifest(Buffer.from('no'), undefined), {
    code: 'ERR_LAYER',
    message: `Cannot read manifest ${digestOf('no')}: Unexpected token 'o'`,
  });
  assert.throws(() => storedManifest(Buffer.alloc(manifestLimitBytes + 1, ' '), undefined), /has more than 8388608 bytes/);
});

test('isManifestType() and isSchema1Type() tell what is a manifest, and what is one no more', () => {
  const all = [MediaType.ociIndex, MediaType.ociManifest, MediaType.dockerList, MediaType.dockerManifest];
  assert.deepEqual(all.map(isManifestType), [true, true, true, true]);
  const old = ['application/vnd.docker.distribution.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v1+prettyjws'];
  assert.deepEqual(old.map(isSchema1Type), [true, true]);
  assert.deepEqual([...old.map(isManifestType), ...all.map(isSchema1Type)], [false, false, false, false, false, false]);
});

test('selectPlatform() takes an image without a platform only where it is the only one', () => {
  const entry = (letter: string): unknown => ({ ...descriptor, mediaType: MediaType.ociManifest, digest: `sha256:${letter.repeat(64)}` });
  const one = parse({ schemaVersion: 2, manifests: [entry('a')] });
  const two = parse({ schemaVersion: 2, manifests: [entry('a'), entry('b')] });
  assert.ok(one.kind === 'index' && two.kind === 'index');
  assert.equal(selectPlatform(one, { os: 'linux', architecture: 'amd64' }).digest, `sha256:${'a'.repeat(64)}`);
  assert.throws(() => selectPlatform(two, { os: 'linux', architecture: 'amd64' }), /the index has no platform, no platform$/);
});
