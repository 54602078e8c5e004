import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Descriptor, formatDescriptor, isForeign, parseAnnotations, parseDescriptor } from '../../../src/oci/descriptor.ts';
import { formatJson, parseJson } from '../../../src/oci/json.ts';
import { MediaType } from '../../../src/oci/media-type.ts';

const digest = `sha256:${'a'.repeat(64)}` as const;
const least: Descriptor = { mediaType: MediaType.ociLayerGzip, digest, size: 1 };
const parse = (value: unknown): Descriptor => parseDescriptor(parseJson(JSON.stringify(value)), 'layers[3]');

const wholes: readonly (readonly [name: string, descriptor: Descriptor, json: unknown])[] = [
  ['the least', least, least],
  ['an empty blob', { ...least, size: 0 }, { ...least, size: 0 }],
  ['a sha512 digest', { ...least, digest: `sha512:${'b'.repeat(128)}` }, { ...least, digest: `sha512:${'b'.repeat(128)}` }],
  ['URLs', { ...least, urls: ['https://a.test/x'] }, { ...least, urls: ['https://a.test/x'] }],
  ['annotations', { ...least, annotations: new Map([['a', 'b']]) }, { ...least, annotations: { a: 'b' } }],
  [
    'a platform',
    { ...least, platform: { os: 'windows', architecture: 'arm', variant: 'v7', osVersion: '10.0.1' } },
    { ...least, platform: { architecture: 'arm', os: 'windows', 'os.version': '10.0.1', variant: 'v7' } },
  ],
];
for (const [name, descriptor, json] of wholes) {
  test(`parseDescriptor() reads what formatDescriptor() writes: ${name}`, () => {
    assert.deepEqual(parse(json), descriptor);
    assert.equal(formatJson(formatDescriptor(descriptor)), JSON.stringify(json));
  });
}

test('parseDescriptor() leaves out what is empty, and passes over members that it does not know', () => {
  assert.deepEqual(parse({ ...least, urls: [], annotations: {}, platform: null, data: 'e30=', x: 'x' }), least);
});

test('parseDescriptor() calls what a platform does not say unknown', () => {
  assert.deepEqual(parse({ ...least, platform: { variant: '' } }).platform, { os: 'unknown', architecture: 'unknown' });
});

test('parseAnnotations() takes every key as a key', () => {
  assert.deepEqual(parseAnnotations(parseJson('{"__proto__":"a","b":"c"}'), 'it'), new Map(Object.entries({ ['__proto__']: 'a', b: 'c' })));
  assert.equal(parseAnnotations(null, 'it'), undefined);
});

const refused: readonly (readonly [name: string, value: unknown, message: RegExp])[] = [
  ['a list', [], /layers\[3\] is not an object$/],
  ['no media type', { ...least, mediaType: undefined }, /layers\[3\]\.mediaType is not a string$/],
  ['a digest of an algorithm that nobody verifies', { ...least, digest: `md5:${'a'.repeat(32)}` }, /layers\[3\]\.digest is not a digest/],
  ['a size beyond 2^53', { ...least, size: 2 ** 60 }, /layers\[3\]\.size is not a size$/],
  ['half a byte', { ...least, size: 0.5 }, /layers\[3\]\.size is not a size$/],
  ['a platform that is a text', { ...least, platform: 'linux/amd64' }, /layers\[3\]\.platform is not an object$/],
  ['annotations that are a list', { ...least, annotations: [] }, /layers\[3\]\.annotations is not an object$/],
  ['a number among the annotations', { ...least, annotations: { a: 1 } }, /layers\[3\]\.annotations\.a is not a string$/],
];
for (const [name, value, message] of refused) {
  test(`parseDescriptor() refuses ${name}`, () => {
    assert.throws(() => parse(value), { code: 'ERR_LAYER', message });
  });
}

const foreign: readonly (readonly [mediaType: string, isIt: boolean])[] = [
  [MediaType.dockerForeignLayerGzip, true],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar', true],
  [MediaType.ociForeignLayerGzip, true],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', true],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', true],
  [MediaType.ociLayerGzip, false],
];
for (const [mediaType, isIt] of foreign) {
  test(`isForeign() says ${isIt} to ${mediaType} with URLs, and no without`, () => {
    assert.equal(isForeign({ ...least, mediaType, urls: ['https://a.test/x'] }), isIt);
    assert.equal(isForeign({ ...least, mediaType }), false);
  });
}
