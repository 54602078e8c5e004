import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { gzip } from '../../../src/layer/gzip.ts';
import { chunks } from '../../support/tar.ts';

const block = 512 * 1024;

async function gzipped(content: Buffer, options: { level: number; parallel?: number }, chunkBytes = 128 * 1024): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(gzip(chunks(content, chunkBytes), options)));
}

/** Neither all alike nor without pattern, the same in every run. */
function text(length: number): Buffer {
  const content = Buffer.alloc(length);
  let state = 12345;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    content[at] = 97 + ((state >>> 16) % (1 + ((at >>> 10) % 23)));
  }
  return content;
}

function noise(length: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at * 32 < length; at++) parts.push(createHash('sha256').update(String(at)).digest());
  return Buffer.concat(parts).subarray(0, length);
}

for (const [name, content] of [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.from('x')],
  ['less than a window', text(1000)],
  ['exactly one block', text(block)],
  ['a block and a byte', text(block + 1)],
  ['many blocks', text(5 * block + 77)],
  ['what does not compress', noise(2 * block + 5)],
  ['zeros', Buffer.alloc(3 * block)],
] as const) {
  test(`gzip() gives one member that Node and gzip(1) read back: ${name}`, async () => {
    const packed = await gzipped(content, { level: 4 });
    assert.ok(gunzipSync(packed).equals(content));
    assert.ok(execFileSync('gzip', ['-dc'], { input: packed, maxBuffer: 2 ** 26 }).equals(content));
    assert.equal(packed.toString('latin1').split('\x1f\x8b\x08\0\0\0\0\0\0\xff').length, 2);
  });
}

test('gzip() gives the same bytes however many blocks are deflated at once and however the input is cut', async () => {
  const content = text(7 * block + 1);
  const alone = await gzipped(content, { level: 4, parallel: 1 });
  for (const [parallel, chunkBytes] of [
    [2, block],
    [3, 1000],
    [8, 3 * block + 5],
  ] as const)
    assert.ok((await gzipped(content, { level: 4, parallel }, chunkBytes)).equals(alone), `${parallel} at once`);
});

test('gzip() only stores at level 0', async () => {
  const content = text(2 * block);
  const packed = await gzipped(content, { level: 0 });
  assert.ok(packed.length > content.length);
  assert.ok(gunzipSync(packed).equals(content));
});

test('gzip() finds what repeats across its blocks, so that it costs less than one byte in a hundred', async () => {
  const content = text(6 * block);
  for (const level of [1, 4, 9]) {
    const whole = gzipSync(content, { level }).length;
    const ours = (await gzipped(content, { level })).length;
    assert.ok(ours < whole * 1.01, `level ${level}: ${ours} bytes, ${whole} in one piece`);
  }
});

test('gzip() holds only as many blocks as it may deflate at once', async () => {
  let given = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (; given < 1000; given++) yield Buffer.alloc(block, 'a');
  }
  const packing = gzip(endless(), { level: 1, parallel: 2 });
  for (let part = 0; part < 3; part++) await packing.next();
  assert.ok(given <= 4, `${given} blocks were taken for three parts`);
  await packing.return(undefined);
});

test('gzip() fails with its source', async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield text(3 * block);
    throw new Error('disk on fire');
  }
  await assert.rejects(Array.fromAsync(gzip(broken(), { level: 4 })), /disk on fire/);
});
