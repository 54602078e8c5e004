// PAX records, exact in bytes both ways: "<length> <key>=<value>\n". pax(5) "Extended Header".
import { type ByteString, bytesFromBuffer } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Timestamp } from './entry.ts';
import { show } from './show.ts';

/** What an extended header says; a key without a value is not there. */
export type PaxRecords = ReadonlyMap<ByteString, Buffer>;

const xattrPrefix = 'SCHILY.xattr.';

/** Longest block of records or long name that is read: 1 MiB, as in Go's archive/tar, by which engines read. */
export const maximumMetaSize = 1024 * 1024;
/** Most records of one block: more than a map of 1 MiB has. */
const maximumRecords = 65536;

/**
 * Reads a block of records; the last one of a key counts. The pairs of sparse format 0.0, which repeat their keys, are put
 * together to the one list of format 0.1.
 * @throws ERR_LAYER for anything but whole records, so that no two readers see different archives.
 */
export function parsePax(block: Buffer): PaxRecords {
  const records = new Map<ByteString, Buffer>();
  const pairs: ByteString[] = [];
  let count = 0;
  for (let start = 0; start < block.length; count++) {
    if (count === maximumRecords) throw malformed(`there are more than ${maximumRecords} records`);
    const { key, value, end } = parseRecord(block, start);
    start = end;
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      if ((pairs.length % 2 === 0) !== (key === 'GNU.sparse.offset')) throw malformed('the map of a sparse file is not in order');
      pairs.push(bytesFromBuffer(value));
    } else if (value.length === 0) records.delete(key);
    else records.set(key, value);
  }
  if (pairs.length > 0) records.set('GNU.sparse.map' as ByteString, Buffer.from(pairs.join(','), 'latin1')); // ASCII
  return records;
}

function parseRecord(block: Buffer, start: number): { readonly key: ByteString; readonly value: Buffer; readonly end: number } {
  const digits = /^[1-9]\d{0,6} /.exec(block.toString('latin1', start, start + 8))?.[0];
  if (digits === undefined) throw malformed('a record has no length');
  const end = start + Number(digits);
  const keyStart = start + digits.length;
  if (end > block.length || end <= keyStart || block[end - 1] !== 0x0a) throw malformed('a record has a wrong length');
  const equals = block.subarray(keyStart, end).indexOf(0x3d) + keyStart;
  const key = bytesFromBuffer(block, keyStart, Math.max(equals, keyStart));
  if (key === '' || key.includes('\0')) throw malformed('a record has no key');
  return { key, value: block.subarray(equals + 1, end - 1), end };
}

/** The records as one block, without padding; nothing for no records. */
export function formatPax(records: readonly (readonly [key: string, value: Buffer | string])[]): Buffer {
  let text = '';
  for (const [key, value] of records) {
    const body = ` ${key}=${typeof value === 'string' ? value : value.toString('latin1')}\n`;
    text += `${lengthWithDigits(body.length)}${body}`;
  }
  return Buffer.from(text, 'latin1');
}

/** @throws ERR_LAYER when the value is no decimal number of seconds, or has more than a double's 53 bits. */
export function parsePaxTime(value: ByteString): Timestamp {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(value);
  const whole = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(whole)) throw malformed(`a time is ${show(value)}`);
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
  if (!Number.isSafeInteger(result)) throw malformed(`its ${what} is ${show(value)}`);
  return result;
}

/**
 * The attributes that records set. Those under libarchive's own name, which its archives have besides, are none to engines.
 * @throws ERR_LAYER for one without a name or of more than 64 KiB
 */
export function xattrsOf(records: PaxRecords): ReadonlyMap<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (const [key, value] of records) {
    if (!key.startsWith(xattrPrefix)) continue;
    const name = key.slice(xattrPrefix.length) as ByteString; // a part of bytes
    if (name === '') throw malformed('an extended attribute has no name');
    if (value.length > 65536) throw malformed(`extended attribute ${show(name)} has more than 64 KiB`);
    // A copy: a view would keep the whole block in memory.
    xattrs.set(name, Buffer.from(value));
  }
  return xattrs;
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
