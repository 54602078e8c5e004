// Folders with the ones above them. Node's own `mkdir` with `recursive` never ends where a file system has no room for folders, as /proc.
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { inWords, orElse, systemCode } from './errors.ts';

/** Makes a folder, and those above it that are missing, each with this mode but for the umask. @throws SystemError; EEXIST where a file is */
export function makeFolder(path: string | Buffer, mode = 0o777): void {
  try {
    makeOne(path, mode);
  } catch (error) {
    const above = typeof path === 'string' ? dirname(path) : Buffer.from(dirname(path.toString('latin1')), 'latin1');
    if (systemCode(error) !== 'ENOENT' || above.toString('latin1') === path.toString('latin1')) throw error;
    makeFolder(above, mode);
    makeOne(path, mode);
  }
}

/** The same where somebody named the folder: `what` says how. @throws ERR_USAGE in words */
export function makeNamedFolder(path: string, what: string, mode = 0o777): void {
  orElse(() => makeFolder(path, mode), inWords('ERR_USAGE', `Cannot make ${what} ${path}`));
}

function makeOne(path: string | Buffer, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
}
