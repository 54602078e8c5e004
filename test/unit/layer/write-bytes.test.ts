// Archives byte by byte: what stands in headers and extended records, where blocks end, and what is said of wrong content.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ByteString, bytesFromBuffer } from '../../../src/bytes.ts';
import type { Entry } from '../../../src/layer/entry.ts';
import { type BlobStore, openBlobStore } from '../../../src/layer/store.ts';
import { hasIsal } from '../../../src/linux/isal.ts';
import { storeCompressed, writeArchive, writeLayer } from '../../../src/layer/write.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { bytes, chunks } from '../../support/tar.ts';
import { temporaryFolder } from '../../support/tree.ts';

const signal = new AbortController().signal;
const plain = { mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: new Map<string, Buffer>(), size: 0 };

async function* stream(entries: readonly Entry[]): AsyncGenerator<Entry> {
  yield* entries;
}

function file(path: ByteString, content: string, more: Partial<Entry> = {}): Entry {
  return { ...plain, type: 'file', path, size: content.length, content: chunks(Buffer.from(content), 7), ...more };
}

async function archive(...entries: readonly Entry[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeArchive(stream(entries)), (block) => Buffer.from(block)));
}

/** What stands in the blocks of an archive of one entry: records, then the header's path, link, ids, and time. */
async function shape(entry: Entry): Promise<readonly string[]> {
  const whole = await archive(entry);
  const text = (block: number, start: number, length: number): string =>
    whole.toString('latin1', block * 512 + start, block * 512 + start + length).replace(/\0[^]*$/, '');
  const hasRecords = text(0, 156, 1) === 'x';
  const size = hasRecords ? Number.parseInt(text(0, 124, 12), 8) : 0;
  const at = hasRecords ? 1 + Math.ceil(size / 512) : 0;
  const records = hasRecords ? whole.toString('latin1', 512, 512 + size) : '';
  if (hasRecords) {
    assert.equal(text(0, 0, 100), 'PaxHeader');
    assert.equal(text(0, 100, 8), '000644 ');
    assert.deepEqual(whole.subarray(512 + size, at * 512), Buffer.alloc(at * 512 - 512 - size), 'the records are padded with zeros');
  }
  return [records, text(at, 345, 155), text(at, 0, 100), text(at, 157, 100), text(at, 108, 8), text(at, 116, 8), text(at, 136, 12)];
}

const long = (count: number): string => 'abcdefghi/'.repeat(Math.ceil(count / 10)).slice(0, count);
const time0 = '00000000000 ';
const id0 = '000000 ';
const rows: readonly (readonly [what: string, entry: Entry, shape: readonly string[]])[] = [
  [
    'a file',
    file(bytes('a'), 'x', { uid: 1, gid: 2, mtime: { seconds: 8, nanoseconds: 0 } }),
    ['', '', 'a', '', '000001 ', '000002 ', '00000000010 '],
  ],
  ['a directory, with a slash', { ...plain, type: 'directory', path: bytes('d') }, ['', '', 'd/', '', id0, id0, time0]],
  ['the root', { ...plain, type: 'directory', path: bytes('.') }, ['', '', './', '', id0, id0, time0]],
  ['a symlink', { ...plain, type: 'symlink', path: bytes('l'), linkTarget: bytes('/to') }, ['', '', 'l', '/to', id0, id0, time0]],
  ['a path of 100 bytes', file(bytes(long(100).replace(/.$/, 'z')), ''), ['', '', long(100).replace(/.$/, 'z'), '', id0, id0, time0]],
  [
    'a path of 135 bytes, in two parts',
    file(bytes(long(135)), ''),
    ['', 'abcdefghi/abcdefghi/abcdefghi/abcdefghi', long(95), '', id0, id0, time0],
  ],
  ['a name of 101 bytes', file(bytes('n'.repeat(101)), ''), [`111 path=${'n'.repeat(101)}\n`, '', 'n'.repeat(100), '', id0, id0, time0]],
  ['a name beyond ASCII', file(bytes('é'), ''), ['11 path=\xc3\xa9\n', '', '__', '', id0, id0, time0]],
  ['a name that is not UTF-8', file(bytesFromBuffer(Buffer.from([0xff, 0x20])), ''), ['11 path=\xff \n', '', '__', '', id0, id0, time0]],
  [
    'a long name whose end begins with a slash',
    file(bytes(`é${'n'.repeat(50)}/${'m'.repeat(99)}`), ''),
    [`162 path=\xc3\xa9${'n'.repeat(50)}/${'m'.repeat(99)}\n`, '', 'm'.repeat(99), '', id0, id0, time0],
  ],
  [
    'a link target of 101 bytes, which can not be cut',
    { ...plain, type: 'symlink', path: bytes('l'), linkTarget: bytes(`${'t'.repeat(50)}/${'u'.repeat(50)}`) },
    [`115 linkpath=${'t'.repeat(50)}/${'u'.repeat(50)}\n`, '', 'l', `${'t'.repeat(49)}/${'u'.repeat(50)}`, id0, id0, time0],
  ],
  [
    'a link target beyond ASCII',
    { ...plain, type: 'hardlink', path: bytes('l'), linkTarget: bytes('ü') },
    ['15 linkpath=\xc3\xbc\n', '', 'l', '__', id0, id0, time0],
  ],
  [
    'the largest ids of a header',
    file(bytes('a'), '', { uid: 0o7777777, gid: 0o7777777 }),
    ['', '', 'a', '', '7777777', '7777777', '00000000000'],
  ],
  ['a larger owner', file(bytes('a'), '', { uid: 0o10000000 }), ['15 uid=2097152\n', '', 'a', '', id0, id0, time0]],
  ['a larger group', file(bytes('a'), '', { gid: 4_294_967_294 }), ['18 gid=4294967294\n', '', 'a', '', id0, id0, time0]],
  [
    'nanoseconds',
    file(bytes('a'), '', { mtime: { seconds: 8, nanoseconds: 500_000_000 } }),
    ['13 mtime=8.5\n', '', 'a', '', id0, id0, '00000000010 '],
  ],
  [
    'the second before 1970',
    file(bytes('a'), '', { mtime: { seconds: -1, nanoseconds: 0 } }),
    ['12 mtime=-1\n', '', 'a', '', id0, id0, time0],
  ],
  [
    'the last second of a header',
    file(bytes('a'), '', { mtime: { seconds: 8 ** 11 - 1, nanoseconds: 0 } }),
    ['', '', 'a', '', '0000000', '0000000', '77777777777'],
  ],
  [
    'the second after',
    file(bytes('a'), '', { mtime: { seconds: 8 ** 11, nanoseconds: 0 } }),
    ['20 mtime=8589934592\n', '', 'a', '', id0, id0, time0],
  ],
  [
    'attributes, by name',
    file(bytes('a'), '', {
      xattrs: new Map([
        ['user.b', Buffer.from([0, 0xff])],
        ['user.a', Buffer.from('1')],
      ]),
    }),
    ['25 SCHILY.xattr.user.a=1\n26 SCHILY.xattr.user.b=\0\xff\n', '', 'a', '', id0, id0, time0],
  ],
];
for (const [what, entry, expected] of rows) {
  test(`writeArchive() writes ${what}`, async () => assert.deepEqual(await shape(entry), expected));
}

test('writeArchive() says of what is no file that it has no content', async () => {
  for (const type of ['directory', 'symlink', 'hardlink', 'character', 'block', 'fifo'] as const) {
    const whole = await archive({ ...plain, type, path: bytes('a'), size: 7, linkTarget: bytes('b') });
    assert.equal(whole.toString('latin1', 124, 136), '00000000000 ', type);
    assert.equal(whole.length, 512 + 1024, type);
  }
});

test('writeArchive() pads content with zeros and ends with two blocks of them', async () => {
  // Memory that others have used lies behind the content.
  for (let at = 0; at < 50; at++) Buffer.allocUnsafe(128 * 1024).fill(0xaa);
  const whole = await archive(file(bytes('a'), 'xyz'), file(bytes('b'), 'y'.repeat(512)), file(bytes('c'), ''));
  assert.equal(whole.length, 512 + 512 + 512 + 512 + 512 + 1024);
  assert.equal(whole.toString('latin1', 512, 1024), `xyz${'\0'.repeat(509)}`);
  assert.equal(whole.toString('latin1', 1536, 2048), 'y'.repeat(512));
  assert.deepEqual(whole.subarray(2560), Buffer.alloc(1024));
});

for (const [what, size, lengths] of [
  ['less than a block', 1000, [2560]],
  ['exactly a block', 524_288 - 1536, [524_288]],
  ['a block and a bit', 524_288 - 1535, [524_288, 512]],
  ['two blocks', 2 * 524_288 - 1536, [524_288, 524_288]],
] as const) {
  test(`writeArchive() gives blocks of 512 KiB, of ${what}`, async () => {
    const entry = file(bytes('a'), '', { size, content: chunks(Buffer.alloc(size), 100_000) });
    assert.deepEqual(
      (await Array.fromAsync(writeArchive(stream([entry])))).map(({ length }) => length),
      lengths,
    );
  });
}

test('writeArchive() of nothing is the end of an archive', async () => assert.deepEqual(await archive(), Buffer.alloc(1024)));

for (const [content, state] of [
  ['abc', 'it has 2 bytes less than 5'],
  ['', 'it has 5 bytes less than 5'],
  ['abcdef', 'it has more than 5 bytes'],
] as const) {
  test(`writeArchive() refuses ${content.length} bytes for 5, and closes what it read from`, async () => {
    let closed = 0;
    const watched = async function* (): AsyncGenerator<Buffer> {
      try {
        for (const letter of content) yield Buffer.from(letter);
      } finally {
        closed++;
      }
    };
    const entry = file(bytes('dir/é'), '', { size: 5, content: watched() });
    await assert.rejects(archive(entry), { code: 'ERR_LAYER', message: `Cannot write "dir/é" to a layer: ${state}` });
    assert.equal(closed, 1);
  });
}

test('writeArchive() refuses a file without content that should have some', async () => {
  await assert.rejects(archive({ ...plain, type: 'file', path: bytes('a'), size: 1 }), /it has 1 bytes less than 1$/);
});

test('writeLayer() names the layer by family and compression, and counts its entries', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const mediaTypes: string[] = [];
  for (const family of ['oci', 'docker'] as const) {
    for (const compression of ['none', 'gzip', 'zstd'] as const) {
      const written = await writeLayer(stream([file(bytes('a'), 'x'), file(bytes('b'), 'y')]), { compression, family, store }, signal);
      assert.deepEqual([written.entries, written.uncompressedBytes], [2, 4 * 512 + 1024]);
      mediaTypes.push(written.layer.descriptor.mediaType);
    }
  }
  const { ociLayer, ociLayerGzip, ociLayerZstd, dockerLayer, dockerLayerGzip } = MediaType;
  assert.deepEqual(mediaTypes, [ociLayer, ociLayerGzip, ociLayerZstd, dockerLayer, dockerLayerGzip, ociLayerZstd]);
});

test('writeLayer() compresses by ISA-L, else by gzip 4, and by zstd 3, unless a level is given', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const text = Array.from({ length: 30_000 }, (_, at) => `${(at * 7919) % 10_007} ${at % 13}`).join('\n');
  const digestAt = async (compression: 'gzip' | 'zstd', level?: number): Promise<string> => {
    const options = { compression, family: 'oci', store, ...(level === undefined ? {} : { level }) } as const;
    return (await writeLayer(stream([file(bytes('a'), text, { content: chunks(Buffer.from(text)) })]), options, signal)).layer.descriptor
      .digest;
  };
  for (const [compression, usual, others] of [
    ['gzip', hasIsal() ? undefined : 4, hasIsal() ? [0, 1, 3, 4, 5, 9] : [0, 1, 3, 5, 9]],
    ['zstd', 3, [1, 2, 5, 19]],
  ] as const) {
    const byDefault = await digestAt(compression);
    assert.equal(byDefault, await digestAt(compression, usual));
    for (const level of others) assert.notEqual(byDefault, await digestAt(compression, level), `${compression} ${level}`);
  }
});

test('writeLayer() gives the space back when it fails', async (context) => {
  await using real = openBlobStore(temporaryFolder(context));
  let discarded = 0;
  const store: BlobStore = {
    ...real,
    create: async () => {
      const writer = await real.create();
      return {
        ...writer,
        discard: async () => {
          discarded++;
          await writer.discard();
        },
      };
    },
  };
  for (const compression of ['none', 'gzip', 'zstd'] as const)
    await assert.rejects(
      writeLayer(stream([file(bytes('a'), 'x', { size: 2 })]), { compression, family: 'oci', store }, signal),
      /less than 2/,
    );
  assert.equal(discarded, 3);
});

test('writeLayer() stops at an abort', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const controller = new AbortController();
  const endless = async function* (): AsyncGenerator<Entry> {
    for (let at = 0; ; at++) {
      if (at === 5000) controller.abort(new Error('enough'));
      yield { ...plain, type: 'directory', path: bytes(`d${at}`) };
    }
  };
  for (const compression of ['none', 'gzip', 'zstd'] as const)
    await assert.rejects(writeLayer(endless(), { compression, family: 'oci', store }, controller.signal), /enough|abort/i);
});

for (const compression of ['gzip', 'zstd', 'none'] as const)
  test(`compressed by ${compression}, the same bytes come out whenever the end of them is heard of, and in whatever pieces they come`, async (context) => {
    const content = Buffer.concat(Array.from({ length: 90 }, (_, index) => Buffer.from(`file-${index}`.repeat(1000)))).subarray(0, 600_000);
    const digestOf = async (pieceBytes: number, restMs: number): Promise<string> => {
      const pieces = async function* (): AsyncGenerator<Buffer> {
        for (let at = 0; at < content.length; at += pieceBytes) yield content.subarray(at, at + pieceBytes);
        if (restMs > 0) await sleep(restMs);
      };
      await using store = openBlobStore(temporaryFolder(context));
      return (await storeCompressed(pieces(), { compression, store }, signal)).digest;
    };
    const digest = await digestOf(512 * 1024, 0);
    for (const [pieceBytes, restMs] of [
      [512 * 1024, 50],
      [100_000, 0],
      [7000, 20],
    ] as const)
      assert.equal(await digestOf(pieceBytes, restMs), digest);
  });
