// Entries to a layer in one pass: tar, both digests, size. The same entries always give the same bytes.
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Layer } from '../oci/image.ts';
import { type Compression, type MediaFamily, layerMediaType } from '../oci/media-type.ts';
import type { Entry, EntryType } from './entry.ts';
import { gzip } from './gzip.ts';
import { type WritableHeader, blockSize, fitsHeader, formatHeader } from './header.ts';
import { Meter } from './meter.ts';
import { formatPax, formatPaxTime } from './pax.ts';
import type { BlobStore } from './store.ts';

export interface LayerOptions {
  readonly compression: Compression;
  /** gzip 0–9 (left out: as `gzip()` does it fastest), zstd 1–19 (default 3). */
  readonly level?: number;
  readonly family: MediaFamily;
  /** Where the blob stays until it is pushed. */
  readonly store: BlobStore;
}

export interface WrittenLayer {
  readonly layer: Layer;
  readonly entries: number;
  readonly uncompressedBytes: number;
}

const defaultZstdLevel = 3;
const blockBytes = 128 * 1024;
/** Of which the writer runs ahead of zstd. */
const aheadBytes = 1024 * 1024;
const largestHeaderId = 0o7777777;
const largestHeaderTime = 0o77777777777;
const ending = Buffer.alloc(2 * blockSize);
const noBytes = '' as ByteString;

const typeflags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const satisfies Record<EntryType, string>;

const extensionHeader: WritableHeader = {
  path: 'PaxHeader' as ByteString, // ASCII
  linkTarget: noBytes,
  typeflag: 'x',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  major: 0,
  minor: 0,
};

/**
 * Writes the entries, in the order they come, as one layer into the store.
 * @throws ERR_LAYER when content is not as long as its entry says
 */
export async function writeLayer(entries: AsyncIterable<Entry>, options: LayerOptions, signal: AbortSignal): Promise<WrittenLayer> {
  const { compression, family, store } = options;
  const plain = new Meter();
  const counted = { entries: 0 };
  const blob = await store.create();
  const save = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) {
      // pipeline() only gives up waiting: an iterable that is no stream would be read on.
      signal.throwIfAborted();
      await blob.write(chunk);
    }
  };
  try {
    // A stream of Node's keeps what it is given: only the two others are done with a block when they ask for the next.
    const tar = tarBlocks(entries, new Blocks(plain, compression !== 'zstd'), counted);
    if (compression === 'none') await pipeline(tar, save, { signal });
    else if (compression === 'gzip') await pipeline(gzip(tar, levelOf(options)), save, { signal });
    else await pipeline(tar, zstd(options.level ?? defaultZstdLevel), save, { signal });
    const { digest, size, open } = await blob.finish();
    const descriptor = { mediaType: layerMediaType(family, compression), digest, size };
    return { layer: { descriptor, diffId: plain.digest(), open }, entries: counted.entries, uncompressedBytes: plain.size };
  } catch (error) {
    await blob.discard();
    throw error;
  }
}

/** The archive itself, uncompressed, in blocks of up to 128 KiB. */
export async function* writeArchive(entries: AsyncIterable<Entry>): AsyncGenerator<Buffer> {
  yield* tarBlocks(entries, new Blocks(new Meter(), false), { entries: 0 });
}

function levelOf({ level }: LayerOptions): { readonly level?: number } {
  return level === undefined ? {} : { level };
}

function zstd(level: number): ReturnType<typeof createZstdCompress> {
  const options = { params: { [constants.ZSTD_c_compressionLevel]: level }, chunkSize: blockBytes, highWaterMark: aheadBytes };
  return createZstdCompress(options);
}

async function* tarBlocks(entries: AsyncIterable<Entry>, blocks: Blocks, counted: { entries: number }): AsyncGenerator<Buffer> {
  for await (const entry of entries) {
    putHeaders(entry, blocks);
    if (entry.type === 'file') {
      let left = entry.size;
      for await (const part of entry.content ?? []) {
        left -= part.length;
        if (left < 0) throw mismatch(entry, `it has more than ${entry.size} bytes`);
        blocks.put(part);
        if (blocks.hasFull()) yield* blocks.takeFull();
      }
      if (left > 0) throw mismatch(entry, `it has ${left} bytes less than ${entry.size}`);
      blocks.pad();
    }
    if (blocks.hasFull()) yield* blocks.takeFull();
    counted.entries++;
  }
  blocks.put(ending);
  yield* blocks.takeFull();
  const last = blocks.last();
  if (last.length > 0) yield last;
}

/** Gathers what is written into blocks of one size: hashing and compressing have a cost per call. */
class Blocks {
  readonly #meter: Meter;
  readonly #reuses: boolean;
  readonly #full: Buffer[] = [];
  readonly #free: Buffer[] = [];
  #block: Buffer = Buffer.allocUnsafeSlow(blockBytes);
  #filled = 0;

  /** With `reuses`, a block is valid only until the next is asked for; fresh ones keep V8's collector busy. */
  constructor(meter: Meter, reuses: boolean) {
    this.#meter = meter;
    this.#reuses = reuses;
  }

  put(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const count = bytes.copy(this.#block, this.#filled, at);
      at += count;
      this.#filled += count;
      if (this.#filled === blockBytes) this.#next();
    }
  }

  /** Zeros to where the next header may stand. */
  pad(): void {
    const end = Math.ceil(this.#filled / blockSize) * blockSize;
    this.#block.fill(0, this.#filled, end);
    this.#filled = end;
    if (end === blockBytes) this.#next();
  }

  /** Whether a block has become full. */
  hasFull(): boolean {
    return this.#full.length > 0;
  }

  /** The blocks that have become full. */
  *takeFull(): Generator<Buffer> {
    for (let block = this.#full.shift(); block !== undefined; block = this.#full.shift()) {
      yield block;
      if (this.#reuses) this.#free.push(block);
    }
  }

  last(): Buffer {
    const last = this.#block.subarray(0, this.#filled);
    this.#meter.update(last);
    return last;
  }

  #next(): void {
    this.#meter.update(this.#block);
    this.#full.push(this.#block);
    this.#block = this.#free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
    this.#filled = 0;
  }
}

function putHeaders(entry: Entry, blocks: Blocks): void {
  const { mtime, uid, gid } = entry;
  const path = (entry.type === 'directory' ? `${entry.path}/` : entry.path) as ByteString; // bytes and a slash
  const link = entry.linkTarget ?? noBytes;
  const fitsTime = mtime.seconds >= 0 && mtime.seconds <= largestHeaderTime;
  const records: (readonly [string, Buffer | string])[] = [];
  if (!fitsHeader(path)) records.push(['path', path]);
  if (!fitsLink(link)) records.push(['linkpath', link]);
  if (uid > largestHeaderId) records.push(['uid', String(uid)]);
  if (gid > largestHeaderId) records.push(['gid', String(gid)]);
  if (!fitsTime || mtime.nanoseconds !== 0) records.push(['mtime', formatPaxTime(mtime)]);
  for (const [name, value] of [...entry.xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) records.push([`SCHILY.xattr.${name}`, value]);
  if (records.length > 0) {
    const extension = formatPax(records);
    blocks.put(formatHeader({ ...extensionHeader, size: extension.length }));
    blocks.put(extension);
    blocks.pad();
  }
  blocks.put(
    formatHeader({
      path: fitsHeader(path) ? path : plainName(path),
      linkTarget: fitsLink(link) ? link : plainName(link),
      typeflag: typeflags[entry.type],
      mode: entry.mode,
      uid: uid > largestHeaderId ? 0 : uid,
      gid: gid > largestHeaderId ? 0 : gid,
      size: entry.type === 'file' ? entry.size : 0,
      mtime: fitsTime ? mtime.seconds : 0,
      major: entry.device?.major ?? 0,
      minor: entry.device?.minor ?? 0,
    }),
  );
}

// Only a path can be cut in two.
function fitsLink(link: ByteString): boolean {
  return link === '' || (link.length <= 100 && fitsHeader(link));
}

/** What stands in a header for readers that know no extended records. */
function plainName(name: ByteString): ByteString {
  const plain = name.replace(/[^\x21-\x7e]/g, '_');
  return (plain.length <= 100 ? plain : plain.slice(plain.length - 100).replace(/^\/+/, '')) as ByteString; // ASCII
}

function mismatch(entry: Entry, state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot write ${JSON.stringify(textFromBytes(entry.path))} to a layer: ${state}`);
}
