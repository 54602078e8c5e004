// .xz files put together by hand, byte by byte, so that each part of one can be wrong by itself: the .xz file format 1.2.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { decompressXz } from '../../../src/layer/decompress-xz.ts';
import { chunks } from '../../support/tar.ts';

interface Parts {
  /** Second byte of the stream's flags: which check follows a block. */
  readonly check?: number;
  readonly checksum?: readonly number[];
  /** From the flags of the block to the end of its filters. */
  readonly filters?: readonly number[];
  /** LZMA2 chunks with their control bytes. */
  readonly payload?: readonly number[];
  /** Content of the index: how many blocks, and their sizes. */
  readonly index?: readonly number[];
  /** Put over the finished file, from its end. */
  readonly patch?: readonly (readonly [fromEnd: number, byte: number])[];
  /** The checksum of these parts is one off. */
  readonly wrong?: 'header' | 'block' | 'index' | 'footer';
  readonly padding?: number;
  readonly magic?: string;
}

/** The content "abc", as it is, in one block. */
const stored = [1, 0, 2, 0x61, 0x62, 0x63, 0];
const lzma2 = [0, 0x21, 1, 0];

function checked(bytes: readonly number[], isWrong: boolean, from = 0): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE((crc32(Buffer.from(bytes.slice(from))) ^ (isWrong ? 1 : 0)) >>> 0);
  return Buffer.concat([Buffer.from(bytes), sum]);
}

function filled(bytes: readonly number[], padding = 0): readonly number[] {
  return [...bytes, ...Array.from({ length: (4 - (bytes.length % 4)) % 4 }, () => padding)];
}

function xz(parts: Parts): Buffer {
  const { check = 0, checksum = [], filters = lzma2, payload = stored, wrong, padding = 0, magic = '\xfd7zXZ\0' } = parts;
  const header = filled([filled([0, ...filters]).length / 4, ...filters]);
  const unpadded = header.length + 4 + payload.length + checksum.length;
  const { index = [1, unpadded, 3] } = parts;
  const flags = [0, check];
  const whole = Buffer.concat([
    Buffer.from(magic, 'latin1'),
    checked(flags, wrong === 'header'),
    checked(header, wrong === 'block'),
    Buffer.from(filled(payload, padding)),
    Buffer.from(checksum),
    checked(filled([0, ...index]), wrong === 'index'),
  ]);
  const backward = [filled([0, ...index]).length / 4, 0, 0, 0];
  const footer = checked([...backward, ...flags], wrong === 'footer').subarray(-4);
  const file = Buffer.concat([whole, footer, Buffer.from([...backward, ...flags]), Buffer.from('YZ')]);
  for (const [fromEnd, byte] of parts.patch ?? []) file[file.length - fromEnd] = byte;
  return file;
}

async function plain(file: Buffer, chunkSize = 5): Promise<string> {
  return Buffer.concat(await Array.fromAsync(decompressXz(chunks(file, chunkSize), new AbortController().signal))).toString('latin1');
}

const littleEndian = (hex: string): readonly number[] => [...Buffer.from(hex, 'hex').reverse()];
// CRC-32 and CRC-64 of "abc", as xz writes them.
const crc32OfAbc = littleEndian('352441c2');
const crc64OfAbc = littleEndian('2cd8094a1a277627');
const sha256OfAbc = [...createHash('sha256').update('abc').digest()];
/** One literal byte of zero: every bit of it is the likelier one. */
const zeroByte = [0, 0, 0, 0, 0, 0];

const read: readonly (readonly [what: string, parts: Parts, content: string])[] = [
  ['no check', {}, 'abc'],
  ['a CRC-32', { check: 1, checksum: crc32OfAbc }, 'abc'],
  ['a CRC-64', { check: 4, checksum: crc64OfAbc }, 'abc'],
  ['a SHA-256', { check: 10, checksum: sha256OfAbc }, 'abc'],
  ['the sizes of its block in the header', { filters: [0xc0, 7, 3, 0x21, 1, 0] }, 'abc'],
  ['a dictionary of 128 MiB', { filters: [0, 0x21, 1, 30] }, 'abc'],
  ['a second chunk that leans on the first', { payload: [1, 0, 0, 0x61, 2, 0, 1, 0x62, 0x63, 0] }, 'abc'],
  ['a chunk that forgets the first', { payload: [1, 0, 0, 0x61, 1, 0, 1, 0x62, 0x63, 0] }, 'abc'],
  ['a chunk of LZMA', { payload: [0xe0, 0, 0, 0, 5, 93, ...zeroByte, 1, 0, 1, 0x62, 0x63, 0] }, '\0bc'],
  [
    'two chunks of LZMA, the second with a fresh state',
    { payload: [0xe0, 0, 0, 0, 5, 93, ...zeroByte, 0xa0, 0, 0, 0, 5, ...zeroByte, 2, 0, 0, 0x63, 0] },
    '\0\0c',
  ],
];
for (const [what, parts, content] of read) {
  test(`decompressXz() reads a file with ${what}`, async () => {
    for (const size of [1, 5, 1000]) assert.equal(await plain(xz(parts), size), content);
  });
}

const allOnes = [0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const refused: readonly (readonly [what: string, parts: Parts, state: string])[] = [
  ['a wrong checksum of the stream header', { wrong: 'header' }, 'its header has a wrong checksum'],
  ['another name in front', { magic: '\xfd7zXY\0' }, 'what follows is no stream'],
  ['a wrong checksum of the block header', { wrong: 'block' }, 'a block header has a wrong checksum'],
  ['a wrong checksum of the index', { wrong: 'index' }, 'its index has a wrong checksum'],
  ['a wrong checksum of the footer', { wrong: 'footer' }, 'its end is not as it should be'],
  ['another word at the end', { patch: [[1, 0x59]] }, 'its end is not as it should be'],
  ['padding that is not zero', { padding: 1 }, 'the padding of a block is not zero'],
  ['a wrong CRC-32', { check: 1, checksum: [1, 2, 3, 4] }, 'the checksum of a block is wrong'],
  ['a CRC-32 with its bytes in the other order', { check: 1, checksum: [...crc32OfAbc].reverse() }, 'the checksum of a block is wrong'],
  ['a wrong CRC-64', { check: 4, checksum: [...crc64OfAbc.slice(1), 0] }, 'the checksum of a block is wrong'],
  ['a wrong SHA-256', { check: 10, checksum: [...sha256OfAbc.slice(1), 0] }, 'the checksum of a block is wrong'],
  ['an index of no blocks', { index: [0] }, 'its index counts other blocks'],
  ['an index of two blocks', { index: [2, 19, 3, 19, 3] }, 'its index counts other blocks'],
  ['an index with another size in the file', { index: [1, 20, 3] }, 'its index tells other sizes'],
  ['an index with another size of the content', { index: [1, 19, 4] }, 'its index tells other sizes'],
  ['an endless number in the index', { index: Array.from({ length: 12 }, () => 0x80) }, 'a number in its index is too long'],
  [
    'an endless number in the block header',
    { filters: [0x40, ...Array.from({ length: 12 }, () => 0x80)] },
    'a number in a header is too long',
  ],
  ['a number that runs out of the block header', { filters: [0x80, 0x80, 0x80] }, 'a number in a header is too long'],
  ['two properties of the filter', { filters: [0, 0x21, 2, 0, 0] }, 'a block header is not as it should be'],
  ['a dictionary size of 41', { filters: [0, 0x21, 1, 41] }, 'its dictionary size is not allowed'],
  ['a first chunk that keeps the dictionary', { payload: [2, 0, 0, 0x61, 0] }, 'its first chunk leans on earlier ones'],
  [
    'a first chunk of LZMA that keeps the dictionary',
    { payload: [0xc0, 0, 0, 0, 5, 93, ...zeroByte, 0] },
    'its first chunk leans on earlier ones',
  ],
  ['a chunk of kind 3', { payload: [1, 0, 0, 0x61, 3, 0, 0, 0x61, 0] }, 'a chunk is of no known kind'],
  ['a chunk of kind 127', { payload: [1, 0, 0, 0x61, 0x7f, 0, 0, 0x61, 0] }, 'a chunk is of no known kind'],
  ['LZMA without properties', { payload: [1, 0, 0, 0x61, 0x80, 0, 0, 0, 5, ...zeroByte, 0] }, 'a chunk has no properties'],
  [
    'LZMA with a fresh state but without properties',
    { payload: [1, 0, 0, 0x61, 0xa0, 0, 0, 0, 5, ...zeroByte, 0] },
    'a chunk has no properties',
  ],
  [
    'LZMA behind a new dictionary without new properties',
    { payload: [0xe0, 0, 0, 0, 5, 93, ...zeroByte, 1, 0, 0, 0x61, 0x80, 0, 0, 0, 5, ...zeroByte, 0] },
    'a chunk has no properties',
  ],
  ['properties of 225', { payload: [0xe0, 0, 0, 0, 5, 225, ...zeroByte, 0] }, 'its LZMA properties are not allowed'],
  ['five bits of context', { payload: [0xe0, 0, 0, 0, 5, 5, ...zeroByte, 0] }, 'its LZMA properties are not allowed'],
  ['five bits of context in two parts', { payload: [0xe0, 0, 0, 0, 5, 3 + 2 * 9, ...zeroByte, 0] }, 'its LZMA properties are not allowed'],
  ['a chunk of four bytes', { payload: [0xe0, 0, 0, 0, 3, 93, 0, 0, 0, 0, 0] }, 'a chunk begins wrongly'],
  ['a chunk that begins with 1', { payload: [0xe0, 0, 0, 0, 5, 93, 1, 0, 0, 0, 0, 0, 0] }, 'a chunk begins wrongly'],
  ['a byte too many in a chunk', { payload: [0xe0, 0, 0, 0, 6, 93, ...zeroByte, 0, 0] }, 'a chunk does not end where it should'],
  ['a byte too few in a chunk', { payload: [0xe0, 0, 0, 0, 4, 93, 0, 0, 0, 0, 0, 0] }, 'a chunk does not end where it should'],
  ['a match in front of all content', { payload: [0xe0, 0, 0, 0, 8, 93, ...allOnes, 0] }, 'it refers to bytes that it does not have'],
  [
    'a match that runs out of its chunk',
    { payload: [1, 0, 0, 0x61, 0xc0, 0, 0, 0, 8, 93, ...allOnes, 0] },
    'a chunk is longer than it says',
  ],
  [
    'a match into what the dictionary forgot',
    { payload: [1, 0, 0, 0x61, 0xe0, 1, 255, 0, 8, 93, ...allOnes, 0] },
    'it refers to bytes that it does not have',
  ],
];
for (const [what, parts, state] of refused) {
  test(`decompressXz() refuses a file with ${what}`, async () => {
    await assert.rejects(plain(xz(parts)), { code: 'ERR_LAYER', message: `Cannot decompress data: the xz stream is damaged, ${state}` });
  });
}

const unsupported: readonly (readonly [what: string, parts: Parts, state: string])[] = [
  ['a check of kind 2', { check: 2 }, 'the xz stream has checks of unknown kind 2'],
  ['a check of kind 16', { check: 16 }, 'this kind of xz stream is unknown'],
  ['two filters', { filters: [1, 3, 1, 0, 0x21, 1, 0] }, 'the xz stream uses filters besides LZMA2'],
  ['another filter', { filters: [0, 4, 0] }, 'the xz stream uses filters besides LZMA2'],
  ['reserved flags', { filters: [0x20, 0x21, 1, 0] }, 'the xz stream uses filters besides LZMA2'],
  [
    'a dictionary of 192 MiB',
    { filters: [0, 0x21, 1, 31] },
    'the xz stream needs a dictionary of 201326592 bytes, and 134217728 are allowed',
  ],
  [
    'a dictionary of 4 GiB',
    { filters: [0, 0x21, 1, 40] },
    'the xz stream needs a dictionary of 4294967295 bytes, and 134217728 are allowed',
  ],
];
for (const [what, parts, state] of unsupported) {
  test(`decompressXz() says that it does not read ${what}`, async () => {
    await assert.rejects(plain(xz(parts)), { code: 'ERR_UNSUPPORTED', message: `Cannot decompress data: ${state}` });
  });
}

test('decompressXz() finds nothing in nothing, and says so', async () => {
  await assert.rejects(plain(Buffer.alloc(0)), { code: 'ERR_LAYER', message: /damaged, it is empty$/ });
});

test('decompressXz() refuses zeros in front of the first stream', async () => {
  await assert.rejects(plain(Buffer.concat([Buffer.alloc(4), xz({})])), { code: 'ERR_LAYER', message: /what follows is no stream$/ });
});

const skip = spawnSync('xz', ['--version']).status === 0 ? false : 'there is no xz here';

test('xz(1) reads of these files what decompressXz() reads, and refuses what it refuses', { skip }, () => {
  const unpack = (parts: Parts): string | undefined => {
    const { status, stdout } = spawnSync('xz', ['-dc'], { input: xz(parts) });
    return status === 0 ? stdout.toString('latin1') : undefined;
  };
  assert.deepEqual(
    read.map(([what, parts]) => [what, unpack(parts)]),
    read.map(([what, , content]) => [what, content]),
  );
  assert.deepEqual(
    refused.filter(([, parts]) => unpack(parts) !== undefined).map(([what]) => what),
    [],
  );
});
