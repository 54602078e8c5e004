// Layers of folders and archives: which entries they have, and that the same input gives the same bytes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { textFromBytes } from '../../../src/bytes.ts';
import type { Entry } from '../../../src/layer/entry.ts';
import { readEntries } from '../../../src/layer/read.ts';
import { openBlobStore } from '../../../src/layer/store.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { readLayerPiece } from '../../../src/pieces/layer-piece.ts';
import { type LayerChoices, type LayerOrigin, type MadeLayer, makeLayer } from '../../../src/pieces/make-layer.ts';
import { pieceOf } from '../../../src/pieces/piece.ts';
import { type TarOptions, bytes, chunks, tar } from '../../support/tar.ts';
import { type Node, temporaryFolder, tree } from '../../support/tree.ts';

const { signal } = new AbortController();
const asTheyAre: LayerChoices = { isKept: false, ownerOf: (owner) => owner, removed: [], compression: 'none', warn: assert.fail };

interface Made extends MadeLayer {
  readonly blob: Buffer;
}

async function made(context: TestContext, origin: LayerOrigin, choices: Partial<LayerChoices> = {}): Promise<Made> {
  await using store = openBlobStore(temporaryFolder(context));
  const layer = await makeLayer(origin, { ...asTheyAre, ...choices }, store, signal);
  return { ...layer, blob: await buffer(layer.layer.open(signal)) };
}

function folder(context: TestContext, nodes: Readonly<Record<string, Node>>): LayerOrigin {
  const path = temporaryFolder(context);
  tree(path, nodes);
  return { kind: 'folder', path: bytes(path) };
}

function stream(archive: Buffer): LayerOrigin {
  return { kind: 'stream', name: 'standard input', chunks: chunks(archive) };
}

async function entriesOf(archive: Buffer): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of readEntries(chunks(archive), signal)) entries.push(entry);
  return entries;
}

async function linesOf(archive: Buffer): Promise<readonly string[]> {
  return (await entriesOf(archive)).map(
    ({ type, path, linkTarget }) => `${type} ${textFromBytes(path)}${linkTarget === undefined ? '' : ` > ${textFromBytes(linkTarget)}`}`,
  );
}

test('a layer of a folder has its entries by path, hard links by their first name, and whiteouts before their siblings', async (context) => {
  const origin = folder(context, {
    'b/two': 'x',
    'a/file': 'x',
    'a/link': { link: 'file' },
    'a/+': '',
    'a/.wh.gone': '',
    'c/.wh..wh..opq': '',
    'c/new': '',
    z: { hardlink: 'b/two' },
  });
  const { blob, entries } = await made(context, origin, { removed: [bytes('usr/share/doc'), bytes('a/also')] });
  assert.deepEqual(await linesOf(blob), [
    'directory a',
    'file a/.wh.also',
    'file a/.wh.gone',
    'file a/+',
    'file a/file',
    'symlink a/link > file',
    'directory b',
    'file b/two',
    'directory c',
    'file c/.wh..wh..opq',
    'file c/new',
    'file usr/share/.wh.doc',
    'hardlink z > b/two',
  ]);
  assert.equal(entries, 13);
});

test('a name that begins with .wh. is no folder', async (context) => {
  await assert.rejects(
    made(context, folder(context, { 'a/.wh.x/y': '' })),
    /Cannot make a layer with the folder \/a\/\.wh\.x: names that begin with \.wh\. mark deletions/,
  );
});

test('owners and times are what is chosen, but for whiteouts, and are told', async (context) => {
  const origin = folder(context, { a: 'x', '.wh.b': '' });
  const { blob, owners } = await made(context, origin, { ownerOf: () => ({ uid: 7, gid: 8 }), time: 1234 });
  const seen = (await entriesOf(blob)).map(({ path, uid, gid, mtime }) => [textFromBytes(path), uid, gid, mtime]);
  assert.deepEqual(seen, [
    ['.wh.b', 0, 0, { seconds: 0, nanoseconds: 0 }],
    ['a', 7, 8, { seconds: 1234, nanoseconds: 0 }],
  ]);
  assert.deepEqual(owners, ['7:8']);
});

test('an owner that nobody is in the image is named, with the file', async (context) => {
  await assert.rejects(
    made(context, folder(context, { a: 'x' }), { ownerOf: () => undefined }),
    /Cannot put "a" into a layer: \d+:\d+ is not among your ids/,
  );
});

test('later times become SOURCE_DATE_EPOCH, earlier ones stay', async (context) => {
  const path = temporaryFolder(context);
  for (const [name, time] of [
    ['early', 100],
    ['late', 5000],
  ] as const) {
    writeFileSync(join(path, name), '');
    utimesSync(join(path, name), time, time);
  }
  const { blob } = await made(context, { kind: 'folder', path: bytes(path) }, { latestTime: 1000 });
  assert.deepEqual(
    (await entriesOf(blob)).map(({ mtime }) => mtime.seconds),
    [100, 1000],
  );
});

test('a socket is left out, and told', async (context) => {
  const path = temporaryFolder(context);
  writeFileSync(join(path, 'file'), '');
  const server = createServer().listen(join(path, 'talk'));
  context.after(() => server.close());
  await once(server, 'listening');
  const told: string[] = [];
  const { blob } = await made(context, { kind: 'folder', path: bytes(path) }, { warn: (message) => told.push(message) });
  assert.deepEqual(await linesOf(blob), ['file file']);
  assert.deepEqual(told, ['/talk is a socket, which no layer can hold: left out']);
});

test('equal folders, made in another order, give equal bytes in each form of compression', async (context) => {
  const names = ['c', 'a', 'd', 'b'];
  const digests = async (order: readonly string[], compression: 'gzip' | 'zstd' | 'none'): Promise<readonly string[]> => {
    const path = temporaryFolder(context);
    for (const name of order) {
      mkdirSync(join(path, name));
      writeFileSync(join(path, name, 'file'), name.repeat(100_000));
    }
    const { layer } = await made(context, { kind: 'folder', path: bytes(path) }, { compression, time: 0 });
    return [layer.descriptor.digest, layer.diffId];
  };
  const plain = new Set<string | undefined>();
  for (const compression of ['gzip', 'zstd', 'none'] as const) {
    const first = await digests(names, compression);
    assert.deepEqual(await digests(names.toReversed(), compression), first);
    plain.add(first[1]);
  }
  assert.equal(plain.size, 1, 'the diff_id is that of the archive');
});

const archive: readonly TarOptions[] = [
  { path: './', type: '5', mode: 0o755 },
  { path: './file', content: 'x', uid: 1000, gid: 33, mtime: 77 },
  { path: 'link', type: '1', link: './file' },
];

test('an archive is written anew: names are clean, what it is compressed with does not matter', async (context) => {
  const plain = tar(archive);
  const results = await Promise.all(
    [plain, gzipSync(plain), zstdCompressSync(plain)].map(async (given) => await made(context, stream(given))),
  );
  assert.equal(new Set(results.map(({ layer }) => layer.descriptor.digest)).size, 1);
  assert.deepEqual(await linesOf(results[0]?.blob ?? Buffer.alloc(0)), ['directory .', 'file file', 'hardlink link > file']);
  assert.deepEqual(results[0]?.owners, ['0:0', '1000:33']);
});

test('an archive that is kept has its very bytes, in a file as in a stream, and their own compression', async (context) => {
  for (const [given, mediaType] of [
    [tar(archive), MediaType.ociLayer],
    [gzipSync(tar(archive), { level: 1 }), MediaType.ociLayerGzip],
    [zstdCompressSync(tar(archive)), MediaType.ociLayerZstd],
  ] as const) {
    const file = join(temporaryFolder(context), 'layer');
    writeFileSync(file, given);
    for (const origin of [stream(given), { kind: 'file', path: file } as const]) {
      await using store = openBlobStore(temporaryFolder(context));
      const { compression: _none, ...choices } = asTheyAre;
      const { layer, entries, plainBytes } = await makeLayer(origin, { ...choices, isKept: true }, store, signal);
      assert.deepEqual(layer.descriptor, { mediaType, digest: digestOf(given), size: given.length });
      assert.equal(layer.diffId, digestOf(tar(archive)));
      assert.deepEqual([entries, plainBytes], [3, tar(archive).length]);
    }
  }
});

test('an archive that is kept may be compressed otherwise; its diff_id stays', async (context) => {
  const { blob, layer } = await made(context, stream(zstdCompressSync(tar(archive))), { isKept: true, compression: 'gzip' });
  assert.ok(gunzipSync(blob).equals(tar(archive)));
  assert.equal(layer.diffId, digestOf(tar(archive)));
});

test('what is no archive, is damaged, or has a path twice makes no layer', async (context) => {
  const cases: readonly (readonly [Buffer, Partial<LayerChoices>, RegExp])[] = [
    [Buffer.from('{"no": "archive"}'.repeat(100)), {}, /Cannot make a layer of standard input: /],
    [Buffer.from('{"no": "archive"}'.repeat(100)), { isKept: true }, /Cannot use standard input as a layer: /],
    [tar(archive).subarray(0, 1030), {}, /Cannot make a layer of standard input: .*it ends too early/],
    [gzipSync(tar(archive)).subarray(0, 40), { isKept: true }, /Cannot use standard input as a layer: /],
    [tar([{ path: '../out' }]), {}, /Cannot make a layer of standard input: "\.\.\/out" leads out of it/],
    [tar([{ path: 'a', type: '1', link: 'b/../../out' }]), {}, /"b\/\.\.\/\.\.\/out" leads out of it/],
    [tar([...archive, { path: 'file' }]), {}, /Cannot make a layer of standard input: it has "file" twice/],
    [Buffer.concat([Buffer.from('\xfd7zXZ\0', 'latin1'), Buffer.alloc(600)]), { isKept: true }, /as a layer: no engine reads xz/],
  ];
  for (const [given, choices, message] of cases)
    await assert.rejects(
      made(context, stream(given), choices),
      (error: Error) => message.test(error.message) || assert.fail(error.message),
    );
});

test('a piece is a file or a digest in a place, and its bytes are what they were', async (context) => {
  const path = join(temporaryFolder(context), 'layer.tar');
  writeFileSync(path, tar(archive));
  const piece = await pieceOf(path, [], signal);
  assert.equal((await readLayerPiece(piece, signal)).layer.diffId, piece.digest);
  writeFileSync(path, tar([]));
  await assert.rejects(readLayerPiece(piece, signal), { code: 'ERR_DIGEST_MISMATCH' });
  await assert.rejects(pieceOf(`${path}.gone`, [], signal), /Cannot read .*: there is no such file/);
  await assert.rejects(pieceOf(digestOf('x'), [], signal), /Cannot find piece sha256:.*: it is in no place that is named/);
  await assert.rejects(pieceOf('sha256:abc', [], signal), /Cannot use digest "sha256:abc"/);
  await assert.rejects(pieceOf('/dev/zero', [], signal), /it is not a regular file/);
});
