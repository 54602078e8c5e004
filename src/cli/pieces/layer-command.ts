// `yadokari layer FOLDER|ARCHIVE [PLACE]`: a layer of what is on disk.
import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { bytesFromText } from '../../bytes.ts';
import { BuilderError, systemCode } from '../../errors.ts';
import { given } from '../../given.ts';
import { openBlobStore } from '../../layer/store.ts';
import type { Owner } from '../../linux/owners.ts';
import { clampPath, rootPath } from '../../paths.ts';
import { type LayerChoices, type LayerOrigin, makeLayer } from '../../pieces/make-layer.ts';
import { idInside } from '../../sandbox/ids.ts';
import { planIds } from '../../sandbox/unshare.ts';
import type { CommandInput } from '../command.ts';
import { givePiece, piecePlace } from './piece-output.ts';
import type { Settings } from '../settings.ts';
import { compressFormats } from '../tables/transports.ts';
import { compressionLevel } from '../requests/compression-level.ts';
import { epochOf, secondsOf } from '../requests/time-setting.ts';
import { temporaryFolderOf } from '../requests/transport-request.ts';

/** Makes a layer, puts it where it is wanted, and tells of it. */
export async function runLayerCommand(input: CommandInput): Promise<void> {
  const { settings, positionals, env, report, signal } = input;
  const [source, destination, ...others] = positionals;
  if (source === undefined || others.length > 0)
    throw new BuilderError('ERR_USAGE', 'Cannot make a layer: name a folder or an archive, and a place at most', {
      hint: 'yadokari layer rootfs oci:pieces',
    });
  const place = destination === undefined ? undefined : piecePlace(destination);
  const warn = (message: string): void => report.emit({ kind: 'warning', code: `layer ${message}`, message });
  const choices = { ...choicesOf(settings, epochOf(env)), warn };
  await using store = openBlobStore(temporaryFolderOf(settings, env));
  const { layer, entries, plainBytes, owners } = await makeLayer(originOf(source), choices, store, signal);
  const { mediaType, digest, size } = layer.descriptor;
  await givePiece(
    { blob: layer },
    place,
    [
      ['layer', 'digest', digest],
      ['diff_id', 'diffId', layer.diffId],
      ['media type', 'mediaType', mediaType],
      ['size', 'size', size],
      ['plain size', 'plainSize', plainBytes],
      ['entries', 'entries', entries],
      ...(owners.length === 0 ? [] : [['owners', 'owners', owners] as const]),
    ],
    input,
  );
}

function originOf(word: string): LayerOrigin {
  if (word === '-') return { kind: 'stream', name: 'standard input', chunks: process.stdin as AsyncIterable<Buffer> }; // no encoding is set
  try {
    if (!statSync(word).isDirectory()) return { kind: 'file', path: word };
    return { kind: 'folder', path: bytesFromText(realpathSync(resolve(word))) };
  } catch (error) {
    const state = systemCode(error) === 'ENOENT' ? 'there is no such file or folder' : systemCode(error);
    throw new BuilderError('ERR_USAGE', `Cannot make a layer of ${word}: ${state}`, { cause: error });
  }
}

function choicesOf(settings: Settings, latestTime: number | undefined): Omit<LayerChoices, 'warn'> {
  const isKept = settings.boolean('as-is');
  const changing = ['owner', 'map-ids', 'mtime', 'whiteout'].filter((name) => settings.has(name));
  if (isKept && changing.length > 0)
    throw new BuilderError('ERR_USAGE', `Cannot use --as-is with --${changing.join(', --')}: what is kept as it is does not change`);
  const compression = settings.has('compress-format') ? settings.choice('compress-format', compressFormats, 'gzip') : undefined;
  const time = settings.text('mtime');
  return {
    isKept,
    ...given({ compression, level: compressionLevel(settings, 'compress-level', compression), latestTime }),
    ownerOf: ownersBy(settings),
    ...(time === undefined ? {} : { time: secondsOf('mtime', time) }),
    removed: settings.list('whiteout').map(removedPath),
  };
}

function removedPath(word: string): ReturnType<typeof clampPath> {
  const path = clampPath(bytesFromText(word));
  if (path !== rootPath) return path;
  throw new BuilderError('ERR_USAGE', `Cannot use --whiteout ${word}: it names nothing below the root`);
}

function ownersBy(settings: Settings): LayerChoices['ownerOf'] {
  const owner = settings.text('owner');
  if (!settings.boolean('map-ids')) return owner === undefined ? (same) => same : (): Owner => ownerOf(owner);
  if (owner !== undefined) throw new BuilderError('ERR_USAGE', 'Cannot use --owner with --map-ids: one says whose files are');
  const { caller, mapping } = planIds(true);
  const group = process.getegid?.() ?? caller.uid;
  const { uids, gids } = mapping.kind === 'ranges' ? mapping : {};
  return (of) => {
    const [uid, gid] = [idInside(of.uid, caller.uid, uids), idInside(of.gid, group, gids)];
    return uid === undefined || gid === undefined ? undefined : { uid, gid };
  };
}

function ownerOf(text: string): Owner {
  const [, uid, gid = uid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text) ?? [];
  if (uid !== undefined && Math.max(Number(uid), Number(gid)) < 2 ** 32 - 1) return { uid: Number(uid), gid: Number(gid) };
  throw new BuilderError('ERR_USAGE', `Cannot use --owner ${text}: expected numbers, UID or UID:GID`, {
    hint: "names are the image's own: look into its /etc/passwd",
  });
}
