// Streams as the real programs write them with one thing wrong: cut off after every byte, or one bit flipped. Whatever comes
// out, it is never wrong bytes: all is right, or there is one clear error.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { decompress } from '../../../src/layer/decompress.ts';
import { decompressArchive } from '../../../src/layer/decompress-archive.ts';
import { randomFrom } from '../../support/random.ts';
import { chunks } from '../../support/tar.ts';

const signal = new AbortController().signal;
const random = randomFrom(20);
const content = Buffer.from(
  Array.from({ length: 120 }, () => ['alpha', 'beta', '\n', 'xxxxxxxx', String(random(999))][random(5)]).join(' '),
);

const programs: readonly (readonly [program: string, ...args: readonly string[]])[] = [
  ['bzip2', '-1'],
  ['xz', '--check=crc32', '--lzma2=dict=4KiB'],
  ['xz', '--check=crc64', '--lzma2=dict=4KiB,lc=0,lp=4,pb=0'],
  ['xz', '--check=sha256', '--block-size=200', '--lzma2=dict=4KiB,lc=4,lp=0,pb=4,mode=fast,nice=273'],
];

interface Sample {
  readonly name: string;
  readonly whole: Buffer;
  readonly skip: string | false;
  /** Bytes in front that name the format: changed ones are another's, or no one's. */
  readonly nameBytes: number;
}

function packed([program = '', ...args]: readonly string[]): Sample {
  const { stdout, status } = spawnSync(program, [...args, '-c'], { input: content });
  const skip = status === 0 ? false : `there is no ${program} here`;
  return { name: [program, ...args].join(' '), whole: stdout ?? Buffer.alloc(0), skip, nameBytes: program === 'xz' ? 6 : 4 };
}

const samples: readonly Sample[] = [
  ...programs.map((program) => packed(program)),
  { name: 'gzip', whole: gzipSync(content), skip: false, nameBytes: 2 },
  { name: 'zstd', whole: zstdCompressSync(content, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }), skip: false, nameBytes: 4 },
];

const unpack = async (bytes: Buffer, size = 64): Promise<Buffer> =>
  // A chunk is only lent.
  Buffer.concat(await Array.fromAsync(decompressArchive(chunks(bytes, size), signal), (chunk) => Buffer.from(chunk)));

/** What came of it: right bytes, or the error; anything else fails. */
async function outcome(bytes: Buffer, place: string): Promise<'right' | 'refused'> {
  try {
    assert.deepEqual(await unpack(bytes), content, `${place}: these are not the bytes that were packed`);
    return 'right';
  } catch (error) {
    if (error instanceof assert.AssertionError || !(error instanceof Error)) throw error;
    const { code } = error as Error & { code?: string };
    assert.ok(code === 'ERR_LAYER' || code === 'ERR_UNSUPPORTED', `${place}: ${error.message}`);
    assert.match(error.message, /^Cannot decompress data: [^\n]{10,200}$/, place);
    return 'refused';
  }
}

for (const { name, whole, skip, nameBytes } of samples) {
  test(`decompressArchive() refuses ${name} that is cut off after any byte`, { skip }, async () => {
    assert.equal(await outcome(whole, 'whole'), 'right');
    for (let length = nameBytes; length < whole.length; length++) {
      assert.equal(await outcome(whole.subarray(0, length), `${length} of ${whole.length} bytes`), 'refused', `${length} bytes`);
    }
  });

  test(`decompressArchive() gives no wrong bytes of ${name} with one bit flipped`, { skip }, async () => {
    const flips = randomFrom(name.length);
    let refused = 0;
    for (let round = 0; round < 150; round++) {
      const [at, bit] = [nameBytes + flips(whole.length - nameBytes), flips(8)];
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
      if ((await outcome(flipped, `bit ${bit} of byte ${at}`)) === 'refused') refused++;
    }
    // Some bits say nothing of the content: the time and system of gzip, what fills the last byte of bzip2.
    assert.ok(refused >= 140, `${refused} of 150 were noticed`);
  });
}

test(
  'decompressArchive() reads xz far beyond its dictionary, with matches as far as that reaches',
  { skip: samples[1]?.skip ?? false },
  async () => {
    const far = Buffer.from(Array.from({ length: 60_000 }, () => random(256)));
    const parts = Array.from({ length: 160 }, (_, at) => [far, Buffer.from(`-${at}-`)]).flat();
    const long = Buffer.concat(parts);
    const { stdout } = spawnSync('xz', ['--lzma2=dict=64KiB,mode=fast', '-c'], { input: long, maxBuffer: 1 << 26 });
    assert.ok(stdout.length < 200_000, `it is packed by matches of 60,000 bytes back, into ${stdout.length} bytes`);
    assert.ok((await unpack(stdout, 65_536)).equals(long));
  },
);

const zeros = Buffer.alloc(600);
const [gz, zst] = [gzipSync('abc'), zstdCompressSync('abc')];
const skippable = (length: number): Buffer =>
  Buffer.concat([Buffer.from([0x5e, 0x2a, 0x4d, 0x18, length, 0, 0, 0]), Buffer.alloc(length, 'x')]);
const tails: readonly (readonly [what: string, parts: readonly Buffer[], expected: string | RegExp])[] = [
  ['three members of gzip, one of nothing', [gz, gzipSync(''), gzipSync('def')], 'abcdef'],
  ['gzip and zeros', [gz, zeros], 'abc'],
  ['two members of gzip and zeros', [gz, gz, zeros], 'abcabc'],
  ['gzip, zeros and junk', [gz, Buffer.from('\0\0junk behind the end')], 'abc'],
  ['gzip and junk that could be a member', [gz, Buffer.from('junk behind the end')], /the gzip stream is damaged \(Z_DATA_ERROR\)$/],
  ['gzip and one byte more', [gz, Buffer.from([0x1f])], /the gzip stream is damaged \(Z_BUF_ERROR\)$/],
  ['gzip and a member that breaks off', [gz, gz.subarray(0, -1)], /the gzip stream is damaged \(Z_BUF_ERROR\)$/],
  [
    'gzip and a member of an unknown method',
    [gz, Buffer.from('1f8b0900000000000003', 'hex')],
    /the gzip stream is damaged \(Z_DATA_ERROR\)$/,
  ],
  ['gzip with a name and a comment', [Buffer.from('1f8b081800000000000361006200', 'hex'), gz.subarray(10)], 'abc'],
  ['frames of zstd, one of nothing', [zst, zstdCompressSync(''), zstdCompressSync('def')], 'abcdef'],
  ['zstd between frames to be skipped', [skippable(3), zst, skippable(0), zst, skippable(200)], 'abcabc'],
  ['zstd and junk', [zst, Buffer.from('junk behind the end')], /the zstd stream is damaged \(it has other data behind its end\)$/],
  ['zstd and zeros', [zst, zst, Buffer.alloc(600)], /the zstd stream is damaged \(it has other data behind its end\)$/],
  ['zstd and a frame that breaks off', [zst, zst.subarray(0, -1)], /the zstd stream is damaged \(\w+\)$/],
  [
    'zstd that needs a window of 256 MiB',
    [Buffer.from('28b52ffd0090010000', 'hex')],
    /the zstd stream needs a window of more than 128 MiB$/,
  ],
];
for (const [what, parts, expected] of tails) {
  test(`decompress() ${typeof expected === 'string' ? 'reads' : 'refuses'} ${what}, wherever chunks end`, async () => {
    const whole = Buffer.concat(parts);
    for (const size of [1, 7, gz.length, zst.length, 4096]) {
      const reading = Array.fromAsync(decompress(chunks(whole, size), signal));
      if (typeof expected === 'string') assert.equal(Buffer.concat(await reading).toString(), expected, `chunks of ${size}`);
      else
        await assert.rejects(
          reading,
          { code: what.includes('needs') ? 'ERR_UNSUPPORTED' : 'ERR_LAYER', message: expected },
          `chunks of ${size}`,
        );
    }
  });
}
