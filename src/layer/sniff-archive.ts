// Whether bytes that come from somewhere are a tar archive, told by their beginning.
import { resume, sniffCompression } from './decompress.ts';
import { blockSize, parseHeader } from './header.ts';

/** What bytes begin with, compressed archives included; they are all to be read from `bytes`. */
export async function sniffArchive(
  source: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<{ readonly isArchive: boolean; readonly bytes: AsyncIterable<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < blockSize) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  return { isArchive: isArchive(head), bytes: resume(head, iterator, signal) };
}

function isArchive(head: Buffer): boolean {
  if (sniffCompression(head) !== 'none') return true;
  if (head.length < blockSize) return false;
  try {
    parseHeader(head.subarray(0, blockSize));
    return true;
  } catch {
    return false; // no checksum of a tar header
  }
}
