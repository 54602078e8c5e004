// One 512-byte tar header block: ustar, GNU and the older kinds. pax(5) "USTAR Interchange Format". tar-stream's codec writes it but
// for the numbers that it has no room for. Reading is our own: the codec takes digits as far as they go, and what is strict besides.
import { type ByteString, bytesFromBuffer } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { ustar } from './ustar.ts';

/** The fields that matter; numbers are checked only for being representable. */
export interface Header {
  readonly path: ByteString;
  readonly linkTarget: ByteString;
  /** One character. */
  readonly typeflag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
}

/** A header of a kind that is written. */
export type WritableHeader = Header & { readonly typeflag: keyof typeof codecTypes };

/** Bytes of a header and of the unit that content is padded to. */
export const blockSize = 512;

const space = 0x20;
const codecTypes = {
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
  x: 'pax-header',
} as const;
/** What the codec has room for. */
const sixDigits = 0o777777;
const largestCodecTime = 0x7fffffff;

/** True for the block of zeros that ends an archive. */
export function isZeroBlock(block: Buffer): boolean {
  for (let at = 0; at < blockSize; at++) if (block[at] !== 0) return false;
  return true;
}

/** @throws ERR_LAYER when the checksum is wrong or a number is none. */
export function parseHeader(block: Buffer): Header {
  checkSum(block);
  const typeflag = String.fromCharCode(block[156] ?? 0);
  const magic = block.toString('latin1', 257, 263);
  // Only devices have them; GNU and star keep other things there, and what is older than ustar has none.
  const isDevice = (typeflag === '3' || typeflag === '4') && /^ustar[\0 ]$/.test(magic);
  return {
    path: pathOf(block, magic),
    linkTarget: text(block, 157, 100),
    typeflag,
    mode: number(block, 100, 8, 'mode') & 0o7777,
    uid: number(block, 108, 8, 'uid'),
    gid: number(block, 116, 8, 'gid'),
    size: number(block, 124, 12, 'size'),
    mtime: number(block, 136, 12, 'mtime'),
    major: isDevice ? number(block, 329, 8, 'device major') : 0,
    minor: isDevice ? number(block, 337, 8, 'device minor') : 0,
  };
}

/** True where a path can stand in a header; what can't goes into an extended record. */
export function fitsHeader(path: ByteString): boolean {
  if (!/^[\x01-\x7f]+$/.test(path)) return false;
  if (path.length <= 100) return true;
  // The codec cuts at the first slash with at most 100 characters behind it; a name must be left there.
  const slash = path.indexOf('/', path.length - 101);
  return slash > 0 && slash <= 155 && slash < path.length - 1;
}

/**
 * A new block. The path must fit (`fitsHeader`), so must the link target, in 100 bytes; the time is from 0 to 8^11 - 1. Ids and
 * device numbers beyond seven octal digits are written in base 256.
 */
export function formatHeader(header: WritableHeader): Buffer {
  const { uid, gid, mtime, major, minor } = header;
  const block = ustar.encode({
    name: header.path,
    linkname: header.linkTarget,
    type: codecTypes[header.typeflag],
    mode: header.mode,
    uid,
    gid,
    size: header.size,
    mtime: new Date(mtime > largestCodecTime ? 0 : mtime * 1000),
    devmajor: major,
    devminor: minor,
  });
  if (block === null) throw new BuilderError('ERR_INTERNAL', 'Cannot write a tar header: a name does not fit');
  if (Math.max(uid, gid, major, minor) <= sixDigits && mtime <= largestCodecTime) return block;
  putNumber(block, 108, 8, uid);
  putNumber(block, 116, 8, gid);
  putNumber(block, 136, 12, mtime);
  putNumber(block, 329, 8, major);
  putNumber(block, 337, 8, minor);
  putChecksum(block);
  return block;
}

/**
 * Octal digits between spaces and NULs, or base-256 where the first bit is set.
 * @throws ERR_LAYER when it is neither, or beyond 2^53.
 */
export function number(block: Buffer, start: number, length: number, what: string): number {
  if (((block[start] ?? 0) & 0x80) !== 0) return base256(block.subarray(start, start + length), what);
  let end = start + length;
  while (end > start && isBlank(block[end - 1])) end--;
  let at = start;
  while (at < end && isBlank(block[at])) at++;
  let value = 0;
  for (; at < end && block[at] !== 0; at++) {
    if (!isOctal(block[at])) throw malformed(`its ${what} is not an octal number`);
    value = value * 8 + (block[at] ?? 0) - 0x30;
  }
  return value;
}

function checkSum(block: Buffer): void {
  const expected = number(block, 148, 8, 'checksum');
  const { unsigned, highBytes } = sumOf(block);
  // Some old archivers summed signed characters; a block of nothing but its sum is no header.
  const isSum = expected === unsigned || expected === unsigned - highBytes * 256;
  if (!isSum || unsigned === 8 * space) throw malformed('a header has a wrong checksum');
}

function pathOf(block: Buffer, magic: string): ByteString {
  const name = text(block, 0, 100);
  // star has times behind a shorter prefix.
  if (magic === 'ustar\0') return joinPrefix(text(block, 345, block.toString('latin1', 508, 512) === 'tar\0' ? 131 : 155), name);
  if (magic !== 'ustar ' || (block[345] === 0 && block[357] === 0)) return name;
  // Go before 1.8 put prefixes where GNU has times, and its readers still look for them (archive/tar, Reader.readHeader).
  const prefix = text(block, 345, 155);
  return (isNumeric(block, 345) && isNumeric(block, 357)) || /[^\x01-\x7f]/.test(prefix) ? name : joinPrefix(prefix, name);
}

function isNumeric(block: Buffer, start: number): boolean {
  if (block[start] === 0) return true;
  try {
    number(block, start, 12, 'time');
    return true;
  } catch {
    return false;
  }
}

function joinPrefix(prefix: ByteString, name: ByteString): ByteString {
  return prefix === '' ? name : (`${prefix}/${name}` as ByteString); // both are bytes
}

// A NUL-terminated field, which may also fill its place without a NUL.
function text(block: Buffer, start: number, length: number): ByteString {
  let end = start;
  while (end < start + length && block[end] !== 0) end++;
  return bytesFromBuffer(block, start, end);
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

function putNumber(block: Buffer, start: number, length: number, value: number): void {
  if (value < 8 ** (length - 1)) {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, start, 'latin1');
    return;
  }
  block.fill(0, start, start + length);
  block[start] = 0x80;
  block.writeUIntBE(value, start + length - 6, 6);
}

function putChecksum(block: Buffer): void {
  block.write(`${sumOf(block).unsigned.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

function sumOf(block: Buffer): { readonly unsigned: number; readonly highBytes: number } {
  let unsigned = 8 * space;
  let highBytes = 0;
  for (let at = 0; at < blockSize; at++) {
    if (at === 148) at = 156;
    const byte = block[at] ?? 0;
    unsigned += byte;
    if (byte > 127) highBytes++;
  }
  return { unsigned, highBytes };
}

function isOctal(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x37;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0 || byte === space;
}

/** What makes no sense in an archive. */
export function malformed(state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read archive: ${state}`);
}
