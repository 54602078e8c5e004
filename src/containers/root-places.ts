// Places in a container's root that a running command needs and its image may not have: made before it runs, taken away again when
// nothing runs any more, with the times of the folders that they stood in, so that an image gets none of them.
import { closeSync, lstatSync, mkdirSync, openSync, rmdirSync, unlinkSync } from 'node:fs';
import { type ByteString, bytesFromText, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { absolutePath, isDirectoryMode, isFileMode, resolvePath } from '../files/resolve.ts';
import { type Root, plainRoot } from '../files/root.ts';
import { setTimes, statFieldCount, statInto, StatField } from '../linux/files.ts';
import { splitPath } from '../paths.ts';

/** Something to mount on: below the root, as the container sees it. */
export interface WantedPlace {
  readonly path: string;
  readonly kind: 'folder' | 'file';
}

/** Where a wanted place is on the host, free of links. */
export interface FoundPlace {
  readonly hostPath: string;
  /** Paths below the root that have to be made, the outermost first. */
  readonly missing: readonly ByteString[];
}

/** Finds a place, whatever links say inside the root. @throws ERR_USAGE where something of another kind stands there */
export function findPlace(rootFolder: string, { path, kind }: WantedPlace): FoundPlace {
  const root = plainRoot(bytesFromText(rootFolder));
  const found = resolvePath(root, bytesFromText(path), 'follow');
  if (found.mode !== undefined && isDirectoryMode(found.mode) !== (kind === 'folder')) {
    const state = kind === 'folder' ? 'it is not a folder' : 'it is a folder';
    throw new BuilderError('ERR_USAGE', `Cannot mount at ${path}: ${state} in the container`);
  }
  const missing: ByteString[] = [];
  for (let at = found.path; at !== '.' && resolvePath(root, at, 'keep').mode === undefined; at = splitPath(at).parent) missing.unshift(at);
  return { hostPath: textFromBytes(absolutePath(root, found.path)), missing };
}

/** Makes the missing parts of places; a file's last one is a file. @throws SystemError, ERR_TAMPERED where a link came into the way */
export function makePlaces(rootFolder: string, places: readonly (FoundPlace & Pick<WantedPlace, 'kind'>)[]): void {
  const root = plainRoot(bytesFromText(rootFolder));
  for (const { missing, kind } of places) {
    for (const [position, path] of missing.entries()) {
      const found = resolvePath(root, path, 'keep');
      if (found.path !== path)
        throw new BuilderError('ERR_TAMPERED', `Cannot mount at /${textFromBytes(path)}: a command put a link in its way`);
      if (found.mode !== undefined) continue;
      const place = fsPath(absolutePath(root, path));
      keepTimeOf(root, splitPath(path).parent, () => {
        if (kind === 'folder' || position < missing.length - 1) mkdirSync(place, 0o755);
        else closeSync(openSync(place, 'wx', 0o644));
      });
    }
  }
}

/** Takes away what `makePlaces` made, as far as nobody has put anything there, or a link in its way. */
export function removePlaces(rootFolder: string, paths: readonly string[]): void {
  const root = plainRoot(bytesFromText(rootFolder));
  for (const path of paths.map(bytesFromText).toReversed()) {
    const { path: found, mode } = resolvePath(root, path, 'keep');
    // What a link leads to may be this machine's.
    if (found !== path || mode === undefined) continue;
    const place = fsPath(absolutePath(root, path));
    keepTimeOf(root, splitPath(path).parent, () => {
      try {
        if (isDirectoryMode(mode)) rmdirSync(place);
        else if (isFileMode(mode) && lstatSync(place).size === 0) unlinkSync(place);
      } catch (error) {
        // The command has put something into it: it is the image's now.
        if (systemCode(error) !== 'ENOTEMPTY') throw error;
      }
    });
  }
}

function keepTimeOf(root: Root, folder: ByteString, act: () => void): void {
  const path = absolutePath(root, folder);
  const numbers = new Float64Array(statFieldCount);
  const isThere = statInto(path, numbers);
  act();
  if (isThere) setTimes(path, numbers[StatField.mtimeSeconds] ?? 0, numbers[StatField.mtimeNanoseconds] ?? 0);
}
