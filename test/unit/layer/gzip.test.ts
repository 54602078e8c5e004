import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { crc32, gunzipSync, gzipSync } from 'node:zlib';
import { type GzipOptions, gzip } from '../../../src/layer/gzip.ts';
import { hasIsal } from '../../../src/linux/isal.ts';
import { chunks } from '../../support/tar.ts';

const block = 512 * 1024;

const skip = hasIsal() ? false : 'libisal2 is not installed, or makes other bytes here';

// A chunk is valid until the next is asked for.
async function gzipped(content: Buffer, options: GzipOptions, chunkBytes = 128 * 1024): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(gzip(chunks(content, chunkBytes), options), (chunk) => Buffer.from(chunk)));
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

const ways: readonly { readonly by: string; readonly options: GzipOptions; readonly skip: string | false }[] = [
  { by: 'zlib', options: { level: 4 }, skip: false },
  { by: 'ISA-L', options: {}, skip },
];

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
  for (const { by, options, skip: reason } of ways) {
    test(`gzip() gives one member that Node and gzip(1) read back, by ${by}: ${name}`, { skip: reason }, async () => {
      const packed = await gzipped(content, options);
      assert.ok(gunzipSync(packed).equals(content));
      assert.ok(execFileSync('gzip', ['-dc'], { input: packed, maxBuffer: 2 ** 26 }).equals(content));
      assert.equal(packed.toString('latin1').split('\x1f\x8b\x08\0\0\0\0\0\0\xff').length, 2);
      assert.equal(packed.readUInt32LE(packed.length - 8), crc32(content));
      assert.equal(packed.readUInt32LE(packed.length - 4), content.length);
    });
  }
}

for (const { by, options, skip: reason } of ways) {
  test(
    `gzip() gives the same bytes however many blocks are deflated at once and however the input is cut, by ${by}`,
    {
      skip: reason,
    },
    async () => {
      const content = Buffer.concat([text(7 * block + 1), noise(block), text(3 * block)]);
      const alone = await gzipped(content, { ...options, parallel: 1 });
      assert.ok(gunzipSync(alone).equals(content));
      for (const [parallel, chunkBytes] of [
        [2, block],
        [3, 1000],
        [8, 3 * block + 5],
      ] as const)
        assert.ok((await gzipped(content, { ...options, parallel }, chunkBytes)).equals(alone), `${parallel} at once`);
    },
  );
}

test('gzip() without a level gives these bytes on every x86-64 machine that has ISA-L', { skip }, async () => {
  const packed = await gzipped(Buffer.concat([text(3 * block), noise(100_000), text(1000)]), {});
  assert.equal(createHash('sha256').update(packed).digest('hex'), '894e4a7abcba4535c98ed897673523955032fe2bede3a5e53385a8438457510f');
});

// The answer was the same on x86-64 with AVX-512 and without SSE4.2 (qemu's Conroe), and on arm64: the hash that zlib looks for matches with
// must not depend on the processor. Another one here changes the digests of everybody's --reproducible.
test('gzip() with a level gives these bytes on every machine', async () => {
  const content = Buffer.concat([text(3 * block), noise(100_000), text(1000)]);
  const digests = [1, 4, 6, 9].map(async (level) =>
    createHash('sha256')
      .update(await gzipped(content, { level }))
      .digest('hex')
      .slice(0, 16),
  );
  assert.deepEqual(await Promise.all(digests), ['bdae18d010f580f8', '5bdc68849e8b0108', '5f9c0440959d2f2e', '920117aaa579c93d']);
});

test('gzip() without a level is zlib at level 4 where ISA-L is not there', { skip: hasIsal() && 'ISA-L is there' }, async () => {
  const content = text(2 * block);
  assert.ok((await gzipped(content, {})).equals(await gzipped(content, { level: 4 })));
});

test('gzip() adds less than one byte in a thousand to what does not compress, by ISA-L', { skip }, async () => {
  const content = noise(4 * block + 77);
  assert.ok((await gzipped(content, {})).length < content.length * 1.001);
});

test('gzip() stores what does not compress, at every level, and deflates what stands beside', async () => {
  const content = Buffer.concat([noise(2 * block), text(2 * block)]);
  for (const level of [1, 9]) {
    const packed = await gzipped(content, { level });
    assert.ok(gunzipSync(packed).equals(content));
    assert.ok(packed.length < 2 * block * 1.001 + (await gzipped(text(2 * block), { level })).length);
    assert.ok(packed.includes(noise(65_000).subarray(100, 16_000)), `level ${level}`);
  }
});

test('gzip() gives its chunks memory that it uses again', { skip }, async () => {
  const packing = gzip(chunks(noise(12 * block), block), { parallel: 2 });
  const buffers = await Array.fromAsync(packing, ({ buffer, length }) => (length > 1000 ? buffer : undefined));
  assert.ok(new Set(buffers.filter((buffer) => buffer !== undefined)).size <= 3);
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
