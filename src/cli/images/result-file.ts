// The one file that a command writes its result to: a digest, an image's id, a container's.
import { resolve } from 'node:path';
import { openOutputFile, type OutputFile } from '../../outputs/output-file.ts';
import type { Settings } from '../settings.ts';

/**
 * The file that a flag names, opened before anything is done; undefined where the flag is not given.
 * @throws ERR_USAGE where it can't be written
 */
export async function openResultFile(
  settings: Settings,
  flag: string,
): Promise<(Pick<OutputFile, 'commit'> & AsyncDisposable) | undefined> {
  const path = settings.text(flag);
  if (path === undefined) return undefined;
  const { commit, close } = await openOutputFile(resolve(path), flag);
  return { commit, [Symbol.asyncDispose]: close };
}
