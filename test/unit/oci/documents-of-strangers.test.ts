// What registries and layouts hand us: manifests at their bounds, JSON that other readers trip over, names with every part.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuilderError } from '../../../src/errors.ts';
import { type Json, formatJson, parseJson } from '../../../src/oci/json.ts';
import { parseManifest, selectPlatform } from '../../../src/oci/manifest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { dockerHub, formatReference, parseReference } from '../../../src/oci/reference.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const descriptor = { mediaType: MediaType.ociConfig, digest, size: 2 };
const manifest = { schemaVersion: 2, config: descriptor, layers: [descriptor] };
const parse = (value: unknown, type?: string): ReturnType<typeof parseManifest> => parseManifest(Buffer.from(JSON.stringify(value)), type);

const malformed: readonly (readonly [what: string, value: unknown, state: string])[] = [
  ['a text', 'manifest', 'it is not an object'],
  ['null', null, 'it is not an object'],
  ['no schema version', { ...manifest, schemaVersion: undefined }, 'schemaVersion is not 2'],
  ['schema version "2"', { ...manifest, schemaVersion: '2' }, 'schemaVersion is not 2'],
  ['schema version 3', { ...manifest, schemaVersion: 3 }, 'schemaVersion is not 2'],
  ['a media type that is a number', { ...manifest, mediaType: 1 }, 'mediaType is not a string'],
  ['no config', { ...manifest, config: undefined }, 'config is missing'],
  ['a config that is a list', { ...manifest, config: [descriptor] }, 'config is not an object'],
  ['no layers', { ...manifest, layers: undefined }, 'layers is not a list'],
  ['layers that are an object', { ...manifest, layers: { 0: descriptor } }, 'layers is not a list'],
  ['a layer that is a text', { ...manifest, layers: [descriptor, digest] }, 'layers[1] is not an object'],
  ['annotations that are a text', { ...manifest, annotations: 'a=b' }, 'annotations is not an object'],
  ['more layers than anybody has', { ...manifest, layers: Array.from({ length: 10_001 }, () => 0) }, 'layers has more than 10000 entries'],
  ['manifests that are an object', { schemaVersion: 2, manifests: {} }, 'manifests is not a list'],
  [
    'more manifests than anybody has',
    { schemaVersion: 2, manifests: Array.from({ length: 10_001 }, () => 0) },
    'manifests has more than 10000 entries',
  ],
  ['an index with a config', { schemaVersion: 2, manifests: [], config: descriptor }, 'it is an index and an image at once'],
  [
    'the name of an image and manifests',
    { schemaVersion: 2, mediaType: MediaType.ociManifest, manifests: [] },
    `it is called ${MediaType.ociManifest}, but has manifests`,
  ],
];
for (const [what, value, state] of malformed) {
  test(`parseManifest() refuses ${what}`, () => {
    assert.throws(() => parse(value), { code: 'ERR_LAYER', message: `Cannot read the manifest: ${state}` });
  });
}

for (const type of [
  undefined,
  'text/plain',
  'application/octet-stream',
  `${MediaType.ociManifest}; charset=utf-8`,
  ` ${MediaType.ociManifest.toUpperCase()} `,
]) {
  test(`parseManifest() takes an image served as ${JSON.stringify(type)} for one`, () => {
    const { kind, mediaType } = parse({ ...manifest, mediaType: MediaType.ociManifest }, type);
    assert.deepEqual({ kind, mediaType }, { kind: 'manifest', mediaType: MediaType.ociManifest });
  });
}

test('parseManifest() reads annotations of images, also odd names', () => {
  const found = parseManifest(Buffer.from(JSON.stringify(manifest).replace('{', '{"annotations":{"__proto__":"a","":"b"},')), undefined);
  assert.ok(found.kind === 'manifest');
  assert.deepEqual(
    [...found.annotations],
    [
      ['__proto__', 'a'],
      ['', 'b'],
    ],
  );
});

test('selectPlatform() says so where an index has nothing but attestations or none at all', () => {
  const attestation = { ...descriptor, mediaType: MediaType.ociManifest, platform: { os: 'unknown', architecture: 'unknown' } };
  for (const manifests of [[], [attestation], [{ ...descriptor, mediaType: 'text/plain' }]]) {
    const index = parse({ schemaVersion: 2, manifests });
    assert.ok(index.kind === 'index');
    assert.throws(() => selectPlatform(index, { os: 'linux', architecture: 'arm', variant: 'v7' }), {
      code: 'ERR_UNSUPPORTED',
      message: 'Cannot choose an image for linux/arm/v7: the index has no images',
    });
  }
});

const values: readonly (readonly [text: string, value: Json, written?: string])[] = [
  ['9007199254740991', 9_007_199_254_740_991],
  ['9007199254740992', 9_007_199_254_740_992n],
  ['-9007199254740993', -9_007_199_254_740_993n],
  ['18446744073709551615', 18_446_744_073_709_551_615n],
  ['-0', -0, '0'],
  ['1e3', 1000, '1000'],
  ['1.0', 1, '1'],
  ['1e400', Infinity, 'null'],
  [' [ ] ', [], '[]'],
  ['{"a":{"a":{"a":[]}}}', new Map([['a', new Map([['a', new Map([['a', []]])]])]])],
  ['{"__proto__":{"polluted":true}}', new Map([['__proto__', new Map([['polluted', true]])]])],
  [
    '[{"a":{"b":1,"c":[",","b"]}},{"a":"\\"a","b":{"a":1}}]',
    [
      new Map([
        [
          'a',
          new Map<string, Json>([
            ['b', 1],
            ['c', [',', 'b']],
          ]),
        ],
      ]),
      new Map<string, Json>([
        ['a', '"a'],
        ['b', new Map([['a', 1]])],
      ]),
    ],
  ],
  ['"\\u2028\\ud83d\\ude00\\n"', '\u2028😀\n', '"\u2028😀\\n"'],
];
for (const [text, value, written = text] of values) {
  test(`parseJson() reads ${text}, and formatJson() writes ${written}`, () => {
    const found = parseJson(text);
    assert.deepEqual(found, value);
    assert.equal(formatJson(found), written);
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
  });
}

test('formatJson() refuses what is no JSON instead of leaving it out', () => {
  const wrong: unknown = { a: 1 };
  assert.throws(() => formatJson([wrong as Json]), { code: 'ERR_INTERNAL', message: 'Cannot write JSON: unknown kind of value' });
});

// Each of these gives the same text when it is written, and the same parts when that is read.
for (const registry of [
  dockerHub,
  'localhost',
  'localhost:5000',
  'reg.test',
  'reg.test:443',
  '127.0.0.1:5000',
  '[2001:db8::1]:5000',
  'Reg.Test',
]) {
  for (const repository of ['a/b', 'a0/b--c/d__e/f.g', 'deep/'.repeat(20).slice(0, -1)]) {
    test(`formatReference() and parseReference() agree on ${registry}/${repository} with tag and digest or without`, () => {
      for (const rest of [{}, { tag: 'v1.0_X-y' }, { tag: '_' }, { tag: 'a'.repeat(128) }, { digest }, { tag: 'v1', digest }]) {
        const text = `${registry}/${repository}${'tag' in rest ? `:${rest.tag}` : ''}${'digest' in rest ? `@${rest.digest}` : ''}`;
        assert.deepEqual(parseReference(text), { registry, repository, ...rest });
        assert.equal(formatReference(parseReference(text)), text);
      }
    });
  }
}

const refused: readonly (readonly [text: string, why: string, hint?: string])[] = [
  ['docker://alpine', 'an image name has no scheme', 'leave out "docker://"'],
  [
    'oci:/images:app',
    'an image name has no transport',
    'a layout is a base by --build-context NAME=oci-layout://FOLDER, and written by --oci-layout-path FOLDER',
  ],
  ['HTTPS://reg.test/a', 'an image name has no scheme', 'leave out "HTTPS://"'],
  ['Alpine', 'a repository name must be lower case', 'write alpine'],
  ['reg.test/Team/App:v1', 'a repository name must be lower case', 'write team/app'],
  ['alpine: 3', '" 3" is not a tag', 'a name has no blanks: are there several arguments in one pair of quotes?'],
  ['reg.test/a:$TAG', '"$TAG" is not a tag', 'a variable in it was not replaced: single quotes and YAML keep "$" as it is'],
  ['reg.test/a:1,reg.test/a:2', '"a:1,reg.test/a" is not a repository name', 'this is one name: repeat the flag for several'],
  ['alpine:v1+x', '"v1+x" is not a tag', 'a tag has letters, digits, ".", "_" and "-", 128 at most'],
  ['reg.test/', '"" is not a repository name', 'a part of it is empty: a variable may be unset where this name was made'],
  ['reg.test/a:', '"" is not a tag', 'a part of it is empty: a variable may be unset where this name was made'],
  ['/app', '"/app" is not a repository name', 'a part of it is empty: a variable may be unset where this name was made'],
  ['reg.test/app/', '"app/" is not a repository name', 'a part of it is empty: a variable may be unset where this name was made'],
  ['reg.test/-app', '"-app" is not a repository name'],
  ['reg.test/a___b', '"a___b" is not a repository name'],
  ['reg.test/a..b', '"a..b" is not a repository name'],
  ['reg.test/a b', '"a b" is not a repository name'],
  ['reg.test/app\n', '"app\\n" is not a repository name'],
  ['-reg.test/app', '"-reg.test" is not a registry host'],
  ['reg_x.test/app', '"reg_x.test" is not a registry host'],
  ['reg.test:/app', '"reg.test:" is not a registry host'],
  ['reg.test:http/app', '"reg.test:http" is not a registry host'],
  ['reg.test:99999/app', '"reg.test:99999" is not a registry host'],
  ['999.1.1.1/app', '"999.1.1.1" is not a registry host'],
  ['[::1/app:5', '"[::1" is not a registry host'],
];
for (const [text, why, hint] of refused) {
  test(`parseReference() says of ${JSON.stringify(text)}: ${why}`, () => {
    const message = `Cannot use image name ${JSON.stringify(text)}: ${why}`;
    assert.throws(() => parseReference(text), { code: 'ERR_REFERENCE', message, ...(hint === undefined ? {} : { hint }) });
  });
}

for (const text of ['user:hunter2@reg.test/app', 'https://user:hunter2@reg.test/app:v1', 'hunter2@reg.test:5000/a/b'])
  test(`parseReference() refuses ${text}, and does not repeat what may be a password`, () => {
    assert.throws(
      () => parseReference(text),
      (error) =>
        error instanceof BuilderError && error.code === 'ERR_REFERENCE' && !`${error.message}${error.hint ?? ''}`.includes('hunter2'),
    );
  });
