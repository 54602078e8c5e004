// What of the root is not part of the image, whatever a layer or a RUN makes of it.
import type { ByteString } from '../bytes.ts';
import { type Mount, readMounts } from '../linux/mounts.ts';
import { cleanPath, rootPath, foldersAbove } from '../paths.ts';
import type { Protection } from '../files/root.ts';

/** Protection of these paths (below the root, or absolute in it) and of everything under them. */
export function createProtection(paths: readonly ByteString[]): Protection {
  const covered = new Set<ByteString>();
  for (const path of paths) {
    const clean = cleanPath(path);
    // The root itself can't be protected: there would be nothing to build.
    if (clean !== '.') covered.add(clean);
  }
  const holders = new Set<ByteString>();
  for (const path of covered) {
    holders.add(rootPath);
    for (const ancestor of foldersAbove(path)) holders.add(ancestor);
  }
  const covers = (path: ByteString): boolean => {
    if (covered.size === 0) return false;
    if (covered.has(path)) return true;
    for (const ancestor of foldersAbove(path)) if (covered.has(ancestor)) return true;
    return false;
  };
  return { covers, holds: (path) => holders.has(path), paths: [...covered].sort() };
}

/** Mount points below `root`, as paths in it; the mount of the root itself is not among them. */
export function mountsBelow(root: ByteString, mounts: readonly Mount[] = readMounts()): ByteString[] {
  const prefix = root === '/' ? '/' : `${root}/`;
  const found = new Set<ByteString>();
  for (const { target } of mounts) {
    if (target !== '/' && target.startsWith(prefix)) found.add(target.slice(prefix.length) as ByteString); // a part of bytes
  }
  return [...found].sort();
}
