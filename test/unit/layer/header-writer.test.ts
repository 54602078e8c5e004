import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ByteString, bytesFromBuffer } from '../../../src/bytes.ts';
import { type WritableHeader, blockSize, fitsHeader, formatHeader, parseHeader } from '../../../src/layer/header.ts';
import { HeaderWriter } from '../../../src/layer/header-writer.ts';
import { randomFrom } from '../../support/random.ts';

const bounds = [0, 1, 7, 8, 0o777777, 0o1000000, 0o7777777];
const sizes = [0, 1, 4096, 8 ** 11 - 1, 8 ** 11, 2 ** 40];
const times = [0, 1, 1_700_000_000, 0x7fffffff, 0x80000000, 0o77777777777];
const types = ['0', '1', '2', '3', '4', '5', '6', 'x'] as const;

function randomHeader(random: (limit: number) => number): WritableHeader {
  const pick = <Value>(values: readonly [Value, ...Value[]] | readonly Value[], otherwise: Value): Value =>
    values[random(values.length)] ?? otherwise;
  const name = bytesFromBuffer(Buffer.from(Array.from({ length: 1 + random(random(2) === 0 ? 20 : 180) }, () => 1 + random(127))));
  const typeflag = pick(types, '0');
  return {
    path: fitsHeader(name) ? name : ('a/b' as ByteString), // ASCII
    linkTarget: (typeflag === '1' || typeflag === '2' ? 'to' : '') as ByteString, // ASCII
    typeflag,
    mode: random(0o10000),
    uid: pick(bounds, 0),
    gid: pick(bounds, 0),
    size: pick(sizes, 0),
    mtime: pick(times, 0),
    major: typeflag === '3' ? random(4096) : 0,
    minor: typeflag === '3' ? random(256) : 0,
  };
}

test('a header writer puts the bytes that formatHeader() gives, and nothing beside them', () => {
  const random = randomFrom(7);
  const writer = new HeaderWriter();
  for (let turn = 0; turn < 5000; turn++) {
    const header = randomHeader(random);
    const blocks = Buffer.alloc(3 * blockSize, 0xee);
    writer.put(header, blocks, blockSize);
    assert.ok(blocks.subarray(blockSize, 2 * blockSize).equals(formatHeader(header)), JSON.stringify(header));
    assert.ok(
      blocks.subarray(0, blockSize).every((byte) => byte === 0xee) && blocks.subarray(2 * blockSize).every((byte) => byte === 0xee),
    );
  }
});

test('a header writer keeps what is not ASCII out of a name, as formatHeader() does', () => {
  const header = { ...randomHeader(randomFrom(1)), path: bytesFromBuffer(Buffer.from([0x61, 0xff])) };
  assert.throws(() => new HeaderWriter().put(header, Buffer.alloc(blockSize), 0), /a name does not fit/);
});

test('a header writer gives each of two files its own name, size and time', () => {
  const block = Buffer.alloc(2 * blockSize);
  const writer = new HeaderWriter();
  const common = { linkTarget: '' as ByteString, typeflag: '0', mode: 0o644, uid: 1, gid: 2, major: 0, minor: 0 } as const; // ASCII
  writer.put({ ...common, path: 'long/name' as ByteString, size: 0o7654321, mtime: 1_700_000_000 }, block, 0); // ASCII
  writer.put({ ...common, path: 'b' as ByteString, size: 5, mtime: 6 }, block, blockSize); // ASCII
  assert.deepEqual(
    [parseHeader(block.subarray(0, blockSize)), parseHeader(block.subarray(blockSize))].map(({ path, size, mtime }) => [path, size, mtime]),
    [
      ['long/name', 0o7654321, 1_700_000_000],
      ['b', 5, 6],
    ],
  );
});
