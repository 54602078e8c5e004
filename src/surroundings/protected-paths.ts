// What of the root is the builder's, the container's or the user's, and so never part of an image.
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { type ByteString, bytesFromText } from '../bytes.ts';
import { realFolder, realPlace } from '../files/real-place.ts';
import { mountsBelow } from '../rootfs/protect.ts';

/** Folders that images have too: what was in them before is taken for the container's own and may be replaced. */
export const imageFolders: ReadonlySet<string> = new Set(
  'bin boot dev etc home lib lib32 lib64 libx32 media mnt opt proc root run sbin srv sys tmp usr var'.split(' '),
);

/**
 * Every path to protect, below the root: mounts, the given paths (the builder's folders, the context, ignored paths), and
 * the container's files: whatever else stood in `/` before the first build, such as a CI runner's own files.
 */
export function protectedPaths(rootPath: string, own: readonly string[], containerFiles: readonly ByteString[]): readonly ByteString[] {
  return [...mountsBelow(bytesFromText(rootPath)), ...containerFiles, ...placesInRoot(rootPath, own)];
}

/** Those of the paths that are in the root, as paths below it. */
export function placesInRoot(rootPath: string, paths: readonly string[]): readonly ByteString[] {
  const root = realFolder(rootPath);
  // What is below a link of the container's is where that leads, and no reason to keep a folder in the link's place.
  const inside = paths.map((path) => relative(root, realPlace(resolve(path)))).filter((path) => path !== '' && !path.startsWith('..'));
  return inside.map(bytesFromText);
}

/** WORKDIR of the builder's image. */
export const imageWorkFolder = '/workspace';

/**
 * Makes an empty folder again, when it is called, that an image had no place for: a runtime starts further commands of a container
 * (`kubectl exec`) in its working directory, and nothing where that is gone.
 */
export function keepFolder(path: string): () => void {
  const parent = dirname(path);
  const isPlain = (): boolean => existsSync(parent) && realpathSync(parent) === parent; // not where an image's link leads
  if (!existsSync(path) || !isPlain()) return () => undefined;
  return () => {
    if (!existsSync(path) && isPlain()) mkdirSync(path);
  };
}
