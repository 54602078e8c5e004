// Loose pieces as an image: what a manifest names, found by digest in files and in the folders of places.
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BuilderError } from '../errors.ts';
import { verify } from '../layer/meter.ts';
import { type Descriptor, isForeign } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { manifestLimitBytes, parseManifest, storedManifest } from '../oci/manifest.ts';
import type { ImageSource } from '../oci/source-and-sink.ts';
import type { Place } from '../transports/transport.ts';
import { type Piece, asWhat, findPiece, readPiece } from './piece.ts';

/** Where pieces may be. */
export interface Pieces {
  readonly files: readonly Piece[];
  readonly places: readonly Place[];
}

/**
 * The image of a manifest, its pieces where they lie.
 * @throws ERR_USAGE naming what is missing of an image, ERR_LAYER for what is no manifest
 */
export async function openPieces(manifest: Piece, pieces: Pieces, signal: AbortSignal): Promise<ImageSource> {
  const found = await readPiece(manifest, manifestLimitBytes, signal);
  const root = asWhat(manifest, 'a manifest', () => storedManifest(found, undefined, manifest.digest));
  const files = new Map<Digest, Piece>(pieces.files.map((piece) => [piece.digest, piece]));
  const find = async (digest: Digest): Promise<Piece | undefined> => files.get(digest) ?? (await findPiece(digest, pieces.places));
  const view = parseManifest(root.bytes, root.mediaType);
  const named = view.kind === 'manifest' ? [view.config, ...view.layers.filter((layer) => !isForeign(layer))] : view.manifests;
  const missing: Digest[] = [];
  for (const { digest } of named) if ((await find(digest)) === undefined) missing.push(digest);
  if (missing.length > 0) throw notThere(missing, named.length);
  const open = (descriptor: Descriptor, reading: AbortSignal): Readable =>
    Readable.from(readFound(find, descriptor, reading), { objectMode: false });
  const bytes: ImageSource['bytes'] = async (descriptor, limitBytes, reading) => {
    if (descriptor.size <= limitBytes) return await buffer(open(descriptor, reading));
    throw new BuilderError('ERR_LAYER', `Cannot read ${descriptor.digest}: it has more than ${limitBytes} bytes`);
  };
  return {
    name: manifest.name,
    root,
    manifest: async (descriptor, reading) =>
      storedManifest(await bytes(descriptor, manifestLimitBytes, reading), descriptor.mediaType, descriptor.digest),
    bytes,
    open,
  };
}

async function* readFound(
  find: (digest: Digest) => Promise<Piece | undefined>,
  { digest, size }: Descriptor,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const piece = await find(digest);
  if (piece === undefined) throw notThere([digest], 1);
  yield* verify(piece.open(signal), { digest, size, subject: piece.name });
}

function notThere(missing: readonly Digest[], of: number): BuilderError {
  return new BuilderError('ERR_USAGE', `Cannot assemble the image: it lacks ${missing.length} of ${of} pieces: ${missing.join(', ')}`, {
    hint: 'name their files, or the oci: or dir: place where they are',
  });
}
