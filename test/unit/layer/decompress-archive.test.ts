// bzip2 and xz as their own programs write them, in many shapes; damaged ones are refused.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { crc32, gzipSync, zstdCompressSync } from 'node:zlib';
import { decompressArchive } from '../../../src/layer/decompress-archive.ts';
import { randomFrom } from '../../support/random.ts';

const signal = new AbortController().signal;

async function plain(bytes: Buffer, chunkSize = 65536): Promise<Buffer> {
  const source = async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += chunkSize) yield bytes.subarray(at, at + chunkSize);
  };
  const chunks: Buffer[] = [];
  for await (const chunk of decompressArchive(source(), signal)) chunks.push(Buffer.from(chunk)); // it is only lent
  return Buffer.concat(chunks);
}

function compress(program: string, args: readonly string[], input: Buffer): Buffer {
  const { stdout, status, stderr } = spawnSync(program, [...args, '-c'], { input, maxBuffer: 1 << 28 });
  assert.equal(status, 0, stderr?.toString());
  return stdout;
}

function missing(program: string): string | false {
  return spawnSync(program, ['--version'], { input: '' }).error === undefined ? false : `there is no ${program} here`;
}

const random = randomFrom(3);
const noise = Buffer.from(Array.from({ length: 100_000 }, () => random(256)));
const words = Buffer.from(
  Array.from({ length: 8_000 }, () => ['alpha', 'beta', 'gamma', '\n', 'x'.repeat(random(300))][random(5)]).join(' '),
);
const contents: Readonly<Record<string, Buffer>> = {
  nothing: Buffer.alloc(0),
  'one byte': Buffer.from('a'),
  'runs of 4, 5, 255 and 260': Buffer.from(['aaaa', 'bbbbb', 'c'.repeat(259), 'd'.repeat(264), 'aaaabaaaa'].join('')),
  zeros: Buffer.alloc(1_000_000),
  noise,
  words,
  mixed: Buffer.concat([words, noise, words, Buffer.alloc(70_000), noise.subarray(0, 99_999), words]),
};

for (const [name, content] of Object.entries(contents)) {
  for (const args of [['-1'], ['-9']]) {
    test(`decompressArchive() reads bzip2 ${args.join(' ')} of ${name}`, { skip: missing('bzip2') }, async () => {
      assert.ok((await plain(compress('bzip2', args, content))).equals(content));
    });
  }
  for (const args of [
    ['-0', '--check=crc32'],
    ['-6'],
    ['-1', '--check=sha256'],
    ['--check=none', '--lzma2=dict=4KiB,lc=0,lp=3,pb=0'],
    ['--block-size=500KiB', '--lzma2=dict=64KiB,lc=1,lp=2,pb=4'],
    ['--x86', '--delta', '--lzma2=preset=0,dict=128MiB'],
  ]) {
    test(`decompressArchive() reads xz ${args.join(' ')} of ${name}`, { skip: missing('xz') }, async () => {
      assert.ok((await plain(compress('xz', args, content))).equals(content));
    });
  }
}

for (const program of ['bzip2', 'xz']) {
  const skip = missing(program);

  test(`decompressArchive() reads ${program} that arrives byte by byte`, { skip }, async () => {
    const content = words.subarray(0, 20_000);
    assert.ok((await plain(compress(program, [], content), 1)).equals(content));
  });

  test(`decompressArchive() reads several ${program} streams in a row`, { skip }, async () => {
    const parts = [words, Buffer.alloc(0), noise].map((part) => compress(program, [], part));
    assert.ok((await plain(Buffer.concat(parts))).equals(Buffer.concat([words, noise])));
  });

  test(`decompressArchive() refuses ${program} that breaks off, wherever`, { skip }, async () => {
    const whole = compress(program, [], words.subarray(0, 30_000));
    for (const length of [7, 12, 40, 100, Math.floor(whole.length / 2), whole.length - 5, whole.length - 1]) {
      await assert.rejects(plain(whole.subarray(0, length)), { code: 'ERR_LAYER' }, `${length} of ${whole.length}`);
    }
  });

  test(`decompressArchive() refuses ${program} with any one byte changed`, { skip }, async () => {
    const content = words.subarray(0, 3000);
    const whole = compress(program, [], content);
    // Past the format's name, which decides who reads it.
    for (let at = 6; at < whole.length; at += 11) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 0x11;
      await assert.rejects(plain(changed), /damaged|Cannot decompress/, `byte ${at} of ${whole.length}`);
    }
  });
}

test('decompressArchive() reads gzip, zstd and plain bytes as a layer would', async () => {
  for (const bytes of [gzipSync(words), zstdCompressSync(words), words]) assert.ok((await plain(bytes)).equals(words));
});

test('decompressArchive() says what it does not read of xz', { skip: missing('xz') }, async () => {
  const unknownCheck = compress('xz', ['--check=crc32'], words);
  for (const at of [7, unknownCheck.length - 3]) unknownCheck[at] = 2;
  // Of the stream's flags, in its header and at its end.
  for (const [at, from, to] of [
    [8, 6, 8],
    [unknownCheck.length - 12, unknownCheck.length - 8, unknownCheck.length - 2],
  ] as const)
    unknownCheck.writeUInt32LE(crc32(unknownCheck.subarray(from, to)), at);
  await assert.rejects(plain(unknownCheck), { code: 'ERR_UNSUPPORTED', message: /LZMA_UNSUPPORTED_CHECK/ });
  await assert.rejects(plain(compress('xz', ['--lzma2=preset=0,dict=129MiB'], Buffer.from('x'))), {
    code: 'ERR_UNSUPPORTED',
    message: /dictionary of more than 134217728 bytes/,
  });
});
