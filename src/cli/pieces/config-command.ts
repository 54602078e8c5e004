// `yadokari config [PLACE]`: what an image says of itself, from flags.
import { Readable } from 'node:stream';
import { formatTime } from '../../oci/time.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { digestOf } from '../../oci/digest.ts';
import { type HistoryEntry, type ImageConfig, emptyImageConfig, formatImageConfig, parseImageConfig } from '../../oci/image-config.ts';
import { MediaType } from '../../oci/media-type.ts';
import { formatPlatform, hostPlatform } from '../../oci/platform.ts';
import { readLayerPiece } from '../../pieces/layer-piece.ts';
import { pieceOf, readConfigPiece } from '../../pieces/piece.ts';
import { readConfig } from '../../transports/inspect.ts';
import { isPlaceName, parsePlace } from '../../transports/places.ts';
import type { Place } from '../../transports/transport.ts';
import type { CommandInput } from '../command.ts';
import { applyImageSettings } from '../requests/image-settings.ts';
import { givePiece, piecePlace } from './piece-output.ts';
import { epochOf, secondsOf } from '../requests/time-setting.ts';
import { openMeans } from '../requests/transport-request.ts';

/** Makes a config, puts it where it is wanted, and tells of it. */
export async function runConfigCommand(input: CommandInput): Promise<void> {
  const { settings, positionals, env } = input;
  const [destination, ...others] = positionals;
  if (others.length > 0)
    throw new BuilderError('ERR_USAGE', 'Cannot make a config: name one place at most', { hint: 'yadokari config oci:pieces' });
  if (settings.has('annotation'))
    throw new BuilderError('ERR_USAGE', 'Cannot use --annotation for a config: a manifest has annotations', {
      hint: 'yadokari manifest --annotation',
    });
  const place = destination === undefined ? undefined : piecePlace(destination);
  const before = await startingConfig(input, place);
  const { config: settled } = applyImageSettings({ config: before, annotations: new Map() }, settings, env);
  const config = await withLayers(settled, place, input);
  const bytes = Buffer.from(formatImageConfig(config), 'utf8');
  const descriptor = { mediaType: MediaType.ociConfig, digest: digestOf(bytes), size: bytes.length };
  await givePiece(
    { blob: { descriptor, open: () => Readable.from([bytes], { objectMode: false }) } },
    place,
    [
      ['config', 'digest', descriptor.digest],
      ['media type', 'mediaType', descriptor.mediaType],
      ['size', 'size', bytes.length],
      ['platform', 'platform', formatPlatform(config)],
      ['layers', 'diffIds', config.diffIds],
    ],
    input,
  );
}

/** Of `--from`: an image's, or that in a file; else an empty one for this machine. */
async function startingConfig(input: CommandInput, place: Place | undefined): Promise<ImageConfig> {
  const { settings, env, report, signal } = input;
  const from = settings.text('from');
  if (from === undefined) return emptyImageConfig(hostPlatform(process.arch));
  if (!isPlaceName(from)) {
    return await readConfigPiece(await pieceOf(from, place === undefined ? [] : [place], signal), signal);
  }
  await using means = await openMeans(settings, 'src-', { env, emit: report.emit });
  await using source = await parsePlace(from).openSource(means, signal);
  return parseImageConfig((await readConfig(source, means.platform, signal)).toString('utf8'));
}

/** With the layers that are named, and an entry of history for each; for none where there is something to say. */
async function withLayers(config: ImageConfig, place: Place | undefined, { settings, env, signal }: CommandInput): Promise<ImageConfig> {
  const time = settings.text('created');
  const seconds = time === undefined ? epochOf(env) : secondsOf('created', time);
  const created = seconds === undefined ? {} : { created: formatTime(seconds * 1000) };
  const [createdBy, comment] = [settings.text('created-by'), settings.text('history-comment')];
  const entry: HistoryEntry = { ...created, ...given({ createdBy, comment }) };
  const words = settings.list('layer');
  const diffIds = [...config.diffIds];
  for (const word of words) {
    const piece = await pieceOf(word, place === undefined ? [] : [place], signal);
    diffIds.push((await readLayerPiece(piece, signal)).layer.diffId);
  }
  const ofLayers = words.map((): HistoryEntry => ({ createdBy: 'yadokari layer', ...entry }));
  const isTold = words.length === 0 && (createdBy !== undefined || comment !== undefined);
  const history = [...config.history, ...ofLayers, ...(isTold ? [{ ...entry, emptyLayer: true }] : [])];
  return { ...config, ...created, diffIds, history };
}
