// Manifests and configs as strangers put them into registries: each is refused in one line before any of its blobs is asked for, or taken
// for what it is.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { BuilderError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { answer } from '../../support/fake-registry.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { platform, someBytes } from '../../support/image.ts';

const { signal } = new AbortController();
const at = freshRegistry();
const content = someBytes(100);
const layer = { mediaType: MediaType.ociLayer, digest: digestOf(content), size: content.length };
const goodConfig = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [layer.digest] } };

function keep(bytes: Buffer, mediaType: string): { readonly mediaType: string; readonly digest: string; readonly size: number } {
  const digest = digestOf(bytes);
  at.registry.blobs.set(digest, bytes);
  at.registry.links.add(`app/image@${digest}`);
  return { mediaType, digest, size: bytes.length };
}
const bytesOf = (value: unknown): Buffer =>
  Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
function putManifest(value: unknown, type: string = MediaType.ociManifest, name = ':v1'): string {
  const bytes = bytesOf(value);
  at.registry.manifests.set(`app/image${name}`, { type, bytes });
  at.registry.manifests.set(`app/image@${digestOf(bytes)}`, { type, bytes });
  return digestOf(bytes);
}
/** A manifest of one layer; what `change` names is other than it should be. */
function manifestOf(change: object = {}, config: unknown = goodConfig): object {
  keep(content, layer.mediaType);
  return {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: keep(bytesOf(config), MediaType.ociConfig),
    layers: [layer],
    ...change,
  };
}
const pull = async (): ReturnType<typeof at.client.pullImage> => await at.client.pullImage(at.named('app/image:v1'), platform, signal);
async function refused(says: RegExp, blobs = 0): Promise<void> {
  await assert.rejects(pull(), (error) => {
    assert.ok(error instanceof BuilderError && error.code !== 'ERR_INTERNAL', String(error));
    assert.match(error.message, /^Cannot [^\n]{10,600}$/);
    assert.match(error.message, says);
    return true;
  });
  assert.equal(at.count('GET', /blobs/), blobs);
  assert.deepEqual(at.client.waits, []);
}

const texts: readonly (readonly [what: string, spoil: (text: string) => string | Buffer, manifest: RegExp, config: RegExp])[] = [
  ['cut off', (text) => text.slice(0, -1), /no JSON/, /JSON/],
  ['with a byte order mark', (text) => `\uFEFF${text}`, /no JSON/, /JSON/],
  ['in UTF-16', (text) => Buffer.from(text, 'utf16le'), /no JSON/, /JSON/],
  ['with something behind it', (text) => `${text}{}`, /no JSON/, /JSON/],
  [
    'with a key twice',
    (text) => text.replace('{', '{"os":"linux","layers":[],"os":"linux","layers":[],'),
    /no JSON|twice/,
    /a key comes twice/,
  ],
  ['nested 100,000 deep', (text) => text.replace('{', `{"x":${'['.repeat(100_000)}${']'.repeat(100_000)},`), /no JSON|deep/, /deep|JSON/],
  ['of a million objects', (text) => text.replace('{', `{"x":[${'{},'.repeat(1_000_000)}1],`), /no JSON/, /more than 300000 members/],
  ['of more than 8 MiB', (text) => text.padEnd(8 * 1024 * 1024 + 1), /more than 8388608 bytes/, /more than 8388608 bytes/],
  ['with NaN', (text) => text.replace('{', '{"x":NaN,'), /no JSON/, /JSON/],
];
for (const [what, spoil, manifest, config] of texts)
  test(`a manifest, an index and a config ${what} are refused`, async () => {
    putManifest(spoil(JSON.stringify(manifestOf())));
    await refused(manifest);
    putManifest(spoil(JSON.stringify({ schemaVersion: 2, manifests: [] })), MediaType.ociIndex);
    await refused(manifest);
    putManifest(manifestOf({}, spoil(JSON.stringify(goodConfig))));
    await refused(config, what.startsWith('of more') ? 0 : 1);
  });

const d = (digits: string): object => ({ ...layer, digest: digits });
const shapes: readonly (readonly [what: string, change: object, says: RegExp])[] = [
  ['layers: null', { layers: null }, /layers is not a list/],
  ['layers: {}', { layers: {} }, /layers is not a list/],
  ['layers: "x"', { layers: 'x' }, /layers is not a list/],
  ['no config', { config: undefined }, /config is missing/],
  ...['-1', '1.5', '9007199254740993', '1e400', '"10"'].map(
    (size) =>
      [`a size of ${size}`, { layers: [{ ...layer, size: JSON.parse(size) as unknown }] }, /layers\[0\]\.size is not a size/] as const,
  ),
  ...[
    `sha256:${'a'.repeat(63)}`,
    `sha256:${'A'.repeat(64)}`,
    'sha256:../../etc/passwd',
    `md5:${'a'.repeat(32)}`,
    `blake3:${'a'.repeat(64)}`,
    `sha256:${'a'.repeat(64)}\n`,
  ].map((text) => [`the digest ${JSON.stringify(text)}`, { layers: [d(text)] }, /layers\[0\]\.digest is not a digest/] as const),
  ['manifests and layers', { manifests: [], mediaType: undefined }, /an index and an image at once/],
  ['another type than it is served as', { mediaType: MediaType.dockerManifest }, /calls itself .*docker.* but was served as/],
  ['schema version 3', { schemaVersion: 3 }, /schemaVersion is not 2/],
  ['a chart for a config', { config: { ...layer, mediaType: 'application/vnd.cncf.helm.config.v1+json' } }, /vnd\.cncf\.helm\.config/],
  [
    'layers that are encrypted',
    { layers: [{ ...layer, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted' }] },
    /layers\[0\].*tar\+gzip\+encrypted/,
  ],
];
for (const [what, change, says] of shapes)
  test(`a manifest with ${what} is refused, and nothing else asked for`, async () => {
    // What JSON.stringify() can't write.
    putManifest(JSON.stringify(manifestOf(change)).replace('9007199254740992', '9007199254740993').replace('"size":null', '"size":1e400'));
    await refused(says);
  });

test('a digest of sha512 is as good as one of sha256', async () => {
  const digest = `sha512:${createHash('sha512').update(content).digest('hex')}`;
  putManifest(manifestOf({ layers: [{ ...layer, digest }] }));
  at.registry.blobs.set(digest, content);
  at.registry.links.add(`app/image@${digest}`);
  assert.deepEqual(await buffer((await pull()).image.layers[0]?.open(signal) ?? assert.fail()), content);
});

const configs: readonly (readonly [what: string, change: object, says: RegExp])[] = [
  ['no diff_ids', { rootfs: { type: 'layers' } }, /its config names 0 layers, its manifest 1$/],
  ['no rootfs', { rootfs: undefined }, /its config names 0 layers, its manifest 1$/],
  ['a diff_id too many', { rootfs: { diff_ids: [layer.digest, layer.digest] } }, /its config names 2 layers, its manifest 1$/],
  ['diff_ids that are no digests', { rootfs: { diff_ids: ['sha256:x'] } }, /diff_ids/],
];
for (const [what, change, says] of configs)
  test(`a config with ${what} is refused, with both counts`, async () => {
    putManifest(manifestOf({}, { ...goodConfig, ...change }));
    await refused(says, 1);
  });

test('a history of more layers than there are is a warning', async () => {
  putManifest(
    manifestOf({}, { ...goodConfig, history: [{ created_by: 'a' }, { created_by: 'b' }, { created_by: 'c', empty_layer: true }] }),
  );
  assert.equal((await pull()).image.layers.length, 1);
  assert.match(at.client.lines().join('\n'), /app\/image:v1 has 1 layer, and a history of 2$/);
});

test('the old signed manifest is refused with what to do', async () => {
  putManifest({ schemaVersion: 1, fsLayers: [], signatures: [] }, 'application/vnd.docker.distribution.manifest.v1+prettyjws');
  await refused(/old schema 1/);
});

const entry = (change: object = {}): object => ({
  mediaType: MediaType.ociManifest,
  digest: putManifest(manifestOf(), undefined, ':x'),
  size: 1,
  platform,
  ...change,
});
const indexes: readonly (readonly [what: string, make: () => readonly object[], says: RegExp | undefined])[] = [
  ['100,000 entries', () => Array.from({ length: 100_000 }, () => 0 as unknown as object), /manifests has more than 10000 entries/],
  ['no platform in it twice', () => [entry({ platform: undefined }), entry({ platform: undefined })], /has no platform, no platform$/],
  ['nothing but attestations', () => [entry({ platform: { os: 'unknown', architecture: 'unknown' } })], /the index has no images$/],
  ['other platforms', () => [entry({ platform: { os: 'linux', architecture: 's390x' } })], /the index has linux\/s390x$/],
  ['the same platform twice', () => [entry(), { ...entry(), digest: `sha256:${'b'.repeat(64)}` }], undefined],
  [
    'an image that it calls an index',
    () => [entry({ mediaType: MediaType.ociIndex })],
    /calls itself .*manifest.* but was served as .*index|is called .*index.*, but has no manifests/,
  ],
  [
    'an image that is not there',
    () => [entry({ digest: `sha256:${'c'.repeat(64)}` })],
    /names sha256:c{64}, which the registry does not have$/,
  ],
];
for (const [what, make, says] of indexes)
  test(`an index with ${what} ${says === undefined ? 'gives the first of them' : 'is refused, with what there is'}`, async () => {
    putManifest({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: make() }, MediaType.ociIndex);
    if (says === undefined) assert.equal((await pull()).image.layers.length, 1);
    else await refused(says);
  });

test('an index that names itself, or fifty others, one in the other, is followed three deep', async () => {
  let digest = putManifest(manifestOf(), undefined, ':x');
  for (let depth = 0; depth < 50; depth++) {
    const mediaType = depth === 0 ? MediaType.ociManifest : MediaType.ociIndex;
    digest = putManifest({ schemaVersion: 2, manifests: [{ mediaType, digest, size: 1, platform }] }, MediaType.ociIndex);
  }
  await refused(/nested more than 3 deep$/);
  assert.equal(at.count('GET', /manifests/), 5);
  // One that names itself can only be had from a registry that lies, and digests give it away.
  const self = { schemaVersion: 2, manifests: [{ mediaType: MediaType.ociIndex, digest, size: 1, platform }] };
  putManifest(self, MediaType.ociIndex);
  at.registry.manifests.set(`app/image@${digest}`, { type: MediaType.ociIndex, bytes: bytesOf(self) });
  await refused(/Cannot use manifest sha256:\w+ of .*: the registry sent sha256:/);
});

test('the data that a descriptor brings along is not looked at', async () => {
  const data = Buffer.from('something else').toString('base64');
  putManifest(manifestOf({ layers: [{ ...layer, data }] }));
  assert.deepEqual(await buffer((await pull()).image.layers[0]?.open(signal) ?? assert.fail()), content);
});

const answers: readonly (readonly [what: string, body: string | Buffer, headers: Record<string, string>, says: RegExp])[] = [
  ['a login page', '<!doctype html><title>Log in</title>', { 'content-type': 'text/html' }, /an HTML page came from/],
  ['nothing', '', {}, /sent nothing$/],
  ['a list', '[]', { 'content-type': 'application/json' }, /it is not an object/],
  ['invalid UTF-8', Buffer.from([0xff, 0xfe, 0x7b]), {}, /no JSON/],
  ['an encoding that nobody asked for', 'x', { 'content-encoding': 'gzip' }, /content encoding gzip/],
  ['a type with escapes in it', 'x', { 'content-type': 'text/\u009b31mplain' }, /^[^\p{Cc}]+no JSON[^\p{Cc}]+$/u],
];
for (const [what, body, headers, says] of answers)
  test(`${what} in place of a manifest is told as what it is`, async () => {
    at.registry.inject({ method: 'GET', path: /manifests/, act: (_request, response) => void response.writeHead(200, headers).end(body) });
    await refused(says);
  });

test('an error of ten gigabytes is read no further than 64 KiB, and one with escapes or texts for lists is shown as text', async () => {
  let sent = 0;
  at.registry.inject({
    method: 'GET',
    path: /manifests/,
    act: (_request, response) => {
      response.writeHead(403);
      const more = (): void => {
        while (!response.destroyed && sent < 10e9 && response.write(Buffer.alloc(65_536, 'x'))) sent += 65_536;
      };
      response.on('drain', more);
      more();
    },
  });
  await refused(/answered 403$/);
  assert.ok(sent < 50e6, `${sent} bytes`);
  at.registry.inject({ method: 'GET', path: /manifests/, act: answer(403, 'DENIED\u001b[2J', {}, 'no\u0007\u001b]0;x\u0007\nway') });
  await refused(/answered 403 DENIED \[2J: no \]0;x way$/);
  for (const errors of ['nothing', ['x', 1, null], { code: 'A' }])
    at.registry.inject({
      method: 'GET',
      path: /manifests/,
      act: (_request, response) =>
        void response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify({ errors, details: 'x' })),
    });
  for (let round = 0; round < 3; round++) await refused(/answered 403$/);
});
