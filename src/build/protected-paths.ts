// What of the root is the builder's, the container's or the user's, and so never part of an image.
import { lstatSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type ByteString, bytesFromText } from '../bytes.ts';
import { mountsBelow } from '../rootfs/protect.ts';

/** Folders that images have too: what was in them before is taken for the container's own and may be replaced. */
const shared: ReadonlySet<string> = new Set([
  'bin',
  'boot',
  'dev',
  'etc',
  'home',
  'lib',
  'lib32',
  'lib64',
  'libx32',
  'media',
  'mnt',
  'opt',
  'proc',
  'root',
  'run',
  'sbin',
  'srv',
  'sys',
  'tmp',
  'usr',
  'var',
]);

/**
 * Every path to protect, below the root: mounts, the given paths (the builder's folders, the context, ignored paths), and
 * whatever else stood in `/` before the build, such as a CI runner's own files.
 */
export function protectedPaths(rootPath: string, own: readonly string[]): readonly ByteString[] {
  const inside = own.map((path) => relative(rootPath, path)).filter((path) => path !== '' && !path.startsWith('..'));
  return [...mountsBelow(bytesFromText(rootPath)), ...residents(rootPath), ...inside.map(bytesFromText)];
}

function residents(rootPath: string): readonly ByteString[] {
  return readdirSync(rootPath, { encoding: 'buffer' })
    .map((name) => name.toString('utf8'))
    .filter((name) => !shared.has(name) && !isEmptyFolder(join(rootPath, name)))
    .map(bytesFromText);
}

function isEmptyFolder(path: string): boolean {
  return lstatSync(path).isDirectory() && readdirSync(path).length === 0;
}
