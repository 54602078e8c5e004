// xz, for ADD of local archives (the .xz file format 1.2): Node's zlib hasn't it. Chunk by chunk, every checksum verified.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { BuilderError } from '../errors.ts';
import { ByteSource } from './byte-source.ts';
import { LzmaDecoder, damaged } from './lzma.ts';
import { createCheck } from './xz-check.ts';

const lzma2 = 0x21;
// xz -9 needs 64 MiB; what a file asks for beyond this would be our memory.
const largestDictionary = 128 * 1024 * 1024;

/** The plain bytes of an .xz file, which may be several streams. @throws BuilderError ERR_LAYER, ERR_UNSUPPORTED for filters and huge dictionaries */
export async function* decompressXz(source: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  const input = new ByteSource(source, signal, () => damaged('it ends too early'));
  let streams = 0;
  for (;;) {
    const header = await input.takeOrEnd(4);
    if (header === undefined) break;
    // Between streams there may be zeros, in fours.
    if (streams > 0 && header.readUInt32BE() === 0) continue;
    yield* readStream(input, Buffer.from(header));
    streams += 1;
  }
  if (streams === 0) throw damaged('it is empty');
}

async function* readStream(input: ByteSource, start: Buffer): AsyncGenerator<Buffer> {
  const header = Buffer.concat([start, await input.take(8)]);
  if (header.toString('latin1', 0, 6) !== '\xfd7zXZ\0') throw damaged('what follows is no stream');
  if (crc32(header.subarray(6, 8)) !== header.readUInt32LE(8)) throw damaged('its header has a wrong checksum');
  const checkType = header.readUInt8(7);
  if (header[6] !== 0 || checkType > 15)
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot decompress data: this kind of xz stream is unknown');
  const blocks = new BlockSizes();
  for (;;) {
    const [headerSize = 0] = await input.take(1);
    if (headerSize === 0) break;
    blocks.add(yield* readBlock(input, headerSize, checkType));
  }
  await readIndex(input, blocks);
  const footer = await input.take(12);
  if (footer.toString('latin1', 10) !== 'YZ' || crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0) || footer[9] !== checkType) {
    throw damaged('its end is not as it should be');
  }
}

async function* readBlock(input: ByteSource, headerSize: number, checkType: number): AsyncGenerator<Buffer, Sizes> {
  const start = input.position - 1;
  const rest = Buffer.from(await input.take(headerSize * 4 + 3));
  const header = Buffer.concat([Buffer.from([headerSize]), rest.subarray(0, -4)]);
  if (crc32(header) !== rest.readUInt32LE(rest.length - 4)) throw damaged('a block header has a wrong checksum');
  const decoder = new LzmaDecoder(readDictionarySize(header));
  const check = createCheck(checkType);
  let uncompressed = 0;
  for await (const chunk of readChunks(input, decoder)) {
    check.update(chunk);
    uncompressed += chunk.length;
    yield chunk;
  }
  const dataEnd = input.position;
  const padding = (4 - ((dataEnd - start) % 4)) % 4;
  if ((await input.take(padding)).some((byte) => byte !== 0)) throw damaged('the padding of a block is not zero');
  const found = check.digest();
  if (!found.equals(await input.take(found.length))) throw damaged('the checksum of a block is wrong');
  return { unpadded: dataEnd - start + found.length, uncompressed };
}

// Block header: flags, optional sizes, then each filter's id, and its properties by size.
function readDictionarySize(header: Buffer): number {
  const flags = header.readUInt8(1);
  const reader = new Numbers(header, 2);
  if ((flags & 0x40) !== 0) reader.next();
  if ((flags & 0x80) !== 0) reader.next();
  const id = reader.next();
  if ((flags & 0x3f) !== 0 || id !== lzma2) {
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot decompress data: the xz stream uses filters besides LZMA2', {
      hint: "compress with plain 'xz', without options such as --x86 or --delta",
    });
  }
  if (reader.next() !== 1) throw damaged('a block header is not as it should be');
  const bits = header.readUInt8(reader.position);
  const size = bits === 40 ? 0xffffffff : (2 | (bits & 1)) * 2 ** ((bits >>> 1) + 11);
  if (bits > 40) throw damaged('its dictionary size is not allowed');
  if (size > largestDictionary) {
    throw new BuilderError(
      'ERR_UNSUPPORTED',
      `Cannot decompress data: the xz stream needs a dictionary of ${size} bytes, and ${largestDictionary} are allowed`,
      {
        hint: "compress with 'xz -9' or less",
      },
    );
  }
  return size;
}

// LZMA2: a control byte in front of each chunk says what it is and what it resets.
async function* readChunks(input: ByteSource, decoder: LzmaDecoder): AsyncGenerator<Buffer> {
  let needsDictionary = true;
  let needsProperties = true;
  for (;;) {
    const control = (await input.take(1)).readUInt8(0);
    if (control === 0) return;
    if (control === 1 || control >= 0xe0) {
      decoder.resetDictionary();
      needsDictionary = false;
      needsProperties = true;
    } else if (needsDictionary) throw damaged('its first chunk leans on earlier ones');
    if (control < 0x80) {
      if (control > 2) throw damaged('a chunk is of no known kind');
      const size = (await input.take(2)).readUInt16BE(0) + 1;
      const bytes = Buffer.from(await input.take(size));
      decoder.copy(bytes);
      yield bytes;
      continue;
    }
    const sizes = await input.take(4);
    const uncompressed = ((control & 0x1f) << 16) + sizes.readUInt16BE(0) + 1;
    const compressed = sizes.readUInt16BE(2) + 1;
    if (control >= 0xc0) {
      decoder.setProperties((await input.take(1)).readUInt8(0));
      needsProperties = false;
    } else if (needsProperties) throw damaged('a chunk has no properties');
    if (control >= 0xa0) decoder.resetState();
    yield decoder.decode(await input.take(compressed), uncompressed);
  }
}

async function readIndex(input: ByteSource, blocks: BlockSizes): Promise<void> {
  let crc = crc32(Buffer.from([0]));
  let length = 1;
  const nextByte = async (): Promise<number> => {
    const byte = await input.take(1);
    crc = crc32(byte, crc);
    length += 1;
    return byte.readUInt8(0);
  };
  const next = async (): Promise<number> => {
    let value = 0;
    for (let at = 0; at < 9; at += 1) {
      const byte = await nextByte();
      value += (byte & 0x7f) * 2 ** (7 * at);
      if (byte < 0x80) return value;
    }
    throw damaged('a number in its index is too long');
  };
  const told = new BlockSizes();
  if ((await next()) !== blocks.count) throw damaged('its index counts other blocks');
  while (told.count < blocks.count) told.add({ unpadded: await next(), uncompressed: await next() });
  if (told.digest() !== blocks.digest()) throw damaged('its index tells other sizes');
  for (let padding = (4 - (length % 4)) % 4; padding > 0; padding -= 1) await nextByte();
  if (crc !== (await input.take(4)).readUInt32LE(0)) throw damaged('its index has a wrong checksum');
}

/** Of one block, in bytes. */
interface Sizes {
  readonly unpadded: number;
  readonly uncompressed: number;
}

/** The sizes of all blocks as one hash: there may be millions of blocks. */
class BlockSizes {
  readonly #hash = createHash('sha256');
  count = 0;

  add({ unpadded, uncompressed }: Sizes): void {
    this.#hash.update(`${unpadded} ${uncompressed}\n`);
    this.count += 1;
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}

/** Numbers of seven bits a byte, the lowest first. */
class Numbers {
  readonly #bytes: Buffer;
  position: number;

  constructor(bytes: Buffer, position: number) {
    this.#bytes = bytes;
    this.position = position;
  }

  next(): number {
    let value = 0;
    for (let at = 0; at < 9; at += 1) {
      const byte = this.#bytes[this.position];
      if (byte === undefined) break;
      this.position += 1;
      value += (byte & 0x7f) * 2 ** (7 * at);
      if (byte < 0x80) return value;
    }
    throw damaged('a number in a header is too long');
  }
}
