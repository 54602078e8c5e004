// `yadokari manifest --config PIECE --layer PIECE… [PLACE]`: config and layers as one image.
import { Readable } from 'node:stream';
import { BuilderError } from '../../errors.ts';
import type { Layer } from '../../oci/image.ts';
import { readImage } from '../../oci/stored-image.ts';
import { readLayerPiece } from '../../pieces/layer-piece.ts';
import { makeManifest } from '../../pieces/make-manifest.ts';
import { pieceOf } from '../../pieces/piece.ts';
import { parsePlace } from '../../transports/places.ts';
import type { CommandInput } from '../command.ts';
import { givePiece, piecePlace } from './piece-output.ts';
import { openMeans } from '../requests/transport-request.ts';

/** Makes a manifest, puts it and what it names where it is wanted, and tells of it. */
export async function runManifestCommand(input: CommandInput): Promise<void> {
  const { settings, positionals, env, report, signal } = input;
  const [destination, ...others] = positionals;
  const config = settings.text('config');
  if (config === undefined || others.length > 0) {
    const message = `Cannot make a manifest: ${config === undefined ? 'there is no --config' : 'name one place at most'}`;
    throw new BuilderError('ERR_USAGE', message, { hint: 'yadokari manifest --config config.json --layer layer.tar.gz oci:pieces' });
  }
  const place = destination === undefined ? undefined : piecePlace(destination);
  const places = place === undefined ? [] : [place];
  // A base's layers are read while they are put into the place, so it stays open.
  await using stack = new AsyncDisposableStack();
  const layers: Layer[] = [];
  const from = settings.text('from');
  if (from !== undefined) {
    const means = stack.use(await openMeans(settings, 'src-', { env, emit: report.emit }));
    const source = stack.use(await parsePlace(from).openSource(means, signal));
    layers.push(...(await readImage(source, means.platform, signal)).image.layers);
  }
  for (const word of settings.list('layer')) layers.push((await readLayerPiece(await pieceOf(word, places, signal), signal)).layer);
  const family = settings.text('format') === 'v2s2' ? 'docker' : 'oci';
  const parts = { config: await pieceOf(config, places, signal), layers, annotations: settings.pairs('annotation') };
  const { manifest, blobs } = await makeManifest(parts, family, signal);
  const { mediaType, digest, bytes } = manifest;
  await givePiece(
    {
      blob: { descriptor: { mediaType, digest, size: bytes.length }, open: () => Readable.from([bytes], { objectMode: false }) },
      named: blobs,
      manifest,
    },
    place,
    [
      ['manifest', 'digest', digest],
      ['media type', 'mediaType', mediaType],
      ['size', 'size', bytes.length],
      ['config', 'config', parts.config.digest],
      ['layers', 'layers', layers.map((layer) => layer.descriptor.digest)],
    ],
    input,
  );
}
