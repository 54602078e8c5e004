// Whoever stops reading, and for whatever reason, lets go of the source: a file or a connection.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { decompress } from '../../../src/layer/decompress.ts';
import { decompressArchive } from '../../../src/layer/decompress-archive.ts';
import { readEntries } from '../../../src/layer/read.ts';
import { randomFrom } from '../../support/random.ts';
import { tar } from '../../support/tar.ts';

const signal = new AbortController().signal;
const random = randomFrom(11);
const content = Buffer.from(Array.from({ length: 1_200_000 }, () => 97 + random(20)));

/** A source in small chunks that counts how often it was let go of; it never ends by itself. */
function watched(bytes: Buffer): { readonly source: AsyncIterable<Buffer>; readonly closed: () => number } {
  let closed = 0;
  const source = async function* (): AsyncGenerator<Buffer> {
    try {
      for (let at = 0; ; at += 4096) yield at < bytes.length ? bytes.subarray(at, at + 4096) : Buffer.alloc(4096);
    } finally {
      closed++;
    }
  };
  return { source: source(), closed: () => closed };
}

function packed(program: string): Buffer {
  const { stdout, status } = spawnSync(program, ['-1', '-c'], { input: content, maxBuffer: 1 << 26 });
  return status === 0 ? stdout : Buffer.alloc(0);
}

const formats: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['plain bytes', content],
  ['gzip', gzipSync(content, { level: 1 })],
  ['zstd', zstdCompressSync(content, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })],
  ['bzip2', packed('bzip2')],
  ['xz', packed('xz')],
];

async function settled(closed: () => number): Promise<number> {
  for (let turn = 0; turn < 200 && closed() === 0; turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  return closed();
}

for (const [name, bytes] of formats) {
  const skip = bytes.length === 0 ? `there is no ${name} here` : false;

  test(`decompressArchive() lets go of ${name} when its reader stops`, { skip }, async () => {
    const { source, closed } = watched(bytes);
    for await (const chunk of decompressArchive(source, signal)) {
      assert.ok(chunk.length > 0);
      break;
    }
    assert.equal(await settled(closed), 1);
  });

  test(`decompressArchive() lets go of ${name} when it is aborted`, { skip }, async () => {
    const { source, closed } = watched(bytes);
    const controller = new AbortController();
    await assert.rejects(async () => {
      for await (const chunk of decompressArchive(source, controller.signal)) if (chunk.length > 0) controller.abort(new Error('enough'));
    }, /enough/);
    assert.equal(await settled(closed), 1);
  });

  if (name === 'plain bytes') continue;
  test(`decompressArchive() lets go of ${name} that is damaged`, { skip }, async () => {
    const damaged = Buffer.from(bytes);
    damaged.fill(0x55, Math.floor(bytes.length / 3), Math.floor(bytes.length / 3) + 64);
    const { source, closed } = watched(damaged);
    await assert.rejects(Array.fromAsync(decompressArchive(source, signal)), { code: 'ERR_LAYER', message: /damaged/ });
    assert.equal(await settled(closed), 1);
  });
}

for (const name of ['bzip2', 'xz']) {
  test(`decompress() lets go of ${name}, which a layer can't be`, async () => {
    const { source, closed } = watched(formats.find(([format]) => format === name)?.[1] ?? Buffer.alloc(0));
    await assert.rejects(Array.fromAsync(decompress(source, signal)), {
      code: 'ERR_UNSUPPORTED',
      message: `Cannot decompress data: ${name} is not supported`,
      hint: 'use gzip or zstd',
    });
    assert.equal(closed(), 1);
  });
}

test('readEntries() lets go of its source when its reader stops, and when the archive is damaged', async () => {
  for (const bytes of [tar([{ path: 'a', content: 'x'.repeat(100_000) }, { path: 'b' }]), Buffer.alloc(5000, 'x')]) {
    const { source, closed } = watched(bytes);
    try {
      for await (const entry of readEntries(source, signal)) if (entry.path === 'a') break;
    } catch (error) {
      assert.match(String(error), /checksum/);
    }
    assert.equal(closed(), 1);
  }
});

test('what fails in the source is told as it is', async () => {
  for (const [, bytes] of formats) {
    const failing = async function* (): AsyncGenerator<Buffer> {
      yield bytes.subarray(0, 5000);
      throw new Error('the network is down');
    };
    await assert.rejects(Array.fromAsync(decompressArchive(failing(), signal)), /^Error: the network is down$/);
  }
});
