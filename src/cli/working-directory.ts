// Where a command was called.
import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { BuilderError } from '../errors.ts';
import type { Environment } from './settings.ts';

/** A job's shell stays in a folder that a build removed and made again: there it is by its name. @throws ERR_USAGE where that is gone */
export function enterWorkingDirectory({ PWD: name = '' }: Environment): void {
  try {
    process.cwd();
  } catch (error) {
    if (isAbsolute(name) && existsSync(name)) return process.chdir(name);
    throw new BuilderError('ERR_USAGE', `Cannot start in ${name === '' ? 'the working directory' : name}: it is gone`, {
      cause: error,
      hint: 'cd to a folder that is there',
    });
  }
}
