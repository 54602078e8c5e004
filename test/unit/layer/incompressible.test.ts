import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isIncompressible } from '../../../src/layer/incompressible.ts';

const block = 512 * 1024;

function noise(length: number): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, at) => createHash('sha256').update(String(at)).digest());
  return Buffer.concat(parts).subarray(0, length);
}

const words = Buffer.from(Array.from({ length: 200_000 }, (_, at) => `${(at * 7919) % 10_007} ${at % 13}`).join('\n'));
const alternating = noise(block);
for (let at = 0; at < block; at += 2) alternating[at] = 0x20;

for (const { name, bytes, expected } of [
  { name: 'noise', bytes: noise(block), expected: true },
  { name: 'the last, shorter block of noise', bytes: noise(100_000), expected: true },
  { name: 'what gzip made', bytes: gzipSync(noise(2 * block).toString('base64')).subarray(1000, 1000 + block), expected: true },
  { name: 'noise that repeats', bytes: Buffer.alloc(block, noise(16_384)), expected: false },
  { name: 'text', bytes: words.subarray(0, block), expected: false },
  { name: 'zeros', bytes: Buffer.alloc(block), expected: false },
  { name: 'noise with blanks between', bytes: alternating, expected: false },
  { name: 'all bytes in turn', bytes: Buffer.alloc(block, Buffer.from(Array.from({ length: 257 }, (_, at) => at))), expected: false },
  { name: 'a little noise, which costs nothing to try', bytes: noise(1000), expected: false },
  { name: 'nothing', bytes: Buffer.alloc(0), expected: false },
]) {
  test(`isIncompressible() says ${expected ? 'yes' : 'no'} to ${name}`, async () => assert.equal(await isIncompressible(bytes), expected));
}
