// Where a path leads while the container's own links are there. Once a base image is unpacked they are the image's: what was
// mounted at /var/run/out, through the builder's own link to /run, is then found at /run/out alone.
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { systemCode } from '../errors.ts';

/** An absolute folder free of links, as far as it is there; one that is open stays what it is, wherever its path would lead. */
export function realFolder(folder: string): string {
  if (isOpen(folder)) return folder;
  try {
    return realpathSync(folder);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' || dirname(folder) === folder) return folder; // told where it is used
    return join(realFolder(dirname(folder)), basename(folder));
  }
}

/** An absolute path in the folder that it leads to; a link at its end stays, such as /dev/stdout. */
export function realPlace(path: string): string {
  return dirname(path) === path || isOpen(path) ? path : join(realFolder(dirname(path)), basename(path));
}

function isOpen(path: string): boolean {
  return /^\/proc\/self\/fd\/\d/.test(path);
}
