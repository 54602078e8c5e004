// PAX records, exact in bytes both ways: "<length> <key>=<value>\n". pax(5) "Extended Header".
import { type ByteString, bytesFromBuffer, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Timestamp } from './entry.ts';

/** One record; `undefined` takes back what a global header said. */
export type PaxRecord = readonly [key: ByteString, value: Buffer | undefined];

/** Longest block of records or long name that is read: 1 MiB. */
export const maximumMetaSize = 1024 * 1024;

/** @throws ERR_LAYER for anything but whole records, so that no two readers see different archives. */
export function parsePax(block: Buffer): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let start = 0; start < block.length;) {
    const blank = block.indexOf(0x20, start);
    const digits = blank === -1 ? '' : block.toString('latin1', start, blank);
    if (!/^[1-9]\d{0,7}$/.test(digits)) throw malformed('a record has no length');
    const end = start + Number(digits);
    const equals = block.indexOf(0x3d, blank);
    if (end > block.length || block[end - 1] !== 0x0a) throw malformed('a record has a wrong length');
    if (equals <= blank + 1 || equals >= end) throw malformed('a record has no key');
    records.push([
      bytesFromBuffer(block, blank + 1, equals),
      equals + 1 === end - 1 ? undefined : Buffer.from(block.subarray(equals + 1, end - 1)),
    ]);
    start = end;
  }
  return records;
}

/** The records as one block, without padding; nothing for no records. */
export function formatPax(records: readonly (readonly [key: string, value: Buffer | string])[]): Buffer {
  const parts: Buffer[] = [];
  for (const [key, value] of records) {
    const body = Buffer.concat([
      Buffer.from(` ${key}=`, 'latin1'),
      typeof value === 'string' ? Buffer.from(value, 'latin1') : value,
      Buffer.from('\n'),
    ]);
    parts.push(Buffer.from(String(lengthWithDigits(body.length))), body);
  }
  return Buffer.concat(parts);
}

/** @throws ERR_LAYER when the value is no decimal number of seconds, or has more than a double's 53 bits. */
export function parsePaxTime(value: ByteString): Timestamp {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(value);
  const whole = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(whole)) throw malformed(`a time is ${JSON.stringify(textFromBytes(value))}`);
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (match[1] === '') return { seconds: whole, nanoseconds };
  return nanoseconds === 0 ? { seconds: 0 - whole, nanoseconds: 0 } : { seconds: -whole - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

/** Seconds with as many decimals as needed; the inverse of `parsePaxTime`. */
export function formatPaxTime(time: Timestamp): string {
  const fraction = (nanoseconds: number): string => {
    return nanoseconds === 0 ? '' : `.${String(nanoseconds).padStart(9, '0').replace(/0+$/, '')}`;
  };
  if (time.seconds >= 0 || time.nanoseconds === 0) return `${time.seconds}${fraction(time.nanoseconds)}`;
  return `-${-time.seconds - 1}${fraction(1_000_000_000 - time.nanoseconds)}`;
}

/** @throws ERR_LAYER when the value is not a plain decimal number up to 2^53. */
export function parsePaxNumber(value: ByteString, what: string): number {
  const result = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(result)) throw malformed(`its ${what} is ${JSON.stringify(textFromBytes(value))}`);
  return result;
}

/** The attributes that records set. Two spellings are read: SCHILY's raw bytes and libarchive's base64. */
export function xattrOfRecord(key: ByteString, value: Buffer): readonly [name: string, value: Buffer] | undefined {
  const pair = xattrPair(key, value);
  if (pair === undefined) return undefined;
  if (pair[0] === '' || pair[0].includes('\0')) throw malformed('an extended attribute has no usable name');
  if (pair[1].length > 65536) throw malformed(`extended attribute ${pair[0]} has more than 64 KiB`);
  return pair;
}

function xattrPair(key: ByteString, value: Buffer): readonly [name: string, value: Buffer] | undefined {
  if (key.startsWith('SCHILY.xattr.')) return [key.slice('SCHILY.xattr.'.length), value];
  if (!key.startsWith('LIBARCHIVE.xattr.')) return undefined;
  const name = key
    .slice('LIBARCHIVE.xattr.'.length)
    .replace(/%([0-9A-Fa-f]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return [name, bufferFromBase64(value)];
}

function bufferFromBase64(value: Buffer): Buffer {
  return Buffer.from(value.toString('latin1'), 'base64');
}

// The length counts its own digits.
function lengthWithDigits(length: number): number {
  let total = length + String(length).length;
  if (length + String(total).length !== total) total = length + String(total).length;
  return total;
}

function malformed(state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read archive: in an extended header ${state}`);
}
