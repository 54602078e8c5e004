// One 512-byte tar header block, as it stands: ustar, GNU and the older kinds. pax(5) "USTAR Interchange Format".
import { type ByteString, bytesFromBuffer } from '../bytes.ts';
import { BuilderError } from '../errors.ts';

/** The fields that matter; numbers are checked only for being representable. */
export interface Header {
  readonly path: ByteString;
  readonly linkTarget: ByteString;
  /** One character; `'0'` also for the NUL of old archives. */
  readonly typeflag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
}

/** Bytes of a header and of the unit that content is padded to. */
export const blockSize = 512;

const space = 0x20;

/** True for the block of zeros that ends an archive. */
export function isZeroBlock(block: Buffer): boolean {
  for (let at = 0; at < blockSize; at++) if (block[at] !== 0) return false;
  return true;
}

/** @throws ERR_LAYER when the checksum is wrong or a number is none. */
export function parseHeader(block: Buffer): Header {
  verifyChecksum(block);
  const typeflag = block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0);
  const isDevice = typeflag === '3' || typeflag === '4';
  return {
    path: joinPrefix(prefixOf(block), text(block, 0, 100)),
    linkTarget: text(block, 157, 100),
    typeflag,
    mode: number(block, 100, 8, 'mode') & 0o7777,
    uid: number(block, 108, 8, 'uid'),
    gid: number(block, 116, 8, 'gid'),
    size: number(block, 124, 12, 'size'),
    mtime: number(block, 136, 12, 'mtime'),
    // Only devices have them; GNU and star keep other things there.
    major: isDevice ? number(block, 329, 8, 'device major') : 0,
    minor: isDevice ? number(block, 337, 8, 'device minor') : 0,
  };
}

/** A NUL-terminated field, which may also fill its place without a NUL. */
export function text(block: Buffer, start: number, length: number): ByteString {
  let end = start;
  while (end < start + length && block[end] !== 0) end++;
  return bytesFromBuffer(block, start, end);
}

/**
 * Octal digits between spaces and NULs, or base-256 where the first bit is set.
 * @throws ERR_LAYER when it is neither, or beyond 2^53.
 */
export function number(block: Buffer, start: number, length: number, what: string): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) !== 0) return base256(block.subarray(start, start + length), what);
  let at = start;
  const end = start + length;
  while (at < end && (block[at] === space || block[at] === 0)) at++;
  let value = 0;
  for (; at < end; at++) {
    const byte = block[at] ?? 0;
    if (byte === 0 || byte === space) break;
    if (byte < 0x30 || byte > 0x37) throw malformed(`its ${what} is not an octal number`);
    value = value * 8 + byte - 0x30;
  }
  return value;
}

function base256(field: Buffer, what: string): number {
  const isNegative = (field[0] ?? 0) & 0x40;
  let value = isNegative ? -1n : 0n;
  value = (value << 6n) | BigInt((field[0] ?? 0) & 0x3f);
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw malformed(`its ${what} ${value} is out of range`);
  return result;
}

function prefixOf(block: Buffer): ByteString {
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return bytesFromBuffer(block, 0, 0);
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  return text(block, 345, isStar ? 131 : 155);
}

function joinPrefix(prefix: ByteString, name: ByteString): ByteString {
  return prefix === '' ? name : (`${prefix}/${name}` as ByteString); // both are bytes
}

function verifyChecksum(block: Buffer): void {
  let unsigned = 8 * space;
  let highBytes = 0;
  for (let at = 0; at < blockSize; at++) {
    if (at === 148) at = 156;
    const byte = block[at] ?? 0;
    unsigned += byte;
    if (byte > 127) highBytes++;
  }
  const stored = number(block, 148, 8, 'checksum');
  // Some old archivers summed signed characters.
  if (stored !== unsigned && stored !== unsigned - highBytes * 256) throw malformed('a header has a wrong checksum');
}

function malformed(state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read archive: ${state}`);
}
