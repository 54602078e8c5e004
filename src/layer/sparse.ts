// Files with holes, in the four ways archives have told of them. We only read them: what is written has no holes.
// GNU tar manual, "Storing Sparse Files".
import { type ByteString, bytesFromBuffer } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { blockSize, number } from './header.ts';
import { type PaxRecord, parsePaxNumber } from './pax.ts';

/** A run of stored bytes and where in the file it belongs. */
export interface SparseRegion {
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

const maximumRegions = 65536;
const zeros = Buffer.alloc(65536);

/** GNU's old format: four regions in the header, more in blocks behind it. */
export async function readOldSparse(header: Buffer, source: BlockSource): Promise<SparseMap> {
  const regions: SparseRegion[] = [];
  appendRegions(header, 386, 4, regions);
  let isExtended = header[482] === 1;
  while (isExtended) {
    const block = await source.take(blockSize);
    appendRegions(block, 0, 21, regions);
    isExtended = block[504] === 1;
  }
  return checked({ size: number(header, 483, 12, 'real size'), regions });
}

/** PAX formats 0.0 (one record a number) and 0.1 (one list); undefined where the records tell of no holes. */
export function sparseOfRecords(records: readonly PaxRecord[], size: number): SparseMap | undefined {
  const numbers: number[] = [];
  let realSize: number | undefined;
  for (const [key, value] of records) {
    if (value === undefined) continue;
    const bytes = bytesFromBuffer(value);
    if (key === 'GNU.sparse.size' || key === 'GNU.sparse.realsize') realSize = parsePaxNumber(bytes, 'real size');
    else if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') numbers.push(parsePaxNumber(bytes, 'sparse map'));
    else if (key === 'GNU.sparse.map') for (const part of bytes.split(',')) numbers.push(parsePaxNumber(part as ByteString, 'sparse map')); // bytes of bytes
  }
  if (numbers.length === 0 && realSize === undefined) return undefined;
  return checked({ size: realSize ?? size, regions: pairs(numbers) });
}

/** PAX format 1.0: the map stands in front of the content; gives the bytes that it takes as well. */
export async function readSparseMap(
  source: BlockSource,
  realSize: number,
): Promise<{ readonly map: SparseMap; readonly mapBytes: number }> {
  const blocks: string[] = [];
  let lines = 0;
  let wanted = 1;
  while (lines < wanted) {
    const block = (await source.take(blockSize)).toString('latin1');
    blocks.push(block);
    for (let at = block.indexOf('\n'); at !== -1; at = block.indexOf('\n', at + 1)) lines++;
    if (blocks.length > 1) continue;
    const count = parsePaxNumber(block.slice(0, Math.max(block.indexOf('\n'), 0)) as ByteString, 'sparse map'); // a part of bytes
    if (count > maximumRegions) throw malformed('has too many regions');
    wanted = 1 + 2 * count;
  }
  const mapBytes = blocks.length * blockSize;
  const text = blocks.join('');
  const numbers = text
    .split('\n')
    .slice(1, wanted)
    .map((part) => parsePaxNumber(part as ByteString, 'sparse map')); // bytes of bytes
  return { map: checked({ size: realSize, regions: pairs(numbers) }), mapBytes };
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
