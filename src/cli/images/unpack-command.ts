// `yadokari unpack`: an image's files in a folder.
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { BuilderError, ifCode } from '../../errors.ts';
import { unpackImage } from '../../rootfs/unpack-image.ts';
import type { IdMapping } from '../../sandbox/ids.ts';
import { planIds, runUnshared } from '../../sandbox/unshare.ts';
import { findImage } from '../../store/find-image.ts';
import type { ImageStore } from '../../store/image-store.ts';
import type { CommandInput } from '../command.ts';
import { passSignals } from '../sandbox/pass-signals.ts';
import { storeOf } from '../requests/store-request.ts';
import { withStoredImage } from './stored-image.ts';

/** The image's files in a folder that is not there yet, or empty. For an ordinary user in a namespace, with the owners that ranges allow. */
export async function runUnpackCommand(input: CommandInput): Promise<number | void> {
  const { settings, positionals, env, report, signal } = input;
  const [text, second, ...others] = positionals;
  const folder = resolve(settings.text('output') ?? second ?? 'rootfs');
  if (text === undefined || others.length > 0 || (settings.has('output') && second !== undefined))
    throw new BuilderError('ERR_USAGE', 'Cannot unpack: an image and a folder are needed', { hint: 'yadokari unpack IMAGE FOLDER' });
  const store = storeOf(settings, env);
  await findImage(store, text, signal);
  checkEmpty(folder);
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0) return await unpackUnshared(input, { store, text, folder });
  const temporary = join(dirname(folder), `.${randomUUID()}.tmp`);
  mkdirSync(temporary, { mode: 0o755 });
  try {
    await withStoredImage({ store, text, settings }, signal, async ({ image }) => await unpackImage(image, temporary, report, signal));
    await rmdir(folder).catch(ifCode(['ENOENT']));
    await rename(temporary, folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** The same command where the caller looks like root. */
async function unpackUnshared(
  { settings, env, report, signal }: CommandInput,
  { store, text, folder }: { readonly store: ImageStore; readonly text: string; readonly folder: string },
): Promise<number> {
  const { mapping, missing } = widestIds();
  if (missing !== undefined)
    report.emit({ kind: 'warning', code: 'unpack.ids', message: `${missing}; all files of the image become yours` });
  const platform = settings.text('platform');
  const flags = [`--root=${store.folder}`, `--output=${folder}`, ...(platform === undefined ? [] : [`--platform=${platform}`])];
  const command = [process.execPath, ...process.execArgv, process.argv[1] ?? '', 'unpack', ...flags, '--', text];
  const status = await runUnshared(mapping, command, { env, onSignal: passSignals, signal });
  if (status === 0 && missing === undefined)
    report.emit({
      kind: 'note',
      level: 'info',
      message: `files have the owners of your id ranges: yadokari unshare --map-ids shows and removes them`,
    });
  return status;
}

/** With ranges where there are some, else the caller's own. */
function widestIds(): { readonly mapping: IdMapping; readonly missing?: string } {
  try {
    return planIds(true);
  } catch (error) {
    if (!(error instanceof BuilderError)) throw error;
    return { ...planIds(false), missing: error.message };
  }
}

function checkEmpty(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isDirectory()) throw new BuilderError('ERR_USAGE', `Cannot unpack to ${folder}: it is a file`);
  if (readdirSync(folder).length > 0)
    throw new BuilderError('ERR_USAGE', `Cannot unpack to ${folder}: there is something in it`, {
      hint: 'name a folder that is not there',
    });
}
