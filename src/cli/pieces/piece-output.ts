// Where a piece goes, and what is said of it.
import { stat } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { BuilderError, systemReason, systemCode } from '../../errors.ts';
import type { ImageBlob } from '../../oci/image.ts';
import type { Json } from '../../oci/json.ts';
import type { StoredManifest } from '../../oci/manifest.ts';
import { writeBeside } from '../../store/blob-file.ts';
import { openFolderSink } from '../../store/image-folder.ts';
import { openLayoutSink } from '../../store/oci-layout.ts';
import type { Place } from '../../transports/transport.ts';
import type { CommandInput } from '../command.ts';
import { printJson } from '../../go/json.ts';
import { parsePlace } from '../../transports/places.ts';

/** A piece that was made, with what it needs to be complete. */
export interface MadePiece {
  readonly blob: ImageBlob;
  /** What it names, put into a place before it. */
  readonly named?: readonly ImageBlob[];
  /** The piece itself, where it is a manifest. */
  readonly manifest?: StoredManifest;
}

/** One line of what is told: for a person, and as a member of JSON. */
export type Told = readonly (readonly [name: string, member: string, value: Json])[];

/** The place of a word that keeps pieces: a folder. @throws ERR_USAGE, ERR_REFERENCE */
export function piecePlace(word: string): Place {
  const place = parsePlace(word);
  const folder = `${place.transport.name}:${place.path ?? ''}`;
  if (place.transport.name === 'oci' || place.transport.name === 'dir') {
    if (place.name === folder) return place;
    throw new BuilderError('ERR_USAGE', `Cannot use ${place.name} for pieces: they have no names`, {
      hint: `name the folder alone: ${folder}`,
    });
  }
  throw new BuilderError('ERR_USAGE', `Cannot put a piece into ${place.name}: only whole images go there`, {
    hint: 'use oci:FOLDER or dir:FOLDER, and yadokari assemble in the end',
  });
}

/** Puts the piece into the place and into `--output`, and tells of it. */
export async function givePiece(piece: MadePiece, place: Place | undefined, told: Told, input: CommandInput): Promise<void> {
  const { settings, stdout, report, signal } = input;
  if (place !== undefined) await putPiece(piece, place, signal);
  const path = settings.text('output');
  if (path !== undefined) await writePiece(piece.blob, path, signal);
  // Standard output is either the piece or what is told of it.
  const print = (text: string): void => (path === '-' ? report.line('info', text) : stdout.write(`${text}\n`));
  tellPiece(piece.blob.descriptor.digest, told, { settings, print });
}

/** The digest alone, JSON, or lines. */
export function tellPiece(
  digest: string,
  told: Told,
  { settings, print }: Pick<CommandInput, 'settings'> & { readonly print: (text: string) => void },
): void {
  if (settings.boolean('quiet')) return print(digest);
  if (settings.boolean('json')) return print(printJson(new Map(told.map(([, member, value]) => [member, value]))));
  const width = Math.max(...told.map(([name]) => name.length)) + 2;
  for (const [name, , value] of told)
    for (const [position, item] of (Array.isArray(value) ? value : [value]).entries())
      print(`${(position === 0 ? name : '').padEnd(width)}${String(item)}`);
}

async function putPiece(
  { blob, named = [], manifest }: MadePiece,
  { transport, path: folder = '' }: Place,
  signal: AbortSignal,
): Promise<void> {
  const sink = transport.name === 'oci' ? openLayoutSink({ folder }) : await openFolderSink(folder);
  await sink.writeBlobs(manifest === undefined ? [...named, blob] : named, signal);
  if (manifest !== undefined) await sink.writeManifest(manifest, signal);
}

async function writePiece({ open }: ImageBlob, path: string, signal: AbortSignal): Promise<void> {
  if (path === '-') return await pipeline(open(signal), process.stdout, { end: false, signal });
  try {
    const found = await stat(path).catch(() => undefined);
    // A device or a pipe is written to; a file is there as a whole, or not at all.
    if (found === undefined || found.isFile())
      await writeBeside(path, async (file) => await pipeline(open(signal), file.createWriteStream(), { signal }));
    else await pipeline(open(signal), createWriteStream(path), { signal });
  } catch (error) {
    const code = systemCode(error);
    if (error instanceof BuilderError || code === undefined) throw error;
    throw new BuilderError('ERR_USAGE', `Cannot write ${path}: ${code === 'ENOENT' ? 'its folder does not exist' : systemReason(error)}`, {
      cause: error,
    });
  }
}
