// `yadokari assemble MANIFEST [PIECE…] DESTINATION`: pieces become an image with a name.
import { BuilderError } from '../../errors.ts';
import { type Piece, pieceOf } from '../../pieces/piece.ts';
import { openPieces } from '../../pieces/pieces-source.ts';
import { isPlaceName, parsePlace } from '../../transports/places.ts';
import { loosePlace } from '../../transports/transports.ts';
import type { CommandInput } from '../command.ts';
import { copyWithRetries, openCopyMeans } from '../transports/copy-command.ts';
import { piecePlace, tellPiece } from './piece-output.ts';

/** Copies what the manifest names to the destination, and the manifest last, under its name. */
export async function runAssembleCommand(input: CommandInput): Promise<void> {
  const { positionals, settings, stdout, signal } = input;
  const [word, ...rest] = positionals;
  const destination = rest.pop();
  if (word === undefined || destination === undefined)
    throw new BuilderError('ERR_USAGE', `Cannot assemble an image: name its manifest, its pieces, and where it goes`, {
      hint: 'yadokari assemble manifest.json config.json layer.tar.gz oci:images:hello',
    });
  const to = parsePlace(destination);
  const isFolder = to.transport.name === 'oci' || to.transport.name === 'dir';
  const places = [...rest.filter((piece) => isPlaceName(piece)).map(piecePlace), ...(isFolder ? [to] : [])];
  const files: Piece[] = [];
  for (const piece of rest) if (!isPlaceName(piece)) files.push(await pieceOf(piece, places, signal));
  const manifest = await pieceOf(word, places, signal);
  const source = await openPieces(manifest, { files, places }, signal);
  await using means = await openCopyMeans(input);
  const options = { selection: { kind: 'all' } } as const;
  const { digest, manifest: stored } = await copyWithRetries(loosePlace(source), to, options, { ...input, means });
  tellPiece(
    digest,
    [
      ['image', 'name', to.name],
      ['digest', 'digest', digest],
      ['media type', 'mediaType', stored.mediaType],
    ],
    { settings, print: (text) => stdout.write(`${text}\n`) },
  );
}
