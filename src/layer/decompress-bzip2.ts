// bzip2, for ADD of local archives: Node's zlib hasn't it, and a program from the image must never read the build's files.
// Whole blocks are decoded at once from a window that surely holds one, so that memory stays the same for any size.
import { BuilderError } from '../errors.ts';
import { BitWindow } from './bit-window.ts';

const blockMagic = 0x314159265359;
const endMagic = 0x177245385090;
// 900,000 symbols of at most 20 bits, and the tables in front of them.
const largestBlock = 3 * 1024 * 1024;
const outputSize = 256 * 1024;
const groupSize = 50;
const maxCodeLength = 20;

/** The plain bytes of a bzip2 file, which may be several streams in a row. @throws BuilderError ERR_LAYER for damaged data */
export async function* decompressBzip2(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const input = new BitWindow(source, () => damaged('it ends too early'));
  let level = await readStreamHeader(input);
  if (level === undefined) throw damaged('it does not begin as one');
  let streamCrc = 0;
  while (level !== undefined) {
    await input.fill(largestBlock);
    const magic: number = input.bits(24) * 0x1000000 + input.bits(24);
    if (magic === blockMagic) {
      const expected = input.word();
      const block = decodeBlock(input, level * 100_000);
      const crc = new Crc();
      yield* expandRuns(block.bytes, block.start, crc);
      if (crc.value !== expected) throw damaged('a checksum is wrong');
      streamCrc = (((streamCrc << 1) | (streamCrc >>> 31)) ^ expected) >>> 0;
    } else if (magic === endMagic) {
      if (input.word() !== streamCrc) throw damaged('the checksum of the whole is wrong');
      streamCrc = 0;
      input.alignToByte();
      // What follows and is no stream of its own is passed over, as bzip2(1) does.
      level = await readStreamHeader(input);
    } else throw damaged('a block does not begin as one');
  }
  await input.drain();
}

async function readStreamHeader(input: BitWindow): Promise<number | undefined> {
  await input.fill(4);
  if (input.available < 4 || input.bits(24) !== 0x425a68) return undefined;
  const level = input.bits(8) - 0x30;
  return level >= 1 && level <= 9 ? level : undefined;
}

/** A canonical Huffman code: for each length the last code that has it, and where its symbols start. */
interface Code {
  readonly limits: Int32Array;
  readonly offsets: Int32Array;
  readonly symbols: Uint16Array;
  readonly shortest: number;
}

interface Block {
  /** Bytes in their order before sorting, one to a low byte; the upper 24 bits chain them. */
  readonly bytes: Uint32Array;
  readonly start: number;
}

function decodeBlock(input: BitWindow, capacity: number): Block {
  if (input.bits(1) === 1) throw damaged('it uses randomised blocks, which no bzip2 has written since 1999');
  const origin = input.bits(24);
  const used = readUsedBytes(input);
  const codeCount = input.bits(3);
  if (codeCount < 2 || codeCount > 6) throw damaged('a block has a wrong number of codes');
  const selectors = readSelectors(input, codeCount);
  const codes = Array.from({ length: codeCount }, () => readCode(input, used.length + 2));
  const bytes = new Uint32Array(capacity);
  const counts = new Uint32Array(256);
  const length = readSymbols(input, { selectors, codes, used }, bytes, counts);
  if (origin >= length) throw damaged('a block starts outside itself');
  const start = unsort(bytes.subarray(0, length), counts, origin);
  return { bytes: bytes.subarray(0, length), start };
}

function readUsedBytes(input: BitWindow): number[] {
  const groups = input.bits(16);
  const used: number[] = [];
  for (let group = 0; group < 16; group += 1) {
    if ((groups & (0x8000 >>> group)) === 0) continue;
    const members = input.bits(16);
    for (let member = 0; member < 16; member += 1) if ((members & (0x8000 >>> member)) !== 0) used.push(group * 16 + member);
  }
  if (used.length === 0) throw damaged('a block uses no bytes');
  return used;
}

function readSelectors(input: BitWindow, codeCount: number): Uint8Array {
  const count = input.bits(15);
  if (count === 0) throw damaged('a block has no selectors');
  const recent = Array.from({ length: codeCount }, (_, index) => index);
  const selectors = new Uint8Array(count);
  for (let at = 0; at < count; at += 1) {
    let position = 0;
    while (input.bits(1) === 1) position += 1;
    const [code] = recent.splice(position, 1);
    if (code === undefined) throw damaged('a selector is wrong');
    recent.unshift(code);
    selectors[at] = code;
  }
  return selectors;
}

function readCode(input: BitWindow, symbolCount: number): Code {
  const lengths = new Uint8Array(symbolCount);
  let length = input.bits(5);
  for (let symbol = 0; symbol < symbolCount; symbol += 1) {
    while (input.bits(1) === 1) length += input.bits(1) === 1 ? -1 : 1;
    if (length < 1 || length > maxCodeLength) throw damaged('a code is too long');
    lengths[symbol] = length;
  }
  const limits = new Int32Array(maxCodeLength + 2).fill(-1);
  const offsets = new Int32Array(maxCodeLength + 2);
  const symbols = new Uint16Array(symbolCount);
  let code = 0;
  let placed = 0;
  for (let each = 1; each <= maxCodeLength; each += 1) {
    offsets[each] = placed - code;
    for (let symbol = 0; symbol < symbolCount; symbol += 1) {
      if (lengths[symbol] !== each) continue;
      symbols[placed] = symbol;
      placed += 1;
      code += 1;
    }
    limits[each] = code - 1;
    code <<= 1;
  }
  return { limits, offsets, symbols, shortest: Math.min(...lengths) };
}

interface Tables {
  readonly selectors: Uint8Array;
  readonly codes: readonly Code[];
  readonly used: readonly number[];
}

// Huffman, then runs of the most recent byte, then move-to-front. Returns how many bytes the block has.
function readSymbols(input: BitWindow, { selectors, codes, used }: Tables, bytes: Uint32Array, counts: Uint32Array): number {
  const recent = Uint8Array.from(used);
  const endOfBlock = used.length + 1;
  let length = 0;
  let run = 0;
  let weight = 1;
  for (let group = 0; ; group += 1) {
    const code = codes[selectors[group] ?? codes.length];
    if (code === undefined) throw damaged('a block has too few selectors');
    for (let left = groupSize; left > 0; left -= 1) {
      const symbol = readSymbol(input, code);
      if (symbol <= 1) {
        run += weight << symbol;
        weight *= 2;
        if (run > bytes.length) throw damaged('a block is too long');
        continue;
      }
      if (run > 0) {
        length = fill(bytes, counts, length, run, recent[0] ?? 0);
        run = 0;
        weight = 1;
      }
      if (symbol === endOfBlock) return length;
      const byte = recent[symbol - 1] ?? 0;
      recent.copyWithin(1, 0, symbol - 1);
      recent[0] = byte;
      length = fill(bytes, counts, length, 1, byte);
    }
  }
}

function readSymbol(input: BitWindow, { limits, offsets, symbols, shortest }: Code): number {
  const ahead = input.peek(maxCodeLength);
  for (let length = shortest; length <= maxCodeLength; length += 1) {
    const code = ahead >>> (maxCodeLength - length);
    if (code > (limits[length] ?? -1)) continue;
    input.skip(length);
    const symbol = symbols[code + (offsets[length] ?? 0)];
    if (symbol !== undefined) return symbol;
    break;
  }
  throw damaged('a code stands for nothing');
}

function fill(bytes: Uint32Array, counts: Uint32Array, from: number, count: number, byte: number): number {
  if (from + count > bytes.length) throw damaged('a block is too long');
  bytes.fill(byte, from, from + count);
  counts[byte] = (counts[byte] ?? 0) + count;
  return from + count;
}

// The inverse of the Burrows-Wheeler transform: each entry's upper bits become the place of the byte after it.
function unsort(bytes: Uint32Array, counts: Uint32Array, origin: number): number {
  const places = new Uint32Array(256);
  for (let byte = 1; byte < 256; byte += 1) places[byte] = (places[byte - 1] ?? 0) + (counts[byte - 1] ?? 0);
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = (bytes[at] ?? 0) & 0xff;
    const place = places[byte] ?? 0;
    places[byte] = place + 1;
    bytes[place] = ((bytes[place] ?? 0) & 0xff) | (at << 8);
  }
  return (bytes[origin] ?? 0) >>> 8;
}

// Four equal bytes are followed by how many more there are.
function* expandRuns(bytes: Uint32Array, start: number, crc: Crc): Generator<Buffer> {
  let output = Buffer.allocUnsafe(outputSize);
  let length = 0;
  let place = start;
  let previous = -1;
  let equal = 0;
  for (let left = bytes.length; left > 0; left -= 1) {
    const entry = bytes[place] ?? 0;
    place = entry >>> 8;
    const byte = entry & 0xff;
    if (length + 256 > outputSize) {
      yield crc.update(output.subarray(0, length));
      output = Buffer.allocUnsafe(outputSize);
      length = 0;
    }
    if (equal === 4) {
      output.fill(previous, length, length + byte);
      length += byte;
      equal = 0;
      previous = -1;
      continue;
    }
    equal = byte === previous ? equal + 1 : 1;
    previous = byte;
    output[length] = byte;
    length += 1;
  }
  if (length > 0) yield crc.update(output.subarray(0, length));
}

/** CRC-32 as bzip2 has it: of the same polynomial as everyone's, highest bit first. */
class Crc {
  static readonly #table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte << 24;
    for (let bit = 0; bit < 8; bit += 1) value = value < 0 ? (value << 1) ^ 0x04c11db7 : value << 1;
    return value >>> 0;
  });
  #value = 0xffffffff;

  get value(): number {
    return ~this.#value >>> 0;
  }

  update(bytes: Buffer): Buffer {
    let value = this.#value;
    for (const byte of bytes) value = (value << 8) ^ (Crc.#table[(value >>> 24) ^ byte] ?? 0);
    this.#value = value;
    return bytes;
  }
}

function damaged(state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot decompress data: the bzip2 stream is damaged, ${state}`);
}
