// Header blocks into the block that is being filled. Most headers of a layer differ in name, size, time and sum alone: the codec makes
// one of each other kind, and those are put into a copy of it, in a quarter of the time.
import type { ByteString } from '../bytes.ts';
import { type WritableHeader, formatHeader, number } from './header.ts';

interface Pattern {
  /** A header without name, of size and time 0. */
  readonly block: Buffer;
  readonly sum: number;
}

const noName = '' as ByteString; // ASCII
const largestOctal = 8 ** 11;
const largestTime = 0x7fffffff;
const mostPatterns = 256;

export class HeaderWriter {
  readonly #patterns = new Map<string, Pattern>();

  /** Puts what `formatHeader` gives into `block` at `at`, where 512 bytes are free. */
  put(header: WritableHeader, block: Buffer, at: number): void {
    const { path, linkTarget, size, mtime } = header;
    const isUsual = linkTarget === '' && path.length <= 100 && size < largestOctal && mtime <= largestTime;
    const pathSum = isUsual ? sumOfName(path) : undefined;
    if (pathSum === undefined) {
      formatHeader(header).copy(block, at);
      return;
    }
    const { block: pattern, sum } = this.#patternOf(header);
    block.set(pattern, at);
    block.write(path, at, 'latin1');
    putDigits(block, at + 148, 6, sum + pathSum + putDigits(block, at + 124, 11, size) + putDigits(block, at + 136, 11, mtime));
  }

  #patternOf(header: WritableHeader): Pattern {
    const { typeflag, mode, uid, gid, major, minor } = header;
    const key = `${typeflag} ${mode} ${uid} ${gid} ${major} ${minor}`;
    const known = this.#patterns.get(key);
    if (known !== undefined) return known;
    const block = formatHeader({ ...header, path: noName, size: 0, mtime: 0 });
    const pattern = { block, sum: number(block, 148, 8, 'checksum') };
    if (this.#patterns.size >= mostPatterns) this.#patterns.clear();
    this.#patterns.set(key, pattern);
    return pattern;
  }
}

// Undefined for a name that is not ASCII.
function sumOfName(path: ByteString): number | undefined {
  let sum = 0;
  for (let index = 0; index < path.length; index++) {
    const byte = path.charCodeAt(index);
    if (byte > 0x7f) return undefined;
    sum += byte;
  }
  return sum;
}

// Octal, with zeros in front; gives what that adds to the sum of a header that had zeros there.
function putDigits(block: Buffer, start: number, length: number, value: number): number {
  let sum = 0;
  for (let at = start + length - 1, rest = value; at >= start; at--) {
    const digit = rest % 8;
    block[at] = 0x30 + digit;
    sum += digit;
    rest = (rest - digit) / 8;
  }
  return sum;
}
