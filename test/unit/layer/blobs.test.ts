import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { decompress } from '../../../src/layer/decompress.ts';
import { verify } from '../../../src/layer/meter.ts';
import { openEntries } from '../../../src/layer/open-entries.ts';
import { openBlobStore } from '../../../src/layer/store.ts';
import { isReservedName, whiteoutOf, whiteoutPath } from '../../../src/layer/whiteout.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { Layer } from '../../../src/oci/image.ts';
import { bytes, chunks, tar } from '../../support/tar.ts';
import { temporaryFolder } from '../../support/tree.ts';

const signal = new AbortController().signal;
const text = Buffer.alloc(300_000, 'some text ');

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

function layerOf(blob: Buffer, archive: Buffer, claimed: Partial<Layer['descriptor']> = {}): Layer {
  const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: digestOf(blob), size: blob.length, ...claimed };
  return { descriptor, diffId: digestOf(archive), open: () => Readable.from(chunks(blob, 1000), { objectMode: false }) };
}

const readable: readonly (readonly [string, Buffer])[] = [
  ['plain bytes', text],
  ['gzip', gzipSync(text)],
  ['gzip of two members', Buffer.concat([gzipSync(text.subarray(0, 1000)), gzipSync(text.subarray(1000))])],
  ['gzip with zeros behind it', Buffer.concat([gzipSync(text), Buffer.alloc(1000)])],
  ['zstd', zstdCompressSync(text)],
  ['zstd of two frames', Buffer.concat([zstdCompressSync(text.subarray(0, 1000)), zstdCompressSync(text.subarray(1000))])],
  ['zstd behind a skippable frame', Buffer.concat([Buffer.from('502a4d1804000000deadbeef', 'hex'), zstdCompressSync(text)])],
];
for (const [what, input] of readable) {
  test(`decompress() reads ${what}, in chunks of any size`, async () => {
    for (const size of [3, 1000, 65536]) assert.ok((await collect(decompress(chunks(input, size), signal))).equals(text));
  });
}

test('decompress() gives nothing for nothing', async () => {
  assert.equal((await collect(decompress(chunks(Buffer.alloc(0)), signal))).length, 0);
});

const flipped = gzipSync(text);
flipped.writeUInt32LE(7, flipped.length - 8);
const damaged: readonly (readonly [string, Buffer, string])[] = [
  ['gzip that is cut off', gzipSync(text).subarray(0, 200), 'ERR_LAYER'],
  ['gzip with a wrong checksum', flipped, 'ERR_LAYER'],
  ['zstd that is cut off', zstdCompressSync(text).subarray(0, 30), 'ERR_LAYER'],
  ['bzip2', Buffer.from('BZh91AY&SY'), 'ERR_UNSUPPORTED'],
  ['xz', Buffer.from('fd377a585a0000', 'hex'), 'ERR_UNSUPPORTED'],
];
for (const [what, input, code] of damaged) {
  test(`decompress() refuses ${what}`, async () => {
    await assert.rejects(collect(decompress(chunks(input, 100), signal)), { code });
  });
}

test('decompress() passes a failure of its source on as it is', async () => {
  const failing = verify(chunks(gzipSync(text), 100), { digest: digestOf('other'), subject: 'this' });
  await assert.rejects(collect(decompress(failing, signal)), { code: 'ERR_DIGEST_MISMATCH' });
});

test('decompress() lets go of its source when the reader stops early', async () => {
  let isClosed = false;
  const source = async function* (): AsyncGenerator<Buffer> {
    try {
      for (;;) yield* chunks(gzipSync(text), 100);
    } finally {
      isClosed = true;
    }
  };
  for await (const chunk of decompress(source(), signal)) {
    assert.ok(chunk.length > 0);
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(isClosed);
});

test('verify() never ends a stream of the wrong length or digest, and stops at the first byte too many', async () => {
  const digest = digestOf('abc');
  const all = (content: string, size: number): Promise<Buffer> =>
    collect(verify(chunks(Buffer.from(content), 2), { digest, size, subject: 'x' }));
  assert.equal((await all('abc', 3)).toString(), 'abc');
  await assert.rejects(all('ab', 3), /it has 2 of 3 bytes/);
  await assert.rejects(all('abcd', 3), /more than 3 bytes/);
  await assert.rejects(all('abd', 3), /its digest is sha256:[0-9a-f]{64}, not sha256:/);
});

test('openBlobStore() keeps blobs where no name leads to them', async (context) => {
  const folder = temporaryFolder(context);
  await using store = openBlobStore(folder);
  const archive = tar([{ path: 'a', content: 'x' }]);
  const kept = await store.receive(layerOf(gzipSync(archive), archive), signal);
  assert.deepEqual(readdirSync(folder), []);
  for (let again = 0; again < 2; again++) {
    const paths: string[] = [];
    for await (const entry of openEntries(kept, signal)) paths.push(entry.path);
    assert.deepEqual(paths, ['a']);
  }
});

test('openBlobStore() gives out no layer whose bytes are not what its descriptor says', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const archive = tar([{ path: 'a' }]);
  const blob = gzipSync(archive);
  for (const wrong of [{ digest: digestOf('x') }, { size: blob.length - 1 }, { size: blob.length + 1 }]) {
    // A stream that does not verify itself, as none of ours is.
    const lying = layerOf(blob, archive, wrong);
    await assert.rejects(async () => await collect((await store.receive(lying, signal)).open(signal)), { code: 'ERR_DIGEST_MISMATCH' });
  }
});

test('openBlobStore() keeps nothing of a layer that turns out to be another at its end', async (context) => {
  const folder = temporaryFolder(context);
  await using store = openBlobStore(folder);
  const layer = layerOf(gzipSync(tar([{ path: 'a' }])), tar([{ path: 'a' }]));
  const broken = {
    ...layer,
    open: () => Readable.from(verify(layer.open(signal), { digest: digestOf('x'), subject: 'it' }), { objectMode: false }),
  };
  await assert.rejects(store.receive(broken, signal), { code: 'ERR_DIGEST_MISMATCH' });
  assert.deepEqual(readdirSync(folder), []);
});

test('openEntries() fails at the end of an archive that is not the one of the diff_id', async () => {
  const archive = tar([{ path: 'a' }]);
  const layer = { ...layerOf(gzipSync(archive), archive), diffId: digestOf('other') };
  const paths: string[] = [];
  await assert.rejects(
    async () => {
      for await (const entry of openEntries(layer, signal)) paths.push(entry.path);
    },
    { code: 'ERR_DIGEST_MISMATCH' },
  );
  assert.deepEqual(paths, ['a']);
});

test('whiteoutOf() reads what a name hides', () => {
  assert.deepEqual(whiteoutOf(bytes('a/.wh.b')), { kind: 'removes', path: 'a/b' });
  assert.deepEqual(whiteoutOf(bytes('.wh.b')), { kind: 'removes', path: 'b' });
  assert.deepEqual(whiteoutOf(bytes('a/.wh..wh..opq')), { kind: 'opaque', directory: 'a' });
  assert.deepEqual(whiteoutOf(bytes('.wh..wh..opq')), { kind: 'opaque', directory: '.' });
  assert.equal(whiteoutOf(bytes('a/x.wh.b')), undefined);
  for (const path of ['a/.wh.b/c', '.wh.b/c/d']) assert.deepEqual(whiteoutOf(bytes(path)), { kind: 'below' });
  for (const path of ['.wh.', 'a/.wh.', '.wh..', '.wh...']) assert.throws(() => whiteoutOf(bytes(path)), { code: 'ERR_LAYER' });
});

test('whiteoutPath() is what whiteoutOf() reads back', () => {
  for (const path of ['a', 'a/b', 'a/b c/\xff']) assert.deepEqual(whiteoutOf(whiteoutPath(bytes(path)))?.kind === 'removes', true);
  assert.ok(isReservedName(bytes('a/.wh.b')));
  assert.ok(!isReservedName(bytes('.wh.a/b')));
});
