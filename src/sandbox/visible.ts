// The outputs and inputs on the host, before and after: outputs must be there to be mounted, and leave nothing when unused.
import { closeSync, lstatSync, openSync, rmdirSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path/posix';
import { makeFolder } from '../folders.ts';
import { BuilderError, systemReason, systemCode } from '../errors.ts';
import type { VisiblePath } from './plan.ts';

/**
 * Checks inputs and makes the outputs that are missing; gives the function that takes unused ones away again.
 * @throws ERR_CONTEXT for an input that is not there or of the other kind, ERR_USAGE for an output that can't be made
 */
export function prepareVisible(visible: readonly VisiblePath[]): () => void {
  const made: VisiblePath[] = [];
  for (const entry of visible) {
    const found = kindAt(entry.path);
    if (found === entry.kind) continue;
    const isOutput = entry.mode === 'rw' || entry.mode === 'held';
    if (found !== undefined || !isOutput) {
      const state = found === undefined ? 'it does not exist' : `it is a ${found}, not a ${entry.kind}`;
      throw new BuilderError(isOutput ? 'ERR_USAGE' : 'ERR_CONTEXT', `Cannot use ${entry.path}: ${state}`);
    }
    makeOutput(entry);
    made.push(entry);
  }
  return () => {
    for (const entry of made) removeUnused(entry);
  };
}

function kindAt(path: string): 'file' | 'folder' | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return stat.isDirectory() ? 'folder' : 'file';
}

function makeOutput(entry: VisiblePath): void {
  try {
    makeFolder(entry.kind === 'folder' ? entry.path : dirname(entry.path));
    if (entry.kind === 'file') closeSync(openSync(entry.path, 'wx', 0o644));
  } catch (error) {
    throw new BuilderError('ERR_USAGE', `Cannot write ${entry.path}: ${systemReason(error)}`, { cause: error });
  }
}

function removeUnused(entry: VisiblePath): void {
  try {
    if (entry.kind === 'folder') rmdirSync(entry.path);
    else if (lstatSync(entry.path).size === 0) unlinkSync(entry.path);
  } catch (error) {
    if (systemCode(error) !== 'ENOTEMPTY' && systemCode(error) !== 'ENOENT') throw error;
  }
}
