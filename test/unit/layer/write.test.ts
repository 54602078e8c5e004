import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type ByteString, bytesFromBuffer } from '../../../src/bytes.ts';
import type { Entry } from '../../../src/layer/entry.ts';
import { readEntries } from '../../../src/layer/read.ts';
import { openBlobStore } from '../../../src/layer/store.ts';
import type { GrowingLayer } from '../../../src/oci/image.ts';
import { type WrittenLayer, storeCompressed, writeLayer } from '../../../src/layer/write.ts';
import { bytes, chunks } from '../../support/tar.ts';
import { temporaryFolder } from '../../support/tree.ts';

const signal = new AbortController().signal;
const plain = { mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: new Map<string, Buffer>(), size: 0 };

async function* stream(entries: readonly Entry[]): AsyncGenerator<Entry> {
  yield* entries;
}

function file(path: string, content: string | Buffer, more: Partial<Entry> = {}): Entry {
  const buffer = Buffer.from(content);
  return { ...plain, type: 'file', path: bytes(path), size: buffer.length, content: chunks(buffer, 1000), ...more };
}

async function blobOf(written: WrittenLayer): Promise<Buffer> {
  return await copied(written.layer.open(signal));
}

async function copied(lent: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of lent) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

function sha256(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

const odd: readonly Entry[] = [
  { ...plain, type: 'directory', path: bytes('d'), mode: 0o1777 },
  file('d/mode-0', 'x', { mode: 0 }),
  file('d/setuid', 'x', { mode: 0o6755, uid: 4_294_967_294, gid: 2_097_152 }),
  { ...plain, type: 'file', path: bytesFromBuffer(Buffer.from([0x64, 0x2f, 0xff, 0x0a, 0x5c])), size: 0 },
  file(`${'d/long '.repeat(40)}é`, 'y'.repeat(70_000)),
  file('d/capable', 'x', {
    xattrs: new Map([
      ['security.capability', Buffer.from([1, 0, 0, 2, 0, 0xff, 0x0a])],
      ['user.empty', Buffer.alloc(0)],
    ]),
  }),
  file('d/early', '', { mtime: { seconds: -6, nanoseconds: 500_000_000 } }),
  file('d/late', '', { mtime: { seconds: 2 ** 33, nanoseconds: 1 } }),
  { ...plain, type: 'symlink', path: bytes('d/link'), linkTarget: bytes(`/../${'t'.repeat(150)}`), mode: 0o777 },
  { ...plain, type: 'hardlink', path: bytes('d/hard'), linkTarget: bytes('d/setuid') },
  { ...plain, type: 'character', path: bytes('d/null'), device: { major: 1, minor: 3 } },
  { ...plain, type: 'fifo', path: bytes('d/fifo') },
];

for (const compression of ['none', 'gzip', 'zstd'] as const) {
  test(`storeCompressed() with ${compression} takes chunks that are only lent until the next is asked for`, async (context) => {
    await using store = openBlobStore(temporaryFolder(context));
    const content = randomBytes(4 * 1024 * 1024);
    const lend = async function* (): AsyncGenerator<Buffer> {
      const lent = Buffer.alloc(256 * 1024);
      for (let at = 0; at < content.length; at += lent.length) {
        content.copy(lent, 0, at);
        yield lent;
        lent.fill(0);
      }
    };
    const { open } = await storeCompressed(lend(), { compression, store }, signal);
    const stored = await buffer(open(signal));
    const plainAgain = { none: (bytes: Buffer) => bytes, gzip: gunzipSync, zstd: zstdDecompressSync }[compression](stored);
    assert.ok(plainAgain.equals(content));
  });
}

test('writeLayer() takes content in chunks of any size', { timeout: 20_000 }, async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const content = Buffer.alloc(5 * 1024 * 1024, 'large');
  const entries = [file('one-chunk', content, { content: chunks(content, content.length) }), file('after', 'x')];
  const written = await writeLayer(stream(entries), { compression: 'none', family: 'oci', store }, signal);
  const found: string[] = [];
  for await (const entry of readEntries(chunks(await blobOf(written), 65_536), signal)) {
    const parts: Buffer[] = [];
    for await (const part of entry.content ?? []) parts.push(Buffer.from(part));
    found.push(`${entry.path} ${sha256(Buffer.concat(parts))}`);
  }
  assert.deepEqual(found, [`one-chunk ${sha256(content)}`, `after ${sha256(Buffer.from('x'))}`]);
});

test('writeLayer() loses nothing: reading gives the entries back', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const written = await writeLayer(stream(odd), { compression: 'none', family: 'oci', store }, signal);
  const found: unknown[] = [];
  for await (const entry of readEntries(chunks(await blobOf(written), 4096), signal)) {
    const { content, ...rest } = entry;
    let length = 0;
    for await (const part of content ?? []) length += part.length;
    assert.equal(length, entry.size);
    found.push(rest);
  }
  const expected = odd.map(({ content: _content, ...rest }) => rest);
  // An empty value takes a record back (pax), so no archive can hold an empty attribute.
  const capable = expected[5];
  assert.ok(capable !== undefined);
  expected[5] = { ...capable, xattrs: new Map([...capable.xattrs].filter(([, value]) => value.length > 0)) };
  assert.deepEqual(found, expected);
});

test('writeLayer() keeps owners and device numbers of every size', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const numbers = Array.from({ length: 11 }, (_, power) => 8 ** power).flatMap((value) => [value - 1, value, value + 1]);
  const known = [...numbers, 262_144, 300_000, 500_000, 2_097_152, 4_294_967_294].filter((value) => value < 2 ** 32 - 1);
  const entries = known.map((id): Entry => {
    return {
      ...plain,
      type: 'block',
      path: bytes(`n${id}`),
      uid: id,
      gid: id,
      device: { major: Math.min(id, 4095), minor: Math.min(id, 1_048_575) },
    };
  });
  const written = await writeLayer(stream(entries), { compression: 'none', family: 'oci', store }, signal);
  const found: Entry[] = [];
  for await (const entry of readEntries(chunks(await blobOf(written)), signal)) found.push(entry);
  assert.deepEqual(found, entries);
});

test('writeLayer() writes what GNU tar lists without complaint', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const written = await writeLayer(
    stream([file('a b', 'xyz'), file(`${'d/'.repeat(80)}é`, 'y')]),
    { compression: 'gzip', family: 'oci', store },
    signal,
  );
  const listed = execFileSync('tar', ['-tzf', '-'], {
    input: await blobOf(written),
    env: { ...process.env, LC_ALL: 'C' },
    encoding: 'utf8',
  });
  assert.deepEqual(listed.trim().split('\n'), ['a b', `${'d/'.repeat(80)}\\303\\251`]);
});

for (const compression of ['none', 'gzip', 'zstd'] as const) {
  test(`writeLayer() with ${compression} gives digest, size and diff_id of what it stored`, async (context) => {
    await using store = openBlobStore(temporaryFolder(context));
    const content = Buffer.alloc(3_000_000, 'abcdefg');
    const written = await writeLayer(stream([file('a', content)]), { compression, family: 'oci', store }, signal);
    const blob = await blobOf(written);
    const archive = compression === 'gzip' ? gunzipSync(blob) : compression === 'zstd' ? zstdDecompressSync(blob) : blob;
    assert.equal(written.layer.descriptor.digest, sha256(blob));
    assert.equal(written.layer.descriptor.size, blob.length);
    assert.equal(written.layer.diffId, sha256(archive));
    assert.equal(written.uncompressedBytes, archive.length);
    assert.equal(written.entries, 1);
  });
}

test('writeLayer() gives the same bytes for the same entries, with a gzip header that says nothing of us', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const write = async (): Promise<WrittenLayer> =>
    await writeLayer(stream([file('a', 'x')]), { compression: 'gzip', family: 'docker', store }, signal);
  const [first, second] = [await write(), await write()];
  assert.equal(first.layer.descriptor.digest, second.layer.descriptor.digest);
  assert.equal((await blobOf(first)).subarray(0, 10).toString('hex'), '1f8b08000000000000ff');
});

for (const [what, content] of [
  ['shorter', 'abc'],
  ['longer', 'abcdefgh'],
] as const) {
  test(`writeLayer() refuses content that is ${what} than its entry says`, async (context) => {
    await using store = openBlobStore(temporaryFolder(context));
    const entry = file('a', content, { size: 5 });
    await assert.rejects(writeLayer(stream([entry]), { compression: 'gzip', family: 'oci', store }, signal), { code: 'ERR_LAYER' });
  });
}

test('writeLayer() refuses a name with a NUL byte, which no reader takes', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const written = writeLayer(stream([file('a\0b', 'x')]), { compression: 'gzip', family: 'oci', store }, signal);
  await assert.rejects(written, { code: 'ERR_LAYER', message: /its name holds a NUL byte$/ });
});

test('writeLayer() refuses an attribute with = in its name, which readers would take for another one', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const entry = { ...file('a', 'x'), xattrs: new Map([['user.a=b', Buffer.from('value')]]) };
  const written = writeLayer(stream([entry]), { compression: 'gzip', family: 'oci', store }, signal);
  await assert.rejects(written, { code: 'ERR_LAYER', message: /"a" .* attribute "user.a=b"$/ });
});

test('writeLayer() fails with the reason of its entries', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const broken = async function* (): AsyncGenerator<Entry> {
    yield file('a', 'x');
    throw new Error('disk on fire');
  };
  await assert.rejects(writeLayer(broken(), { compression: 'gzip', family: 'oci', store }, signal), /disk on fire/);
});

test('writeLayer() does not gather thousands of empty entries in memory', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const many = async function* (): AsyncGenerator<Entry> {
    for (let index = 0; index < 20_000; index++) yield { ...plain, type: 'directory', path: `d${index}` as ByteString };
  };
  const written = await writeLayer(many(), { compression: 'none', family: 'oci', store }, signal);
  assert.equal(written.uncompressedBytes, 20_000 * 512 + 1024);
});

test('a large layer can be read while it is written, a small one is not worth it', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const growing: GrowingLayer[] = [];
  const options = { compression: 'gzip', family: 'oci', store, onGrowing: (each: GrowingLayer) => void growing.push(each) } as const;
  await writeLayer(stream([file('small', randomBytes(1_000_000))]), options, signal);
  assert.equal(growing.length, 0);
  let followed: Promise<Buffer> | undefined;
  const entries = async function* (): AsyncGenerator<Entry> {
    yield file('large', randomBytes(12_000_000));
    followed = growing[0] === undefined ? undefined : copied(growing[0].chunks(signal));
    yield file('end', randomBytes(5_000_000));
  };
  const written = await writeLayer(entries(), options, signal);
  assert.equal(growing.length, 1);
  assert.equal(await growing[0]?.finished, written.layer);
  assert.ok(followed !== undefined);
  assert.equal(sha256(await followed), written.layer.descriptor.digest);
});

test('who reads a large layer that fails hears of it', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const reading: Promise<unknown>[] = [];
  const onGrowing = ({ chunks, finished }: GrowingLayer): void =>
    void reading.push(assert.rejects(copied(chunks(signal))), assert.rejects(finished));
  const entries = async function* (): AsyncGenerator<Entry> {
    yield file('large', randomBytes(12_000_000));
    yield file('short', 'x', { size: 2 });
  };
  await assert.rejects(writeLayer(entries(), { compression: 'gzip', family: 'oci', store, onGrowing }, signal), { code: 'ERR_LAYER' });
  assert.equal((await Promise.all(reading)).length, 2);
});
