// Entries to a layer in one pass: tar, both digests, size. The same entries always give the same bytes.
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { given } from '../given.ts';
import { BackgroundHash } from '../linux/background-hash.ts';
import type { GrowingLayer, Layer } from '../oci/image.ts';
import { type Compression, type MediaFamily, layerMediaType } from '../oci/media-type.ts';
import type { Entry } from './entry.ts';
import { type GzipOptions, gzip, gzipBlocksAtOnce } from './gzip.ts';
import { LayerListing, type LayerListings } from './layer-listings.ts';
import type { BlobStore, StoredBlob } from './store.ts';
import { type Counted, tarBlocks, TarBlocks } from './tar-blocks.ts';

export interface LayerOptions {
  readonly compression: Compression;
  /** gzip 0–9 (left out: as `gzip()` does it fastest), zstd 1–19 (default 3). */
  readonly level?: number;
  readonly family: MediaFamily;
  /** Where the blob stays until it is pushed. */
  readonly store: BlobStore;
  /** Later times become this: SOURCE_DATE_EPOCH, in seconds since 1970. */
  readonly latestTime?: number;
  /** Earlier ones become this. */
  readonly earliestTime?: number;
  /** Gets a layer that turns out to be large while it is being written. */
  readonly onGrowing?: (growing: GrowingLayer) => void;
  /** Get what the layer holds. */
  readonly listings?: LayerListings;
}

export interface WrittenLayer {
  readonly layer: Layer;
  readonly entries: number;
  readonly uncompressedBytes: number;
}

const defaultZstdLevel = 3;
const nothing = Buffer.alloc(0);
const blockBytes = 128 * 1024;
/** Of which the writer runs ahead of zstd. */
const aheadBytes = 1024 * 1024;
/** Compressed bytes from which on a layer is large. */
const largeBytes = 8 * 1024 * 1024;

/**
 * Writes the entries, in the order they come, as one layer into the store.
 * @throws ERR_LAYER when content is not as long as its entry says
 */
export async function writeLayer(
  entries: AsyncIterable<Entry> | Iterable<Entry>,
  options: LayerOptions,
  signal: AbortSignal,
): Promise<WrittenLayer> {
  const { compression, family, latestTime, earliestTime, onGrowing, listings } = options;
  const listing = listings === undefined ? undefined : new LayerListing();
  const counted: Counted = { entries: 0, ...given({ listing }) };
  const tar = tarBlocks(entries, new TarBlocks({ lasting: gzipBlocksAtOnce, latestTime, earliestTime }), counted);
  const plain: Plain = { size: 0, hex: '' };
  const { promise: finished, resolve, reject } = Promise.withResolvers<Layer>();
  finished.catch(() => undefined);
  const onLarge = (chunks: GrowingLayer['chunks']): void => onGrowing?.({ chunks, finished });
  try {
    const stored = await storeCompressed(hashed(tar, plain), { ...options, onLarge, takesBlocks: true }, signal);
    const { digest, size, open, chunks } = stored;
    const descriptor = { mediaType: layerMediaType(family, compression), digest, size };
    const layer: Layer = { descriptor, diffId: `sha256:${plain.hex}`, open, chunks };
    resolve(layer);
    if (listing !== undefined) listings?.set(layer.diffId, listing);
    return { layer, entries: counted.entries, uncompressedBytes: plain.size };
  } catch (error) {
    reject(error);
    throw error;
  }
}

/** What the plain bytes turn out to be. */
interface Plain {
  size: number;
  hex: string;
}

// Hashes a block on another thread, while it is compressed and the next one is filled.
async function* hashed(blocks: AsyncIterable<Buffer>, plain: Plain): AsyncGenerator<Buffer> {
  using hash = new BackgroundHash('sha256');
  let hashing: Promise<void> | undefined;
  try {
    for await (const block of blocks) {
      await hashing;
      hashing = hash.update(block);
      // Awaited above or below; between the two nobody asks.
      hashing.catch(() => undefined);
      plain.size += block.length;
      yield block;
    }
  } finally {
    await hashing;
  }
  plain.hex = hash.digest();
}

type StoreOptions = Pick<LayerOptions, 'compression' | 'level' | 'store'> &
  Pick<GzipOptions, 'takesBlocks'> & { readonly onLarge?: (chunks: GrowingLayer['chunks']) => void };

/** Compresses plain bytes into a blob of the store. A chunk has to stay as it is until the next is asked for, or as `takesBlocks` says. */
export async function storeCompressed(plain: AsyncIterable<Buffer>, options: StoreOptions, signal: AbortSignal): Promise<StoredBlob> {
  const { compression, store, onLarge } = options;
  const blob = await store.create();
  const save = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    let size = 0;
    for await (const chunk of chunks) {
      // pipeline() only gives up waiting: an iterable that is no stream would be read on.
      signal.throwIfAborted();
      await blob.write(chunk);
      if (size < largeBytes && size + chunk.length >= largeBytes) onLarge?.(blob.chunks);
      size += chunk.length;
    }
  };
  try {
    if (compression === 'none') await pipeline(plain, save, { signal });
    else if (compression === 'gzip') await pipeline(gzip(plain, gzipOptionsOf(options)), save, { signal });
    else {
      const stream = zstd(options.level ?? defaultZstdLevel);
      await pipeline(piecesFor(stream, plain), stream, save, { signal });
    }
    return await blob.finish();
  } catch (error) {
    await blob.discard();
    throw error;
  }
}

/** The archive itself, uncompressed, in blocks of up to 512 KiB, each valid until the next is asked for. */
export async function* writeArchive(entries: AsyncIterable<Entry> | Iterable<Entry>): AsyncGenerator<Buffer> {
  yield* tarBlocks(entries, new TarBlocks({ lasting: 1 }), { entries: 0 });
}

function gzipOptionsOf({ level, takesBlocks }: StoreOptions): GzipOptions {
  return given({ level, takesBlocks });
}

// Copies, as a stream of Node's works on what it was given while it asks for more. zstd makes other bytes of a piece that it knows to be
// the last, and whether it does is a matter of time: so it hears of the end when it has taken all.
async function* piecesFor(stream: Writable, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) yield Buffer.from(chunk);
  await new Promise<void>((resolve) => stream.write(nothing, () => resolve())); // what fails there fails the pipeline
}

function zstd(level: number): ReturnType<typeof createZstdCompress> {
  const options = { params: { [constants.ZSTD_c_compressionLevel]: level }, chunkSize: blockBytes, highWaterMark: aheadBytes };
  return createZstdCompress(options);
}
