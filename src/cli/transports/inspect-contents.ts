// `inspect --tree` and `--waste`: what the layers of an image hold, for people, and gates for CI that go by it.
import { BuilderError } from '../../errors.ts';
import type { ImageContents } from '../../events.ts';
import { given } from '../../given.ts';
import { readContents } from '../../layer/image-contents.ts';
import type { Platform } from '../../oci/platform.ts';
import type { ImageSource } from '../../oci/source-and-sink.ts';
import { readImage } from '../../oci/stored-image.ts';
import { contentsLines, wasteLines } from '../../report/contents-text.ts';
import { formatBytes, parseBytes } from '../../report/units.ts';
import { type WasteSums, sumWaste } from '../../report/waste.ts';
import type { CommandInput } from '../command.ts';
import type { Settings } from '../settings.ts';

const gateFlags = ['lowest-efficiency', 'highest-wasted-bytes', 'highest-user-wasted-percent'] as const;

/** True where layers have to be read for what was asked. */
export function wantsContents(settings: Settings): boolean {
  return settings.boolean('tree') || settings.boolean('waste') || gateFlags.some((flag) => settings.text(flag) !== undefined);
}

/**
 * Prints what was asked for, and gives 1 where the image does not pass a gate.
 * @throws ERR_USAGE before anything is read
 */
export async function printContents(
  { settings, stdout, report, signal }: CommandInput,
  source: ImageSource,
  platform: Platform,
): Promise<number> {
  const gates = readGates(settings);
  const baseLayers = wholeNumber(settings, 'base-layers', 1);
  const depth = wholeNumber(settings, 'depth', 3);
  const { image } = await readImage(source, platform, signal);
  const contents: ImageContents = await readContents(image, { baseLayers }, signal);
  const lines = [
    ...(settings.boolean('tree') ? contentsLines(contents, { depth, columns: process.stdout.columns || 100 }) : []),
    ...(settings.boolean('waste') ? wasteLines(contents) : []),
  ];
  if (lines.length > 0) stdout.write(`${lines.join('\n')}\n`);
  const refusals = judge(sumWaste(contents), gates);
  for (const refusal of refusals) report.line('error', `error: ${refusal}`);
  return refusals.length === 0 ? 0 : 1;
}

interface Gates {
  readonly efficiency?: number;
  readonly wastedBytes?: number;
  readonly userWastedShare?: number;
}

function readGates(settings: Settings): Gates {
  const [efficiency, wasted, share] = gateFlags.map((flag) => settings.text(flag));
  const wastedBytes = wasted === undefined ? undefined : parseBytes(wasted);
  if (wasted !== undefined && wastedBytes === undefined)
    throw new BuilderError('ERR_USAGE', `Cannot use --highest-wasted-bytes=${wasted}: expected a size`, { hint: 'for example 20MB' });
  return {
    ...(efficiency === undefined ? {} : { efficiency: partOfOne('lowest-efficiency', efficiency) }),
    ...given({ wastedBytes }),
    ...(share === undefined ? {} : { userWastedShare: partOfOne('highest-user-wasted-percent', share) }),
  };
}

// dive writes 0.95 as well where it says percent.
function partOfOne(flag: string, text: string): number {
  const value = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (text !== '' && value >= 0 && value <= 1) return value;
  throw new BuilderError('ERR_USAGE', `Cannot use --${flag}=${text}: expected a part of 1`, { hint: 'for example 0.95, or 95%' });
}

function wholeNumber(settings: Settings, flag: string, otherwise: number): number {
  const text = settings.text(flag) ?? String(otherwise);
  if (!/^\d{1,3}$/.test(text)) throw new BuilderError('ERR_USAGE', `Cannot use --${flag}=${text}: expected a whole number`);
  return Number(text);
}

function judge({ efficiency, wastedBytes, userWastedBytes, userBytes }: WasteSums, gates: Gates): readonly string[] {
  const share = userBytes === 0 ? 0 : userWastedBytes / userBytes;
  const shown = (part: number): string => `${(part * 100).toFixed(1)} %`;
  return [
    gates.efficiency !== undefined && efficiency < gates.efficiency
      ? `efficiency is ${shown(efficiency)}, and --lowest-efficiency ${shown(gates.efficiency)}`
      : '',
    gates.wastedBytes !== undefined && wastedBytes > gates.wastedBytes
      ? `${formatBytes(wastedBytes)} are wasted, and --highest-wasted-bytes is ${formatBytes(gates.wastedBytes)}`
      : '',
    gates.userWastedShare !== undefined && share > gates.userWastedShare
      ? `${shown(share)} of what is above the base is wasted, and --highest-user-wasted-percent is ${shown(gates.userWastedShare)}`
      : '',
  ].filter((refusal) => refusal !== '');
}
