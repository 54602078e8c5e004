// A second reading of the tar format, for judging layers: it shares nothing with src/layer, so that a misreading there
// can't hide itself here. POSIX.1-2001 (ustar, pax) and the GNU long names.
import { createHash } from 'node:crypto';

export type MemberType = 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'dir' | 'fifo';

export interface TarMember {
  /** As written in the archive, bytes as UTF-8. */
  readonly name: string;
  readonly type: MemberType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Whole seconds. */
  readonly mtime: number;
  readonly linkname: string;
  readonly device: string;
  /** Values in latin1, one character a byte. */
  readonly xattrs: ReadonlyMap<string, string>;
  readonly sha256: string;
}

const types: Readonly<Record<string, MemberType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
};

/**
 * Every member of an uncompressed archive, in order; file contents are hashed, not kept.
 * @throws Error when a header's checksum is wrong, the archive ends early, or a type is unknown.
 */
export async function readTar(source: AsyncIterable<Uint8Array>): Promise<TarMember[]> {
  const input = new BlockInput(source);
  const members: TarMember[] = [];
  let pax = new Map<string, Buffer>();
  let longName: string | undefined;
  let longLink: string | undefined;
  for (;;) {
    const header = await input.take(512);
    if (header === undefined || header.every((byte) => byte === 0)) break;
    checkSum(header);
    const flag = String.fromCharCode(header[156] ?? 0);
    const size = pax.has('size') ? Number(pax.get('size')) : number(header, 124, 12);
    if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
      const body = await input.takeAll(size);
      if (flag === 'x') pax = paxRecords(body);
      else if (flag === 'L') longName = cString(body);
      else if (flag === 'K') longLink = cString(body);
      else if (body.length > 0) throw new Error('the archive holds global pax records');
      continue;
    }
    members.push(await readMember(input, header, size, pax, { name: longName, link: longLink }));
    pax = new Map();
    longName = undefined;
    longLink = undefined;
  }
  await input.drain();
  return members;
}

async function readMember(
  input: BlockInput,
  header: Buffer,
  size: number,
  pax: ReadonlyMap<string, Buffer>,
  long: { readonly name: string | undefined; readonly link: string | undefined },
): Promise<TarMember> {
  const flag = String.fromCharCode(header[156] ?? 0);
  const type = types[flag];
  if (type === undefined) throw new Error(`a member has type ${JSON.stringify(flag)}`);
  const sha256 = await input.hash(type === 'file' ? size : 0);
  const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? cString(header.subarray(345, 500)) : '';
  const shortName = cString(header.subarray(0, 100));
  const value = (key: string, start: number, length: number) => (pax.has(key) ? Number(pax.get(key)) : number(header, start, length));
  return {
    name: pax.get('path')?.toString() ?? long.name ?? (prefix === '' ? shortName : `${prefix}/${shortName}`),
    type,
    mode: number(header, 100, 8) & 0o7777,
    uid: value('uid', 108, 8),
    gid: value('gid', 116, 8),
    size: type === 'file' ? size : 0,
    mtime: Math.floor(value('mtime', 136, 12)),
    linkname: pax.get('linkpath')?.toString() ?? long.link ?? cString(header.subarray(157, 257)),
    device: type === 'char' || type === 'block' ? `${number(header, 329, 8)}:${number(header, 337, 8)}` : '',
    xattrs: xattrs(pax),
    sha256,
  };
}

class BlockInput {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** Exactly `length` bytes, or undefined at the end. */
  async take(length: number): Promise<Buffer | undefined> {
    while (this.#rest.length < length) {
      const next = await this.#chunks.next();
      if (next.done === true) {
        if (this.#rest.length > 0) throw new Error('the archive ends inside a member');
        return undefined;
      }
      this.#rest = Buffer.concat([this.#rest, next.value]);
    }
    const head = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return head;
  }

  /** A whole small body without its padding. */
  async takeAll(length: number): Promise<Buffer> {
    const padded = length === 0 ? Buffer.alloc(0) : await this.take(Math.ceil(length / 512) * 512);
    if (padded === undefined) throw new Error('the archive ends inside a member');
    return Buffer.from(padded.subarray(0, length));
  }

  /** Reads past a body and its padding; gives the body's SHA-256. */
  async hash(length: number): Promise<string> {
    const hash = createHash('sha256');
    let left = length;
    while (left > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) throw new Error('the archive ends inside a member');
        this.#rest = Buffer.from(next.value);
      }
      const part = this.#rest.subarray(0, left);
      hash.update(part);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
    }
    const padding = (512 - (length % 512)) % 512;
    if (padding > 0 && (await this.take(padding)) === undefined) throw new Error('the archive ends inside a member');
    return hash.digest('hex');
  }

  /** Reads to the end, so that whoever hashes the stream has seen all of it. */
  async drain(): Promise<void> {
    while ((await this.#chunks.next()).done !== true);
  }
}

function checkSum(header: Buffer): void {
  let sum = 0;
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 32 : byte;
  const stored = number(header, 148, 8);
  if (sum !== stored) throw new Error(`a header's checksum is ${stored}, its bytes add up to ${sum}`);
}

function number(header: Buffer, start: number, length: number): number {
  const field = header.subarray(start, start + length);
  const first = field[0] ?? 0;
  if ((first & 0x80) === 0) {
    const text = cString(field).trim();
    return text === '' ? 0 : Number.parseInt(text, 8);
  }
  // GNU base-256: the highest bit is a mark, the next one the sign
  let value = first & 0x40 ? -1n : 0n;
  value = (value << 6n) | BigInt(first & 0x3f);
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  return Number(value);
}

function cString(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? field.length : end);
}

function paxRecords(body: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  let at = 0;
  while (at < body.length) {
    const space = body.indexOf(' ', at);
    const length = Number(body.toString('latin1', at, space));
    if (!Number.isInteger(length) || length <= 0 || body[at + length - 1] !== 10) throw new Error('a pax record is malformed');
    const equals = body.indexOf('=', space);
    records.set(body.toString('utf8', space + 1, equals), body.subarray(equals + 1, at + length - 1));
    at += length;
  }
  return records;
}

function xattrs(pax: ReadonlyMap<string, Buffer>): ReadonlyMap<string, string> {
  const prefix = 'SCHILY.xattr.';
  return new Map(
    [...pax].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key.slice(prefix.length), value.toString('latin1')]),
  );
}
