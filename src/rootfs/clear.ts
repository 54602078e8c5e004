// An empty root for the next stage.
import { rootPath } from '../paths.ts';
import { BuilderError } from '../errors.ts';
import { removeChildren } from '../files/remove.ts';
import type { Root } from '../files/root.ts';

/**
 * Empties the root of all but what is protected and the directories that lead there.
 * @throws ERR_ROOTFS when something can't be removed
 */
export function clearRoot(root: Root, signal: AbortSignal): void {
  signal.throwIfAborted();
  try {
    removeChildren(root, rootPath);
  } catch (error) {
    throw new BuilderError('ERR_ROOTFS', `Cannot empty ${root.path}: ${error instanceof Error ? error.message : 'unknown failure'}`, {
      cause: error,
    });
  }
}
