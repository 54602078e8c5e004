// Tells blocks that zlib would toil over for nothing: random, encrypted or compressed data.
import { deflateRaw } from 'node:zlib';

/** Every so many bytes are counted: 32,768 of a block of 512 KiB, which takes a fiftieth of a millisecond. */
const step = 16;
/** How far from even the counted bytes may be: 1 is even, random bytes come to 1.01, text to 10 and more. */
const evenness = 1.05;
const sampleBytes = 64 * 1024;

/** Whether deflating the block would save nothing: all bytes are as frequent, and a piece of it was tried and got no shorter. */
export async function isIncompressible(block: Buffer): Promise<boolean> {
  if (block.length < sampleBytes || !isEven(block)) return false;
  // What is even can still repeat.
  const at = Math.floor((block.length - sampleBytes) / 2);
  const sample = block.subarray(at, at + sampleBytes);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  deflateRaw(sample, { level: 1, chunkSize: sampleBytes + 1024 }, (error, deflated) =>
    error === null ? resolve(deflated) : reject(error),
  );
  return (await promise).length >= sampleBytes;
}

function isEven(block: Buffer): boolean {
  const counts = new Uint32Array(256);
  for (let at = 0; at < block.length; at += step) {
    const byte = block[at] ?? 0;
    counts[byte] = (counts[byte] ?? 0) + 1;
  }
  const counted = Math.ceil(block.length / step);
  const squares = counts.reduce((sum, count) => sum + count ** 2, 0);
  return (squares * counts.length) / counted ** 2 < evenness;
}
