import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateRawSync } from 'node:zlib';
import { hasIsal, isalDeflater, largestIsalBlock } from '../../../src/linux/isal.ts';

const skip = hasIsal() ? false : 'libisal2 is not installed, or makes other bytes here';
const ending = Buffer.from([0x03, 0x00]);

function deflater(): NonNullable<ReturnType<typeof isalDeflater>> {
  const made = isalDeflater();
  assert.ok(made !== undefined);
  return made;
}

test('isalDeflater() deflates blocks of all lengths, one after another in the same memory', { skip }, async () => {
  const used = deflater();
  for (const length of [1, 2, 3, 65_535, 65_536, 100, largestIsalBlock, 0, 5]) {
    const block = Buffer.alloc(length, 'what repeats ');
    const deflated = await used.deflate(block);
    assert.ok(inflateRawSync(Buffer.concat([deflated, ending])).equals(block), `${length} bytes`);
  }
});

test('isalDeflater() deflates several at once without mixing them up', { skip }, async () => {
  const blocks = Array.from({ length: 12 }, (_, index) => Buffer.alloc(500_000 + index, `block ${index} `));
  const deflated = await Promise.all(blocks.map((block) => deflater().deflate(block)));
  for (const [index, bytes] of deflated.entries())
    assert.ok(inflateRawSync(Buffer.concat([bytes, ending])).equals(blocks[index] ?? Buffer.alloc(0)), `block ${index}`);
});

test('isalDeflater() refuses a block of more than a mebibyte', { skip }, async () => {
  await assert.rejects(deflater().deflate(Buffer.alloc(largestIsalBlock + 1)), RangeError);
});
