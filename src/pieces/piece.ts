// A piece of an image: bytes with a digest that lie on disk, in a file or in the folder of a place. Whoever reads it to its end has
// got what the digest says.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BuilderError } from '../errors.ts';
import { Meter, verify } from '../layer/meter.ts';
import { type Digest, parseDigest, splitDigest } from '../oci/digest.ts';
import { type ImageConfig, parseImageConfig } from '../oci/image-config.ts';
import { configLimitBytes } from '../oci/manifest.ts';
import { blobPath } from '../store/blob-file.ts';
import { openRegular } from '../store/regular-file.ts';
import type { Place } from '../transports/transport.ts';

export interface Piece {
  /** For messages. */
  readonly name: string;
  readonly digest: Digest;
  readonly size: number;
  /** As `ImageBlob.open`. */
  readonly open: (signal: AbortSignal) => Readable;
}

const chunkBytes = 256 * 1024;

/**
 * The piece of a word: a digest, looked for in the places, or a file.
 * @throws ERR_USAGE where there is none
 */
export async function pieceOf(word: string, places: readonly Place[], signal: AbortSignal): Promise<Piece> {
  if (!/^sha(?:256|512):/.test(word)) return await filePiece(word, signal);
  const digest = parseDigest(word);
  const found = await findPiece(digest, places);
  if (found !== undefined) return found;
  const names = places.map(({ name }) => name).join(' or ');
  const message = `Cannot find piece ${digest}: it is ${names === '' ? 'in no place that is named' : `not in ${names}`}`;
  throw new BuilderError('ERR_USAGE', message, { hint: 'name the place where it was put, or its file' });
}

/** A piece in one of the places, which are folders; its bytes are looked at when it is read. */
export async function findPiece(digest: Digest, places: readonly Place[]): Promise<Piece | undefined> {
  for (const place of places) {
    for (const path of pathsIn(place, digest)) {
      const found = await stat(path).catch(() => undefined);
      if (found?.isFile() === true) return pieceAt(path, digest, found.size);
    }
  }
  return undefined;
}

/** The bytes of a small piece. @throws ERR_USAGE when it has more than `limitBytes` */
export async function readPiece({ name, size, open: open_ }: Piece, limitBytes: number, signal: AbortSignal): Promise<Buffer> {
  if (size > limitBytes) throw new BuilderError('ERR_USAGE', `Cannot use ${name}: it has more than ${limitBytes} bytes`);
  return await buffer(open_(signal));
}

/** An image config. @throws ERR_LAYER naming the piece when it is none, ERR_USAGE when it is too long for one */
export async function readConfigPiece(piece: Piece, signal: AbortSignal): Promise<ImageConfig> {
  const bytes = await readPiece(piece, configLimitBytes, signal);
  return asWhat(piece, 'a config', () => parseImageConfig(bytes.toString('utf8')));
}

/** What `read` makes of a piece; what it is not is said of the piece. */
export function asWhat<Value>({ name }: Piece, what: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof BuilderError)) throw error;
    const state = error.message.replace(/^Cannot read .*?: /, '');
    throw new BuilderError(error.code, `Cannot use ${name} as ${what}: ${state}`, { cause: error });
  }
}

async function filePiece(path: string, signal: AbortSignal): Promise<Piece> {
  const meter = new Meter();
  for await (const chunk of readFileChunks(path, signal)) meter.update(chunk);
  return pieceAt(path, meter.digest(), meter.size);
}

function pieceAt(path: string, digest: Digest, size: number): Piece {
  const chunks = (signal: AbortSignal): AsyncIterable<Buffer> =>
    verify(readFileChunks(path, signal), { digest, size, subject: `${path} as ${digest}` });
  return { name: path, digest, size, open: (signal) => Readable.from(chunks(signal), { objectMode: false, highWaterMark: chunkBytes }) };
}

/** Where a place may keep it, manifests included. */
function pathsIn({ transport, path = '' }: Place, digest: Digest): readonly string[] {
  if (transport.name === 'oci') return [blobPath(path, digest)];
  const { hex } = splitDigest(digest);
  return transport.name === 'dir' ? [join(path, hex), join(path, `${hex}.manifest.json`)] : [];
}

/** The bytes of a regular file. @throws ERR_USAGE */
export async function* readFileChunks(path: string, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  await using file = await openRegular(path, (state, cause) => new BuilderError('ERR_USAGE', `Cannot read ${path}: ${state}`, { cause }));
  yield* file.createReadStream({ highWaterMark: chunkBytes, signal });
}
