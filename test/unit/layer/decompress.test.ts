// What decompress() takes for which format, and how it tells of damage; that all of a source is read, so that its digest is seen.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { decompress, sniffCompression } from '../../../src/layer/decompress.ts';
import { decompressArchive } from '../../../src/layer/decompress-archive.ts';

const signal = new AbortController().signal;

for (const [head, format] of [
  ['\x1f\x8b\x08\0\0\0', 'gzip'],
  ['\x1f\x8b', 'gzip'],
  ['\x1f\x8c\x08\0\0\0', 'none'],
  ['\x28\xb5\x2f\xfd\0\0', 'zstd'],
  ['\x28\xb5\x2f\xfe\0\0', 'none'],
  ['\x50\x2a\x4d\x18\0\0', 'zstd'],
  ['\x5f\x2a\x4d\x18\0\0', 'zstd'],
  ['\x4f\x2a\x4d\x18\0\0', 'none'],
  ['\x60\x2a\x4d\x18\0\0', 'none'],
  ['BZh1', 'bzip2'],
  ['BZh9xx', 'bzip2'],
  ['BZh0xx', 'none'],
  ['BZhxxx', 'none'],
  ['\xfd7zXZ\0', 'xz'],
  ['\xfd7zXZ\x01', 'none'],
  ['\xfd7zXZ', 'none'],
  ['', 'none'],
  ['\x1f', 'none'],
  ['x\x1f\x8b', 'none'],
] as const) {
  test(`sniffCompression() takes ${JSON.stringify(head)} for ${format}`, () => {
    assert.equal(sniffCompression(Buffer.from(head, 'latin1')), format);
  });
}

interface Outcome {
  readonly plain: string;
  /** Bytes that were taken from the source, and whether its end was. */
  readonly taken: number;
  readonly sawEnd: boolean;
}

async function read(bytes: Buffer, chunkSize: number, open: typeof decompress = decompress): Promise<Outcome> {
  let taken = 0;
  let sawEnd = false;
  const source = async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += chunkSize) {
      const chunk = Buffer.from(bytes.subarray(at, at + chunkSize));
      taken += chunk.length;
      yield chunk;
      chunk.fill(0xee); // it was only lent
    }
    sawEnd = true;
  };
  const plain = Buffer.concat(await Array.fromAsync(open(source(), signal), (chunk) => Buffer.from(chunk))).toString('latin1');
  return { plain, taken, sawEnd };
}

const text = Array.from({ length: 80_000 }, (_, at) => `line ${at * 7919}`).join('\n');
const gzipped = gzipSync(text);
const zstd = zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
const skippable = Buffer.from('502a4d180300000061626300', 'hex').subarray(0, 11);

const wholes: readonly (readonly [what: string, bytes: Buffer, plain: string])[] = [
  ['nothing', Buffer.alloc(0), ''],
  ['a few plain bytes', Buffer.from('abc'), 'abc'],
  ['plain bytes', Buffer.from(text), text],
  ['gzip', gzipped, text],
  ['gzip of nothing', gzipSync(''), ''],
  ['two gzip members', Buffer.concat([gzipped, gzipSync('more')]), `${text}more`],
  ['gzip and zeros', Buffer.concat([gzipped, Buffer.alloc(100_000)]), text],
  ['zstd', zstd, text],
  ['two zstd frames', Buffer.concat([zstd, zstdCompressSync('more')]), `${text}more`],
  ['zstd behind a frame to be skipped', Buffer.concat([skippable, zstd]), text],
];
for (const [what, bytes, plain] of wholes) {
  for (const chunkSize of [1000, 65536, 1 << 22]) {
    test(`decompress() and decompressArchive() read ${what} to the end of the source, in chunks of ${chunkSize}`, async () => {
      for (const open of [decompress, decompressArchive]) {
        const outcome = await read(bytes, chunkSize, open);
        assert.deepEqual({ ...outcome, plain: outcome.plain === plain }, { plain: true, taken: bytes.length, sawEnd: true });
      }
    });
  }
}

test('decompress() reads what arrives byte by byte', async () => {
  for (const [bytes, plain] of [
    [gzipSync('abcdef'), 'abcdef'],
    [zstdCompressSync('abcdef'), 'abcdef'],
    [Buffer.from('abcdefgh'), 'abcdefgh'],
  ] as const)
    assert.equal((await read(bytes, 1)).plain, plain);
});

for (const [what, bytes, message] of [
  ['gzip that is cut off', gzipped.subarray(0, -20), /^Cannot decompress data: the gzip stream is damaged \(Z_BUF_ERROR\)$/],
  [
    'gzip with a wrong checksum',
    changed(gzipped, gzipped.length - 6),
    /^Cannot decompress data: the gzip stream is damaged \(Z_DATA_ERROR\)$/,
  ],
  ['gzip of an unknown method', changed(gzipped, 2), /^Cannot decompress data: the gzip stream is damaged \(Z_DATA_ERROR\)$/],
  ['zstd that is cut off', zstd.subarray(0, -3), /^Cannot decompress data: the zstd stream is damaged \(\w+\)$/],
  ['zstd with a wrong checksum', changed(zstd, zstd.length - 1), /^Cannot decompress data: the zstd stream is damaged \(ZSTD_\w+\)$/],
] as const) {
  test(`decompress() refuses ${what}`, async () => await assert.rejects(read(bytes, 4096), { code: 'ERR_LAYER', message }));
}

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0x20;
  return copy;
}

for (const program of ['bzip2', 'xz']) {
  const { stdout, status } = spawnSync(program, ['-c'], { input: text });
  const skip = status === 0 ? false : `there is no ${program} here`;

  test(`decompressArchive() reads ${program} to the end of the source`, { skip }, async () => {
    for (const chunkSize of [1000, 1 << 22]) {
      assert.deepEqual(await read(stdout, chunkSize, decompressArchive), { plain: text, taken: stdout.length, sawEnd: true });
    }
  });
}

test('decompressArchive() passes over what follows bzip2, as bzip2(1) does, and reads it to its end', async () => {
  const { stdout } = spawnSync('bzip2', ['-c'], { input: text });
  const bytes = Buffer.concat([stdout, Buffer.alloc(8_000_000, 'junk')]);
  assert.deepEqual(await read(bytes, 65536, decompressArchive), { plain: text, taken: bytes.length, sawEnd: true });
});

test('decompressArchive() takes zeros in fours between and behind xz streams, and nothing else', async () => {
  const { stdout } = spawnSync('xz', ['-c'], { input: 'abc' });
  const of = async (...parts: readonly Buffer[]): Promise<string> => (await read(Buffer.concat(parts), 7, decompressArchive)).plain;
  assert.equal(await of(stdout, Buffer.alloc(8), stdout, Buffer.alloc(4)), 'abcabc');
  await assert.rejects(of(stdout, Buffer.alloc(6)), { code: 'ERR_LAYER' });
  await assert.rejects(of(stdout, Buffer.from('junkjunkjunkjunk')), { code: 'ERR_LAYER' });
});

test('decompress() gives what stands before the damage of gzip, and its error then', async () => {
  let plain = '';
  const reading = async (): Promise<void> => {
    const source = async function* (): AsyncGenerator<Buffer> {
      yield gzipped.subarray(0, 2000);
    };
    for await (const chunk of decompress(source(), signal)) plain += chunk.toString('latin1');
  };
  await assert.rejects(reading(), /Z_BUF_ERROR/);
  assert.ok(plain.length > 1000 && text.startsWith(plain));
});
