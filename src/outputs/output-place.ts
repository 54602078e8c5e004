// Whether something can be written at a place, found out before a build rather than after it.
import { accessSync, constants, mkdtempSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BuilderError } from '../errors.ts';

/** @throws ERR_USAGE for a place that could not take a file, or an OCI layout; `what` names it for messages */
export function checkOutputPlace(path: string, kind: 'file' | 'layout', what = path): void {
  const fail = (state: string, cause?: unknown): never => {
    throw new BuilderError('ERR_USAGE', `Cannot write ${what}: ${state}`, { cause });
  };
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined && found.isDirectory() !== (kind === 'layout')) fail(kind === 'layout' ? 'it is a file' : 'it is a directory');
  let nearest = path;
  while (!isThere(nearest)) nearest = dirname(nearest);
  if (nearest !== path && !statSync(nearest).isDirectory()) fail(`${nearest} is not a directory`);
  try {
    // Root may write everywhere, and yet nothing can be made in /proc: only trying tells.
    if (statSync(nearest).isDirectory()) rmdirSync(mkdtempSync(join(nearest, '.yadokari-')));
    else accessSync(nearest, constants.W_OK);
  } catch (error) {
    fail(`${nearest} can not be written`, error);
  }
}

// Below a file there is nothing either.
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}
