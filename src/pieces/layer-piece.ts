// What a layer's bytes are: how they are compressed, and what the config says of them.
import { BuilderError } from '../errors.ts';
import { decompress, readHead, sniffCompression } from '../layer/decompress.ts';
import { Meter } from '../layer/meter.ts';
import { readEntries } from '../layer/read.ts';
import type { Layer } from '../oci/image.ts';
import { type Compression, layerMediaType } from '../oci/media-type.ts';
import type { Piece } from './piece.ts';

export interface LayerPiece {
  /** Its media type is OCI's. */
  readonly layer: Layer;
  readonly compression: Compression;
  readonly entries: number;
  /** Of the archive, uncompressed. */
  readonly plainBytes: number;
}

/**
 * Reads a layer from end to end: what is no archive is none.
 * @throws ERR_LAYER for anything else, or one that is damaged, ERR_UNSUPPORTED for xz and bzip2, which no engine reads
 */
export async function readLayerPiece({ name, digest, size, open }: Piece, signal: AbortSignal): Promise<LayerPiece> {
  const compression = await compressionOf(name, open(signal));
  const meter = new Meter();
  let entries = 0;
  try {
    for await (const _entry of readEntries(metered(decompress(open(signal), signal), meter), signal)) entries++;
  } catch (error) {
    if (!(error instanceof BuilderError) || error.code !== 'ERR_LAYER') throw error;
    throw new BuilderError('ERR_LAYER', `Cannot use ${name} as a layer: ${error.message.replace(/^Cannot read archive: /, '')}`, {
      cause: error,
    });
  }
  const descriptor = { mediaType: layerMediaType('oci', compression), digest, size };
  return { layer: { descriptor, diffId: meter.digest(), open }, compression, entries, plainBytes: meter.size };
}

async function compressionOf(name: string, source: AsyncIterable<Buffer>): Promise<Compression> {
  const iterator = source[Symbol.asyncIterator]();
  const format = sniffCompression(await readHead(iterator));
  await iterator.return?.();
  if (format !== 'xz' && format !== 'bzip2') return format;
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot use ${name} as a layer: no engine reads ${format}`, {
    hint: 'yadokari layer, without --as-is, makes a layer of it',
  });
}

async function* metered(chunks: AsyncIterable<Buffer>, meter: Meter): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    meter.update(chunk);
    yield chunk;
  }
}
