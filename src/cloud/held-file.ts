// A token that somebody writes anew while we run (a projected service account token). After the base image is unpacked, the path to it
// may lead into the image: the folder is held open from the start, and the file looked up in it.
import { closeSync, openSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BuilderError, ifCode, inWords, orElse, systemReason } from '../errors.ts';
import { readSmallFileSync } from '../small-file.ts';

export interface HeldFile {
  readonly path: string;
  /** What it holds now, or held when it could last be read. @throws ERR_AUTH when it never could */
  readonly read: () => string;
  readonly close: () => void;
}

const limitBytes = 256 * 1024;

/** Where a file is that another file names: in a sandbox what of the machine is shown is below a folder. */
export function namedPlace(path: string, env: Readonly<Record<string, string | undefined>>): string {
  const folder = env['YADOKARI_HOST_FILES'];
  return folder === undefined ? path : join(folder, path);
}

/** Holds the file's folder until `close`; a file that is missing is told by `read`. `source` names what names it, for messages. */
export function holdFile(path: string, source: string): HeldFile {
  let folder: number | undefined;
  let text: string | undefined;
  let failure: unknown;
  const look = (place: string): void => {
    try {
      text = readSmallFileSync(place, limitBytes).toString('utf8');
    } catch (error) {
      failure = error;
    }
  };
  try {
    folder = openSync(dirname(path), 'r');
  } catch (error) {
    failure = error;
  }
  const place = folder === undefined ? undefined : `/proc/self/fd/${folder}/${basename(path)}`;
  if (place !== undefined) look(place);
  return {
    path,
    read: () => {
      if (place !== undefined && folder !== undefined) look(place);
      if (text !== undefined && text.trim() !== '') return text;
      const why = text === undefined ? systemReason(failure) : 'it is empty';
      throw new BuilderError('ERR_AUTH', `Cannot read ${path}, which ${source} names: ${why}`, {
        cause: failure,
        hint: 'mount the file into the container, or unset the variable',
      });
    },
    close: () => {
      if (folder !== undefined) closeSync(folder);
      folder = undefined;
    },
  };
}

/** A file that is read once; undefined where there is none. @throws ERR_AUTH when it can't be read */
export function textIfThere(path: string, what: string): string | undefined {
  const others = inWords('ERR_AUTH', `Cannot read ${what} in ${path}`);
  return orElse(() => readSmallFileSync(path, limitBytes).toString('utf8'), ifCode(['ENOENT', 'ENOTDIR'], undefined, others));
}
