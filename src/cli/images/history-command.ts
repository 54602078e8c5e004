// `yadokari history`: what made an image, step by step.
import { splitDigest } from '../../oci/digest.ts';
import type { HistoryEntry } from '../../oci/image-config.ts';
import { type JsonObject, jsonObject } from '../../oci/json.ts';
import { formatAge, formatBytes } from '../../report/units.ts';
import { findImage } from '../../store/find-image.ts';
import { type CommandInput, onlyOperand } from '../command.ts';
import { storeOf } from '../requests/store-request.ts';
import { withStoredImage } from './stored-image.ts';
import { formatRows } from '../table.ts';

/** What made each layer, the last first, as podman prints it. */
export async function runHistoryCommand({ settings, positionals, env, stdout, signal }: CommandInput): Promise<void> {
  const store = storeOf(settings, env);
  const text = onlyOperand(positionals, 'tell the history', 'images');
  const { names } = (await findImage(store, text, signal)).image;
  const { image, config } = await withStoredImage({ store, text, settings }, signal, async (stored) => stored);
  const { layers } = image;
  const isHuman = settings.boolean('human', true);
  const isWhole = settings.boolean('no-trunc');
  let layer = 0;
  const sizes = image.config.history.map(({ emptyLayer }) => (emptyLayer === true ? 0 : (layers[layer++]?.descriptor.size ?? 0)));
  const entries = image.config.history.map((entry, position) => ({ entry, sizeBytes: sizes[position] ?? 0 })).toReversed();
  const id = (position: number): string => (position === 0 ? splitDigest(config.descriptor.digest).hex : '<missing>');
  if (settings.boolean('quiet')) {
    stdout.write(entries.map((_entry, position) => `${isWhole ? id(position) : id(position).slice(0, 12)}\n`).join(''));
    return;
  }
  const rows = entries.map(({ entry, sizeBytes }, position): JsonObject => {
    const command = entry.createdBy ?? '';
    return jsonObject({
      ID: isWhole ? id(position) : id(position).slice(0, 12),
      Created: isHuman ? ageOf(entry) : (entry.created ?? ''),
      CreatedAt: entry.created ?? '',
      CreatedSince: ageOf(entry),
      CreatedBy: isWhole || command.length <= 45 ? command : `${command.slice(0, 42)}...`,
      Size: isHuman ? formatBytes(sizeBytes) : String(sizeBytes),
      Comment: entry.comment ?? '',
      Tags: position === 0 ? names : [],
    });
  });
  const json = entries.map(({ entry, sizeBytes }, position) =>
    jsonObject({
      id: id(position),
      created: entry.created || undefined,
      CreatedBy: entry.createdBy || undefined,
      size: sizeBytes,
      comment: entry.comment || undefined,
      tags: position === 0 && names.length > 0 ? names : undefined,
    }),
  );
  const columns = { ID: 'ID', CREATED: 'Created', 'CREATED BY': 'CreatedBy', SIZE: 'Size', COMMENT: 'Comment' };
  stdout.write(formatRows(rows, { columns, json }, settings));
}

function ageOf({ created }: HistoryEntry): string {
  const time = Date.parse(created ?? '');
  return Number.isNaN(time) ? 'N/A' : formatAge(Date.now() - time);
}
