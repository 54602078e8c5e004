// Header blocks byte by byte, and numbers at every size at which a field changes its form.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { bytesFromBuffer } from '../../../src/bytes.ts';
import { type WritableHeader, fitsHeader, formatHeader, number, parseHeader } from '../../../src/layer/header.ts';
import { bytes, tarEntry } from '../../support/tar.ts';

const plain: WritableHeader = {
  path: bytes('a'),
  linkTarget: bytes(''),
  typeflag: '0',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  major: 0,
  minor: 0,
};

function field(block: Buffer, start: number, length: number): string {
  return block.toString('latin1', start, start + length);
}

test('formatHeader() writes a ustar block with every field in its place', () => {
  const block = formatHeader({
    path: bytes('dir/name'),
    linkTarget: bytes('target'),
    typeflag: '3',
    mode: 0o4755,
    uid: 1000,
    gid: 0o777777,
    size: 0,
    mtime: 1_700_000_000,
    major: 1,
    minor: 255,
  });
  assert.equal(block.length, 512);
  const expected: readonly (readonly [start: number, text: string])[] = [
    [0, 'dir/name\0'],
    [100, '004755 \0'],
    [108, '001750 \0'],
    [116, '777777 \0'],
    [124, '00000000000 '],
    [136, '14524770400 '],
    [156, '3'],
    [157, 'target\0'],
    [257, 'ustar\x0000'],
    [265, '\0'.repeat(64)],
    [329, '000001 \0'],
    [337, '000377 \0'],
    [345, '\0'.repeat(167)],
  ];
  for (const [start, text] of expected) assert.equal(field(block, start, text.length), text, `at ${start}`);
});

for (const [typeflag, what] of [
  ['0', 'file'],
  ['1', 'hard link'],
  ['2', 'symlink'],
  ['3', 'character device'],
  ['4', 'block device'],
  ['5', 'directory'],
  ['6', 'FIFO'],
  ['x', 'extended header'],
] as const) {
  test(`formatHeader() marks a ${what} with ${typeflag}`, () =>
    assert.equal(field(formatHeader({ ...plain, typeflag }), 156, 1), typeflag));
}

const sizes = Array.from({ length: 11 }, (_, power) => 8 ** power).flatMap((value) => [value - 1, value, value + 1]);
const ids = [...sizes.filter((value) => value < 2 ** 32), 262_143, 262_144, 300_000, 500_000, 2_097_151, 2_097_152, 4_294_967_294];

for (const id of ids) {
  test(`formatHeader() and parseHeader() agree on owner, group and device number ${id}`, () => {
    const header = { ...plain, typeflag: '4', uid: id, gid: id, major: id, minor: id } as const;
    assert.deepEqual(parseHeader(formatHeader(header)), header);
    for (const key of ['uid', 'gid', 'major', 'minor'] as const) {
      const alone = { ...plain, typeflag: '3', [key]: id } as const;
      assert.deepEqual(parseHeader(formatHeader(alone)), alone, key);
    }
  });
}

test('formatHeader() writes seven octal digits where six are not enough, and base 256 beyond', () => {
  const written = [262_143, 262_144, 2_097_151, 2_097_152].map((uid) => field(formatHeader({ ...plain, uid }), 108, 8));
  assert.deepEqual(written, ['777777 \0', '1000000\0', '7777777\0', '\x80\0\0\0\0\x20\0\0']);
});

for (const value of [...sizes, 8 ** 11 - 1, 2 ** 31 - 1, 2 ** 31]) {
  test(`formatHeader() and parseHeader() agree on size and time ${value}`, () => {
    const header = { ...plain, size: value, mtime: value };
    assert.deepEqual(parseHeader(formatHeader(header)), header);
  });
}

test('formatHeader() and parseHeader() agree on sizes that octal has no room for', () => {
  for (const size of [8 ** 11, 8 ** 11 + 1, 8 ** 12, 2 ** 40 - 1, Number.MAX_SAFE_INTEGER])
    assert.equal(parseHeader(formatHeader({ ...plain, size })).size, size);
});

test('formatHeader() keeps every permission bit', () => {
  for (const mode of [0, 1, 0o777, 0o1777, 0o7777]) assert.equal(parseHeader(formatHeader({ ...plain, mode })).mode, mode);
});

test('formatHeader() writes what GNU tar reads', () => {
  const header = { ...plain, typeflag: '3', path: bytes('n'), uid: 300_000, gid: 2_097_152, major: 4095, minor: 1_048_575 } as const;
  const listed = spawnSync('tar', ['-tv', '--numeric-owner', '-f', '-'], {
    input: Buffer.concat([formatHeader(header), Buffer.alloc(1024)]),
    env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
  });
  assert.equal(listed.stderr.toString(), '');
  assert.match(listed.stdout.toString(), /^crw-r--r-- 300000\/2097152 +4095,1048575 1970-01-01 00:00 n\n$/);
});

const long = (count: number): string => 'x'.repeat(count);
for (const [what, path, fits] of [
  ['one letter', 'a', true],
  ['100 letters', long(100), true],
  ['101 letters in one name', long(101), false],
  ['155 letters, a slash and 100', `${long(155)}/${long(100)}`, true],
  ['156 letters, a slash and 100', `${long(156)}/${long(100)}`, false],
  ['a slash and 100 letters behind a short name', `a/${long(100)}`, true],
  ['a directory of which nothing would be left behind the cut', `a/${long(100)}/`, false],
  ['a long directory', `${long(60)}/${long(60)}/`, true],
  ['several slashes', `${long(50)}/${long(50)}/${long(50)}`, true],
  ['a tab and a newline', 'a\tb\n', true],
  ['DEL', '\x7f', true],
  ['a byte beyond ASCII', 'é', false],
  ['a NUL', 'a\0b', false],
  ['nothing', '', false],
] as const) {
  test(`fitsHeader() says ${fits} of a path of ${what}`, () => {
    assert.equal(fitsHeader(bytes(path)), fits);
    if (fits) assert.equal(parseHeader(formatHeader({ ...plain, path: bytes(path) })).path, path);
  });
}

function octal(text: string, length = 12): number {
  const block = Buffer.alloc(512);
  block.write(text, 10, 'latin1');
  return number(block, 10, length, 'size');
}

for (const [text, expected] of [
  ['00000000017\0', 15],
  ['777777777777', 8 ** 12 - 1],
  ['17 \0', 15],
  ['  17 ', 15],
  ['\0\x0017', 15],
  ['17\0junk', 15],
  ['', 0],
  [' '.repeat(12), 0],
  ['\x80\0\0\0\0\0\0\0\0\0\x01\x02', 258],
  ['\x80\0\0\0\0\x1f\xff\xff\xff\xff\xff\xff', Number.MAX_SAFE_INTEGER],
  ['\xff'.repeat(12), -1],
  [`${'\xff'.repeat(11)}\x00`, -256],
  [`${'\xff'.repeat(10)}\xfe\xff`, -257],
] as const) {
  test(`number() reads ${JSON.stringify(text)} as ${expected}`, () => assert.equal(octal(text), expected));
}

for (const [text, message] of [
  ['18', /its size is not an octal number/],
  ['1 7', /its size is not an octal number/],
  ['-1', /its size is not an octal number/],
  ['0x1f', /its size is not an octal number/],
  ['\x80\0\0\0\0\x20', /its size 9007199254740992 is out of range/],
  ['\xbf'.repeat(12), /out of range/],
] as const) {
  test(`number() refuses ${JSON.stringify(text)}`, () => assert.throws(() => octal(text), { code: 'ERR_LAYER', message }));
}

test('parseHeader() reads numbers that its codec would cut off or round like number() does', () => {
  const patched = (offset: number, text: string): Buffer => tarEntry({ path: 'a', patch: [[offset, Buffer.from(text, 'latin1')]] });
  assert.equal(parseHeader(patched(136, '\xff'.repeat(12))).mtime, -1);
  assert.equal(parseHeader(patched(108, '  17 \0\0\0')).uid, 15);
  assert.equal(parseHeader(patched(116, '12\0junk!')).gid, 10);
  assert.throws(() => parseHeader(patched(108, '1289\0\0\0\0')), /its uid is not an octal number/);
  assert.throws(() => parseHeader(patched(116, '17x\0\0\0\0\0')), /its gid is not an octal number/);
  assert.throws(() => parseHeader(patched(100, '6 4\0\0\0\0\0')), /its mode is not an octal number/);
  assert.throws(() => parseHeader(patched(136, '\x80\0\0\0\x01'.padEnd(12, '\0'))), /its mtime \d+ is out of range/);
});

function withChecksum(block: Buffer, sum: (byte: number) => number): Buffer {
  const copy = Buffer.from(block).fill(' ', 148, 156);
  const total = copy.reduce((all, byte) => all + sum(byte), 0);
  copy.write(`${total.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return copy;
}

test('parseHeader() takes a checksum of signed characters, as some old archivers wrote it', () => {
  const name = Buffer.from([0xe9, 0xff, 0x61]);
  const block = withChecksum(tarEntry({ path: 'abc', uid: 7, patch: [[0, name]] }), (byte) => (byte > 127 ? byte - 256 : byte));
  assert.deepEqual([parseHeader(block).path, parseHeader(block).uid], [bytesFromBuffer(name), 7]);
  assert.throws(() => parseHeader(withChecksum(block, (byte) => (byte > 127 ? byte - 255 : byte))), /wrong checksum/);
});

test('parseHeader() refuses a checksum that is one off, and one that is no number', () => {
  const block = tarEntry({ path: 'a' });
  const sum = number(block, 148, 8, 'checksum');
  for (const text of [(sum + 1).toString(8), (sum - 1).toString(8), `${sum.toString(8)}z`])
    assert.throws(() => parseHeader(Buffer.concat([block.subarray(0, 148), Buffer.from(text.padEnd(8, '\0')), block.subarray(156)])), {
      code: 'ERR_LAYER',
    });
});

const prefix = (text: string): readonly [number, Buffer] => [345, Buffer.from(text, 'latin1')];
const gnu = [257, Buffer.from('ustar  \0')] as const;
const old = [257, Buffer.alloc(8)] as const;
const star = [508, Buffer.from('tar\0')] as const;
for (const [what, patch, path] of [
  ['a ustar header', [prefix('d/e')], 'd/e/n'],
  ['a ustar header whose prefix fills its place', [prefix(long(155))], `${long(155)}/n`],
  ['a star header, whose times follow', [star, prefix(`${long(131)}00000000017 `)], `${long(131)}/n`],
  ['a GNU header, which has times there', [gnu, prefix('14524770400\x0014524770400\0')], 'n'],
  ['a GNU header with a base-256 time', [gnu, prefix('\x80\0\0\0\0\0\0\0\x60\0\0\0')], 'n'],
  ['a GNU header of an old Go, which took it for a prefix', [gnu, prefix('usr/share')], 'usr/share/n'],
  ['a GNU header with neither times nor an ASCII prefix', [gnu, prefix('us\xe9')], 'n'],
  ['a header older than ustar', [old, prefix('usr')], 'n'],
] as const) {
  test(`parseHeader() reads the prefix of ${what} as engines do`, () =>
    assert.equal(parseHeader(tarEntry({ path: 'n', patch })).path, path));
}

test('parseHeader() reads device numbers of devices only, and none from headers older than ustar', () => {
  const device = (type: string, patch: readonly (readonly [number, Buffer])[] = []): readonly number[] => {
    const { major, minor } = parseHeader(tarEntry({ path: 'n', type, major: 8, minor: 17, patch }));
    return [major, minor];
  };
  assert.deepEqual(
    ['3', '4', '0', '5', '6'].map((type) => device(type)),
    [
      [8, 17],
      [8, 17],
      [0, 0],
      [0, 0],
      [0, 0],
    ],
  );
  assert.deepEqual(device('3', [gnu]), [8, 17]);
  assert.deepEqual(device('3', [old]), [0, 0]);
});
