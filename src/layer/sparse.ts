// Files with holes, in the four ways archives have told of them. We only read them: no layer that is written tells of any.
// GNU tar manual, "Storing Sparse Files".
import { type ByteString, bytesFromBuffer } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { blockSize, number } from './header.ts';
import { type PaxRecords, maximumMetaSize, parsePaxNumber } from './pax.ts';

/** A run of stored bytes and where in the file it belongs. */
interface SparseRegion {
  readonly offset: number;
  readonly length: number;
}

/** A file of `size` bytes of which only the regions are stored. */
export interface SparseMap {
  readonly size: number;
  readonly regions: readonly SparseRegion[];
}

/** Where more bytes of the archive come from. */
export interface BlockSource {
  readonly take: (length: number) => Promise<Buffer>;
}

/** What an extended header says of a file with holes: where its map stands, and what it is really called and how long. */
export interface PaxSparse {
  readonly map: 'in records' | 'in content';
  readonly name: ByteString | undefined;
  readonly size: number | undefined;
}

const mapKey = 'GNU.sparse.map' as ByteString; // ASCII
const maximumRegions = 65536;
const regionsInBlock = 21;
const maximumDigits = 16;
const newline = 0x0a;
const zeros = Buffer.alloc(65536);

/** GNU's old format: four regions in the header, more in blocks behind it. */
export async function readOldSparse(header: Buffer, source: BlockSource): Promise<SparseMap> {
  const size = number(header, 483, 12, 'real size');
  const regions: SparseRegion[] = [];
  appendRegions(header, 386, 4, regions);
  let isExtended = header[482] !== 0;
  for (let blocks = 0; isExtended; blocks++) {
    // Blocks may be empty, so that counting regions is not enough.
    if (blocks > maximumRegions / regionsInBlock) throw malformed('is too long');
    const block = await source.take(blockSize);
    appendRegions(block, 0, regionsInBlock, regions);
    isExtended = block[504] !== 0;
  }
  return checked({ size, regions });
}

/**
 * Tells a file with holes by the keys that Go's archive/tar tells it by, and so engines; what else there is of such keys
 * means nothing.
 */
export function paxSparseOf(records: PaxRecords): PaxSparse | undefined {
  const textOf = (key: string): ByteString | undefined => {
    const value = records.get(key as ByteString); // ASCII
    return value === undefined ? undefined : bytesFromBuffer(value);
  };
  const version = `${textOf('GNU.sparse.major') ?? ''}.${textOf('GNU.sparse.minor') ?? ''}`;
  const isListed = version === '0.0' || version === '0.1' || (version === '.' && records.has(mapKey));
  if (!isListed && version !== '1.0') return undefined;
  const size = textOf('GNU.sparse.size') ?? textOf('GNU.sparse.realsize');
  return {
    map: isListed ? 'in records' : 'in content',
    name: textOf('GNU.sparse.name'),
    size: size === undefined ? undefined : parsePaxNumber(size, 'real size'),
  };
}

/** PAX formats 0.0 and 0.1: the map is a list of numbers. */
export function sparseMapOf(records: PaxRecords, size: number): SparseMap {
  const list = bytesFromBuffer(records.get(mapKey) ?? Buffer.alloc(0));
  const parts = list === '' ? [] : list.split(',', 2 * maximumRegions + 1);
  if (parts.length > 2 * maximumRegions) throw malformed('has too many regions');
  return checked({ size, regions: pairs(parts.map((part) => parsePaxNumber(part as ByteString, 'sparse map'))) }); // bytes of bytes
}

/**
 * PAX format 1.0: the map stands in front of the content, which has `storedSize` bytes with it. Gives the bytes that it
 * takes as well.
 */
export async function readSparseMap(
  source: BlockSource,
  storedSize: number,
  realSize: number,
): Promise<{ readonly map: SparseMap; readonly mapBytes: number }> {
  const lines = new NumberLines();
  let mapBytes = 0;
  while (!lines.isComplete) {
    mapBytes += blockSize;
    if (mapBytes > storedSize) throw malformed('is longer than what is stored');
    if (mapBytes > maximumMetaSize) throw malformed('is too long');
    lines.read(await source.take(blockSize));
  }
  return { map: checked({ size: realSize, regions: pairs(lines.numbers.slice(1)) }), mapBytes };
}

/** Decimal numbers, one a line; the first says how many pairs follow. */
class NumberLines {
  readonly numbers: number[] = [];
  #wanted = 1;
  #value = 0;
  #digits = 0;

  get isComplete(): boolean {
    return this.numbers.length === this.#wanted;
  }

  read(block: Buffer): void {
    for (let at = 0; at < block.length && !this.isComplete; at++) {
      const byte = block[at] ?? 0;
      if (byte === newline) this.#endLine();
      else if (byte < 0x30 || byte > 0x39 || this.#digits === maximumDigits) throw malformed('has a line that is no number');
      else {
        this.#value = this.#value * 10 + byte - 0x30;
        this.#digits++;
      }
    }
  }

  #endLine(): void {
    if (this.#digits === 0 || !Number.isSafeInteger(this.#value)) throw malformed('has a line that is no number');
    if (this.numbers.length === 0) {
      if (this.#value > maximumRegions) throw malformed('has too many regions');
      this.#wanted = 1 + 2 * this.#value;
    }
    this.numbers.push(this.#value);
    this.#value = 0;
    this.#digits = 0;
  }
}

/** The whole file's bytes: zeros in the holes, the stored bytes in the regions. */
export async function* expandSparse(map: SparseMap, stored: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = stored[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  let position = 0;
  for (const region of map.regions) {
    yield* zeroBytes(region.offset - position);
    for (let left = region.length; left > 0;) {
      if (rest.length === 0) {
        const next = await iterator.next();
        if (next.done === true) throw malformed('promises more bytes than are stored');
        rest = next.value;
      }
      const part = rest.subarray(0, left);
      rest = rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
    position = region.offset + region.length;
  }
  yield* zeroBytes(map.size - position);
}

function* zeroBytes(count: number): Generator<Buffer> {
  for (let left = count; left > 0; left -= zeros.length) yield zeros.subarray(0, Math.min(left, zeros.length));
}

function appendRegions(block: Buffer, start: number, count: number, regions: SparseRegion[]): void {
  for (let index = 0; index < count; index++) {
    const at = start + index * 24;
    if (block[at] === 0) return;
    regions.push({ offset: number(block, at, 12, 'sparse map'), length: number(block, at + 12, 12, 'sparse map') });
    if (regions.length > maximumRegions) throw malformed('has too many regions');
  }
}

function pairs(numbers: readonly number[]): SparseRegion[] {
  if (numbers.length % 2 !== 0) throw malformed('has an odd count of numbers');
  const regions: SparseRegion[] = [];
  for (let at = 0; at < numbers.length; at += 2) regions.push({ offset: numbers[at] ?? 0, length: numbers[at + 1] ?? 0 });
  return regions;
}

function checked(map: SparseMap): SparseMap {
  if (map.regions.length > maximumRegions) throw malformed('has too many regions');
  let position = 0;
  for (const region of map.regions) {
    if (region.offset < position || region.length < 0) throw malformed('is not in order');
    position = region.offset + region.length;
  }
  if (map.size < position || !Number.isSafeInteger(map.size)) throw malformed('reaches beyond the end of the file');
  return map;
}

function malformed(state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read archive: the map of a sparse file ${state}`);
}
