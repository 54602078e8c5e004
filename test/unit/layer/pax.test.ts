// Extended records by themselves: lengths that count their own digits, times, numbers, attributes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPax, formatPaxTime, parsePax, parsePaxNumber, parsePaxTime, xattrsOf } from '../../../src/layer/pax.ts';
import { bytes } from '../../support/tar.ts';

const block = (text: string): Buffer => Buffer.from(text, 'latin1');
const list = (text: string): readonly (readonly string[])[] =>
  [...parsePax(block(text))].map(([key, value]) => [key, value.toString('latin1')]);

// " k=" and the line end take four bytes: at 10, 100 and 1000 the length needs a digit more for itself.
const lengths: readonly (readonly [valueBytes: number, recordBytes: number])[] = [
  [0, 5],
  [4, 9],
  [5, 11],
  [93, 99],
  [94, 101],
  [992, 999],
  [993, 1001],
  [9991, 9999],
  [9992, 10_001],
];
for (const [valueBytes, recordBytes] of lengths) {
  test(`formatPax() writes a value of ${valueBytes} bytes as a record of ${recordBytes}`, () => {
    const value = 'v'.repeat(valueBytes);
    const record = formatPax([['k', value]]);
    assert.equal(record.toString(), `${recordBytes} k=${value}\n`);
    assert.equal(record.length, recordBytes);
    assert.deepEqual(list(record.toString()), valueBytes === 0 ? [] : [['k', value]]);
  });
}

test('formatPax() keeps the order and every byte, and writes nothing for no records', () => {
  const value = Buffer.from([0, 0xff, 0x0a, 0x3d]);
  const written = formatPax([
    ['b', value],
    ['a', '\xe9'],
    ['b', 'c'],
  ]);
  assert.equal(written.toString('latin1'), '9 b=\0\xff\n=\n6 a=\xe9\n6 b=c\n');
  assert.equal(formatPax([]).length, 0);
});

const read: readonly (readonly [what: string, block: string, records: readonly (readonly string[])[]])[] = [
  ['nothing', '', []],
  ['a value with line ends and equals signs', '11 a=b\n=c\n\n', [['a', 'b\n=c\n']]],
  [
    'the last of a key, where the first stood',
    '6 a=1\n6 b=2\n6 a=3\n',
    [
      ['a', '3'],
      ['b', '2'],
    ],
  ],
  ['a value that is taken back', '6 a=1\n5 a=\n', []],
  ['a value that is set again', '6 a=1\n5 a=\n6 a=2\n', [['a', '2']]],
  ['a key with blanks', '8 a b=c\n', [['a b', 'c']]],
  [
    'pairs of a sparse file as one list',
    '23 GNU.sparse.offset=1\n25 GNU.sparse.numbytes=2\n23 GNU.sparse.offset=3\n25 GNU.sparse.numbytes=4\n',
    [['GNU.sparse.map', '1,2,3,4']],
  ],
];
for (const [what, text, records] of read) test(`parsePax() reads ${what}`, () => assert.deepEqual(list(text), records));

const malformed: readonly (readonly [what: string, block: string, state: string])[] = [
  ['no length', 'a=b\n', 'a record has no length'],
  ['a length of 0', '0 a=b\n', 'a record has no length'],
  ['a length with a zero in front', '06 a=b\n', 'a record has no length'],
  ['a length with a sign', '+6 a=b\n', 'a record has no length'],
  ['a length of eight digits', '10000000 a=b\n', 'a record has no length'],
  ['a length and a tab', '6\ta=b\n', 'a record has no length'],
  ['a length that ends within itself', '1 a=b\n', 'a record has a wrong length'],
  ['one byte too few', '5 a=b\n', 'a record has a wrong length'],
  ['one byte too many', '7 a=b\n', 'a record has a wrong length'],
  ['zeros behind the last record', '6 a=b\n\0\0', 'a record has no length'],
  ['no key', '5 =b\n', 'a record has no key'],
  ['no equals sign', '6 abc\n', 'a record has no key'],
  ['a NUL in its key', '7 a\0=b\n', 'a record has no key'],
  ['a length of a sparse region before its place', '25 GNU.sparse.numbytes=2\n', 'the map of a sparse file is not in order'],
  ['two places of sparse regions in a row', '23 GNU.sparse.offset=1\n23 GNU.sparse.offset=2\n', 'the map of a sparse file is not in order'],
];
for (const [what, text, state] of malformed) {
  test(`parsePax() refuses a record with ${what}`, () => {
    assert.throws(() => parsePax(block(text)), { code: 'ERR_LAYER', message: `Cannot read archive: in an extended header ${state}` });
  });
}

test('parsePax() takes 65,536 records and no more', () => {
  assert.equal(parsePax(block('6 a=b\n'.repeat(65_536))).size, 1);
  assert.throws(() => parsePax(block('6 a=b\n'.repeat(65_537))), { code: 'ERR_LAYER', message: /there are more than 65536 records$/ });
});

const times: readonly (readonly [text: string, seconds: number, nanoseconds: number, written?: string])[] = [
  ['0', 0, 0],
  ['1.5', 1, 500_000_000],
  ['1.000000001', 1, 1],
  ['1.999999999', 1, 999_999_999],
  ['1.9999999999', 1, 999_999_999, '1.999999999'],
  ['1.', 1, 0, '1'],
  ['1.50', 1, 500_000_000, '1.5'],
  ['007', 7, 0, '7'],
  ['-1', -1, 0],
  ['-0', 0, 0, '0'],
  ['-0.5', -1, 500_000_000],
  ['-1.25', -2, 750_000_000],
  ['-0.000000001', -1, 999_999_999],
  ['9007199254740991', 9_007_199_254_740_991, 0],
];
for (const [text, seconds, nanoseconds, written = text] of times) {
  test(`parsePaxTime() reads ${text}, and formatPaxTime() writes ${written}`, () => {
    const time = parsePaxTime(bytes(text));
    assert.deepEqual(time, { seconds, nanoseconds });
    assert.equal(formatPaxTime(time), written);
  });
}

for (const text of ['', '-', '.5', '+1', '1e3', '1,5', '1.5.5', ' 1', '1 ', '0x10', '9007199254740992', 'now']) {
  test(`parsePaxTime() refuses ${JSON.stringify(text)}`, () => {
    const message = `Cannot read archive: in an extended header a time is ${JSON.stringify(text)}`;
    assert.throws(() => parsePaxTime(bytes(text)), { code: 'ERR_LAYER', message });
  });
}

for (const [text, expected] of [
  ['0', 0],
  ['0000000000000042', 42],
  ['9007199254740991', 2 ** 53 - 1],
] as const) {
  test(`parsePaxNumber() reads ${text} as ${expected}`, () => assert.equal(parsePaxNumber(bytes(text), 'uid'), expected));
}

for (const text of ['', '-1', '+1', '1.0', '0x1', '1e3', ' 1', '00000000000000042', '9007199254740992']) {
  test(`parsePaxNumber() refuses ${JSON.stringify(text)}`, () => {
    const message = `Cannot read archive: in an extended header its uid is ${JSON.stringify(text)}`;
    assert.throws(() => parsePaxNumber(bytes(text), 'uid'), { code: 'ERR_LAYER', message });
  });
}

test('parsePaxNumber() shows no more than the beginning of what a stranger wrote', () => {
  assert.throws(() => parsePaxNumber(bytes('x'.repeat(100_000)), 'uid'), { code: 'ERR_LAYER', message: /its uid is "x{300}…"$/ });
});

test('xattrsOf() gives a copy of the attributes, and nothing of other records', () => {
  const records = parsePax(
    formatPax([
      ['path', 'a'],
      ['SCHILY.xattr.user.a', 'one'],
      ['LIBARCHIVE.xattr.user.b', 'dHdv'],
      ['SCHILY.xattr.user.c', '\xff\0'],
    ]),
  );
  const found = xattrsOf(records);
  for (const value of records.values()) value.fill(0x78);
  assert.deepEqual(
    [...found],
    [
      ['user.a', Buffer.from('one')],
      ['user.c', Buffer.from([0xff, 0])],
    ],
  );
});

test('xattrsOf() refuses an attribute without a name, and one of more than 64 KiB', () => {
  assert.throws(() => xattrsOf(parsePax(formatPax([['SCHILY.xattr.', 'x']]))), {
    code: 'ERR_LAYER',
    message: /an extended attribute has no name$/,
  });
  const most = 'x'.repeat(65_536);
  assert.equal(xattrsOf(parsePax(formatPax([['SCHILY.xattr.a', most]]))).get('a')?.length, 65_536);
  assert.throws(() => xattrsOf(parsePax(formatPax([['SCHILY.xattr.a', `${most}x`]]))), {
    code: 'ERR_LAYER',
    message: /attribute "a" has more than 64 KiB$/,
  });
});
