// What a build that was killed had out of the way: the container's own folders, and files of contexts in whose folders an image worked.
import { realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { temporaryFolders } from '../build/borrow-places.ts';
import { borrowOptions } from '../build/borrowing.ts';
import type { BuildRequest } from '../build/request.ts';
import { recoverShelf } from '../build/shelved-folder.ts';
import { type ByteString, bytesFromText, textFromBytes } from '../bytes.ts';
import { ifCode } from '../errors.ts';
import type { Emit } from '../events.ts';
import { readMounts } from '../linux/mounts.ts';
import { BorrowedFolder } from '../rootfs/borrowed-folder.ts';

/**
 * Before anything in a context is looked at: empties the shelf, and gives each context, and the folders that it is in up to its mount, what a killed build took;
 * takes away what one left in a mounted folder for temporary files.
 * @throws ERR_CONTEXT while another build works there, or where it can't be written
 */
export async function recoverContexts(
  request: Pick<BuildRequest, 'context' | 'namedContexts' | 'builderFolder' | 'rootPath'>,
  { workingDirectory, emit, signal }: { readonly workingDirectory: string; readonly emit: Emit; readonly signal: AbortSignal },
): Promise<void> {
  recoverShelf(request.builderFolder);
  const mounted = new Set(readMounts().map(({ target }) => target));
  const options = borrowOptions(request.builderFolder, emit, signal);
  const done = new Set<ByteString>();
  for (const context of [request.context, ...request.namedContexts.map(({ place }) => place)]) {
    const path = context.replace(/^dir:\/\//i, '');
    // One that is written as kaniko's own example has it is meant to be absolute.
    const given = path.includes('://') ? undefined : [resolve(workingDirectory, path), `/${path}`].find((each) => isFolder(each));
    if (given === undefined) continue;
    for (let folder = bytesFromText(realpathSync(given)); folder !== '/' && !done.has(folder); folder = parentOf(folder)) {
      done.add(folder);
      const isBack = await BorrowedFolder.recover(folder, options);
      const message = `${textFromBytes(folder)} has its files back, which a build that was killed had moved out of the way`;
      if (isBack) emit({ kind: 'warning', code: `context-back ${message}`, message });
      if (mounted.has(folder)) break;
    }
  }
  for (const name of temporaryFolders) {
    const folder = bytesFromText(join(request.rootPath, name));
    // One that another build has is not borrowed.
    if (mounted.has(folder) && !done.has(folder)) await BorrowedFolder.recover(folder, options).catch(ifCode(['ERR_CONTEXT']));
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function parentOf(folder: ByteString): ByteString {
  return bytesFromText(dirname(textFromBytes(folder)));
}
