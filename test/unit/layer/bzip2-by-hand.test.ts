// A bzip2 file put together by hand, bit by bit, so that each part of a block can be wrong by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decompressBzip2 } from '../../../src/layer/decompress-bzip2.ts';
import { chunks } from '../../support/tar.ts';

/** Each in bits, as "0101"; blanks are for the eye. */
interface Parts {
  readonly header?: string;
  readonly magic?: string;
  readonly crc?: string;
  readonly randomised?: string;
  readonly origin?: string;
  readonly used?: string;
  readonly codeCount?: string;
  readonly selectors?: string;
  readonly codes?: string;
  readonly symbols?: string;
  readonly end?: string;
  readonly streamCrc?: string;
}

const bits = (value: number, count: number): string => value.toString(2).padStart(count, '0');
const magic = bits(0x314159265359, 48);
const end = bits(0x177245385090, 48);
/** CRC-32/BZIP2 of "a". */
const crcOfA = bits(0x19939b6b, 32);
const onlyA = `${bits(0x8000 >>> 6, 16)} ${bits(0x8000 >>> 1, 16)}`;
const aAndB = `${bits(0x8000 >>> 6, 16)} ${bits(0x6000, 16)}`;
// Codes 0, 10 and 11; and four codes of two bits.
const threeCodes = '00001 0 100 0';
const fourCodes = '00010 0 0 0 0';

// The content "a": one run of one byte, then the end of the block.
function bzip2(parts: Parts): Buffer {
  const all = [
    parts.header ?? bits(0x425a6831, 32),
    parts.magic ?? magic,
    parts.crc ?? crcOfA,
    parts.randomised ?? '0',
    parts.origin ?? bits(0, 24),
    parts.used ?? onlyA,
    parts.codeCount ?? bits(2, 3),
    parts.selectors ?? `${bits(1, 15)} 0`,
    parts.codes ?? `${threeCodes} ${threeCodes}`,
    parts.symbols ?? '0 11',
    parts.end ?? end,
    parts.streamCrc ?? parts.crc ?? crcOfA,
  ];
  const text = all.join('').replaceAll(' ', '');
  return Buffer.from(text.match(/.{1,8}/g)?.map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2)) ?? []);
}

async function plain(file: Buffer, chunkSize = 3): Promise<string> {
  return Buffer.concat(await Array.fromAsync(decompressBzip2(chunks(file, chunkSize)))).toString('latin1');
}

const read: readonly (readonly [what: string, parts: Parts])[] = [
  ['as bzip2 -1 writes it', {}],
  ['with blocks of up to 900,000 bytes', { header: bits(0x425a6839, 32) }],
  ['with six codes', { codeCount: bits(6, 3), codes: Array.from({ length: 6 }, () => threeCodes).join('') }],
  ['with more selectors than it needs', { selectors: `${bits(3, 15)} 0 10 10` }],
  ['by the second of two codes', { selectors: `${bits(1, 15)} 10`, codes: `${fourCodes.slice(0, -2)} ${threeCodes}` }],
  ['with a code that gets longer and shorter on the way', { codes: `00001 0 10 10 11 0 0 ${threeCodes}` }],
  ['with codes of up to 20 bits', { codes: `00001 0 ${'10'.repeat(19)} 0 ${'11'.repeat(18)} 0 ${threeCodes}`, symbols: '0 10' }],
];
for (const [what, parts] of read) {
  test(`decompressBzip2() reads a block ${what}`, async () => {
    for (const size of [1, 3, 1000]) assert.equal(await plain(bzip2(parts), size), 'a');
  });
}

test('decompressBzip2() reads a file without blocks', async () => {
  const nothing = { magic: '', crc: '', randomised: '', origin: '', used: '', codeCount: '', selectors: '', codes: '', symbols: '' };
  assert.equal(await plain(bzip2({ ...nothing, streamCrc: bits(0, 32) })), '');
});

const refused: readonly (readonly [what: string, parts: Parts, state: string])[] = [
  ['another name', { header: bits(0x425a7831, 32) }, 'it does not begin as one'],
  ['a level of 0', { header: bits(0x425a6830, 32) }, 'it does not begin as one'],
  ['a level of ":"', { header: bits(0x425a683a, 32) }, 'it does not begin as one'],
  ['another mark of a block', { magic: bits(0x314159265358, 48) }, 'a block does not begin as one'],
  ['another mark of the end', { end: bits(0x177245385091, 48) }, 'a block does not begin as one'],
  ['a wrong checksum of a block', { crc: bits(0x19939b6a, 32) }, 'a checksum is wrong'],
  ['a wrong checksum of the whole', { streamCrc: bits(0x19939b6a, 32) }, 'the checksum of the whole is wrong'],
  ['a randomised block', { randomised: '1' }, 'it uses randomised blocks, which no bzip2 has written since 1999'],
  ['a block that starts behind its only byte', { origin: bits(1, 24) }, 'a block starts outside itself'],
  ['a block without content', { symbols: '11' }, 'a block starts outside itself'],
  ['a block of no bytes', { used: bits(0, 16) }, 'a block uses no bytes'],
  ['a block of a group without bytes', { used: `${bits(0x8000, 16)} ${bits(0, 16)}` }, 'a block uses no bytes'],
  ['one code', { codeCount: bits(1, 3) }, 'a block has a wrong number of codes'],
  ['seven codes', { codeCount: bits(7, 3) }, 'a block has a wrong number of codes'],
  ['no selectors', { selectors: bits(0, 15) }, 'a block has no selectors'],
  ['a selector of the third of two codes', { selectors: `${bits(1, 15)} 110` }, 'a selector is wrong'],
  ['a code of no bits', { codes: `00000 0 100 0 ${threeCodes}` }, 'a code is too long'],
  ['a code that shrinks to no bits', { codes: `00001 110 0 0 ${threeCodes}` }, 'a code is too long'],
  ['a code of 21 bits', { codes: `10100 100 0 0 ${threeCodes}` }, 'a code is too long'],
  ['a code that nobody gave out', { codes: `00010 0 0 0 ${threeCodes}`, symbols: '00 11' }, 'a code stands for nothing'],
  ['a run longer than a block', { symbols: '10'.repeat(18) }, 'a block is too long'],
  [
    'a run that the block has no room for',
    { used: aAndB, codes: fourCodes.repeat(2), symbols: `10 ${'01'.repeat(15)} 0000 11` },
    'a block is too long',
  ],
  [
    'more than 50 symbols for one selector',
    { used: aAndB, codes: fourCodes.repeat(2), symbols: '10'.repeat(51) },
    'a block has too few selectors',
  ],
];
for (const [what, parts, state] of refused) {
  test(`decompressBzip2() refuses a file with ${what}`, async () => {
    await assert.rejects(plain(bzip2(parts)), {
      code: 'ERR_LAYER',
      message: `Cannot decompress data: the bzip2 stream is damaged, ${state}`,
    });
  });
}

test('decompressBzip2() names the end wherever the file breaks off', async () => {
  const whole = bzip2({});
  for (let length = 4; length < whole.length; length++) {
    await assert.rejects(
      plain(whole.subarray(0, length)),
      { code: 'ERR_LAYER', message: /damaged, it ends too early$/ },
      `${length} bytes`,
    );
  }
});
