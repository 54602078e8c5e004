// `yadokari layer`: a layer of a folder or an archive. The same input gives the same bytes on every machine.
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { decompressArchive } from '../layer/decompress-archive.ts';
import { decompress } from '../layer/decompress.ts';
import type { Entry, LocalEntry } from '../layer/entry.ts';
import { defaultZlibLevel } from '../layer/gzip.ts';
import { verify } from '../layer/meter.ts';
import { type Warn, readEntries } from '../layer/read.ts';
import type { BlobStore } from '../layer/store.ts';
import { isReservedName, whiteoutEntry } from '../layer/whiteout.ts';
import { storeCompressed, writeLayer } from '../layer/write.ts';
import { type Compression, layerMediaType } from '../oci/media-type.ts';
import { namesOf } from '../paths.ts';
import type { Owner } from '../linux/owners.ts';
import { folderEntries } from './folder-entries.ts';
import { type LayerPiece, readLayerPiece } from './layer-piece.ts';
import { type Piece, pieceOf, readFileChunks } from './piece.ts';

/** Where its content is; an archive without a path comes by `stream`, once. */
export type LayerOrigin =
  | { readonly kind: 'folder'; readonly path: ByteString }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stream'; readonly name: string; readonly chunks: AsyncIterable<Buffer> };

export interface LayerChoices {
  /** gzip where nothing is said, but for what is kept as it is. */
  readonly compression?: Compression;
  readonly level?: number;
  /** The archive's bytes stay as they are. */
  readonly isKept: boolean;
  /** Whose a file is in the image, by whose it is here; undefined where the image has nobody for it. */
  readonly ownerOf: (owner: Owner) => Owner | undefined;
  /** Seconds since 1970: all times. */
  readonly time?: number;
  /** Seconds since 1970: later times become this. */
  readonly latestTime?: number;
  /** Paths that are gone. */
  readonly removed: readonly ByteString[];
  /** Told what is odd, or can't be in a layer and is left out. */
  readonly warn: Warn;
}

export interface MadeLayer extends LayerPiece {
  /** `uid:gid` of its entries, the first few; not looked at in an archive that is kept as it is. */
  readonly owners: readonly string[];
}

const mostOwners = 100;

/**
 * Makes the layer, which waits in the store.
 * @throws ERR_LAYER for a damaged archive or one that has a path twice, ERR_USAGE, ERR_ROOTFS for what can't be read
 */
export async function makeLayer(origin: LayerOrigin, choices: LayerChoices, store: BlobStore, signal: AbortSignal): Promise<MadeLayer> {
  if (choices.isKept) return { ...(await keptLayer(origin, choices, store, signal)), owners: [] };
  const owners = new Set<string>();
  const settle = settler(choices, owners);
  const entries =
    origin.kind === 'folder'
      ? settled(await folderEntries(origin.path, choices, signal), settle)
      : settledArchive(archiveEntries(origin, choices, signal), settle);
  const { compression = 'gzip', latestTime } = choices;
  const options = {
    ...compressed(compression, choices.level),
    family: 'oci',
    store,
    ...given({ latestTime }),
  } as const;
  const written = await writeLayer(entries, options, signal);
  return { layer: written.layer, compression, entries: written.entries, plainBytes: written.uncompressedBytes, owners: [...owners] };
}

/** Bytes that do not depend on what a machine has: zlib's, at a level. */
function compressed(compression: Compression, level: number | undefined): { readonly compression: Compression; readonly level?: number } {
  const chosen = level ?? (compression === 'gzip' ? defaultZlibLevel : undefined);
  return { compression, ...given({ level: chosen }) };
}

async function keptLayer(origin: LayerOrigin, choices: LayerChoices, store: BlobStore, signal: AbortSignal): Promise<LayerPiece> {
  const found = await readLayerPiece(await keptPiece(origin, store, signal), signal);
  const { compression = found.compression, level } = choices;
  if (compression === found.compression) return found;
  const { diffId, open, descriptor } = found.layer;
  // Whoever reads it again must find what was looked at.
  const plain = verify(decompress(open(signal), signal), { digest: diffId, subject: `the archive of ${descriptor.digest}` });
  const blob = await storeCompressed(plain, { ...compressed(compression, level), store }, signal);
  const layer = {
    descriptor: { mediaType: layerMediaType('oci', compression), digest: blob.digest, size: blob.size },
    diffId,
    open: blob.open,
  };
  return { ...found, layer, compression };
}

async function keptPiece(origin: LayerOrigin, store: BlobStore, signal: AbortSignal): Promise<Piece> {
  if (origin.kind === 'folder')
    throw new BuilderError('ERR_USAGE', 'Cannot keep a folder as it is: it has no bytes', { hint: 'leave --as-is out' });
  if (origin.kind === 'file') return await pieceOf(origin.path, [], signal);
  return { name: origin.name, ...(await storeCompressed(origin.chunks, { compression: 'none', store }, signal)) };
}

async function* archiveEntries(
  origin: Exclude<LayerOrigin, { readonly kind: 'folder' }>,
  { removed, warn }: LayerChoices,
  signal: AbortSignal,
): AsyncGenerator<Entry> {
  const name = origin.kind === 'file' ? origin.path : origin.name;
  const chunks = origin.kind === 'file' ? readFileChunks(origin.path, signal) : origin.chunks;
  const paths = new Set<ByteString>();
  yield* removed.map(whiteoutEntry);
  try {
    for await (const entry of readEntries(decompressArchive(chunks, signal), signal, (message) => warn(`${name}: ${message}`))) {
      const out = [entry.path, entry.type === 'hardlink' ? entry.linkTarget : undefined].find(leadsOut);
      if (out !== undefined) throw new BuilderError('ERR_LAYER', `${JSON.stringify(textFromBytes(out))} leads out of it`);
      // image-spec layer.md: a layer has no path twice; readers would each choose one.
      if (paths.has(entry.path)) throw new BuilderError('ERR_LAYER', `it has ${JSON.stringify(textFromBytes(entry.path))} twice`);
      paths.add(entry.path);
      yield entry;
    }
  } catch (error) {
    if (!(error instanceof BuilderError) || error.code !== 'ERR_LAYER') throw error;
    throw new BuilderError('ERR_LAYER', `Cannot make a layer of ${name}: ${error.message.replace(/^Cannot read archive: /, '')}`, {
      cause: error,
    });
  }
}

function leadsOut(path: ByteString | undefined): boolean {
  return path !== undefined && namesOf(path).some((name) => name === '..');
}

type Settle = <Some extends Entry>(entry: Some) => Some;

/** Changes what was chosen of an entry; whiteouts belong to nobody and have no time. */
function settler({ ownerOf, time }: LayerChoices, owners: Set<string>): Settle {
  return (entry) => {
    if (isReservedName(entry.path)) return entry;
    const owner = ownerOf(entry);
    if (owner === undefined) throw notMapped(entry);
    const { uid, gid } = owner;
    if (owners.size < mostOwners) owners.add(`${uid}:${gid}`);
    return { ...entry, uid, gid, ...(time === undefined ? {} : { mtime: { seconds: time, nanoseconds: 0 } }) };
  };
}

function notMapped({ path, uid, gid }: Entry): BuilderError {
  const name = JSON.stringify(textFromBytes(path));
  return new BuilderError('ERR_USAGE', `Cannot put ${name} into a layer: ${uid}:${gid} is not among your ids`, {
    hint: 'yadokari unshare --map-ids --explain tells them; --owner 0:0 gives everything to root',
  });
}

function* settled(entries: Iterable<LocalEntry>, settle: Settle): Generator<LocalEntry> {
  for (const entry of entries) yield settle(entry);
}

async function* settledArchive(entries: AsyncIterable<Entry>, settle: Settle): AsyncGenerator<Entry> {
  for await (const entry of entries) yield settle(entry);
}
