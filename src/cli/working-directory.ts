// Where a command was called.
import { isAbsolute } from 'node:path';
import { BuilderError } from '../errors.ts';
import type { Environment } from './settings.ts';

/** A job's shell stays in a folder that a build removed and made again: there it is by its name. @throws ERR_USAGE where that is gone */
export function enterWorkingDirectory({ PWD: name = '' }: Environment): void {
  try {
    process.cwd();
  } catch (error) {
    if (isAbsolute(name) && canEnter(name)) return;
    throw new BuilderError('ERR_USAGE', `Cannot start in ${name === '' ? 'the working directory' : name}: it is gone`, {
      cause: error,
      hint: 'cd to a folder that is there',
    });
  }
}

/** The image of an earlier build may have anything there. */
function canEnter(folder: string): boolean {
  try {
    process.chdir(folder);
    return true;
  } catch {
    return false;
  }
}
