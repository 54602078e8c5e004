// Hard links between a cache and the rest of the disk, which no mount would let a command make: pnpm and uv link what they install to
// what they keep where they can. Such a file would change with the cache, after its layer was written, and the cache with the image.
import { linkSync, renameSync, rmSync } from 'node:fs';
import { type ByteString, fsPath } from '../../bytes.ts';
import { diskView } from '../../files/disk-view.ts';
import { DirectoryFinish } from '../../files/directory-finish.ts';
import { absolutePath, isDirectoryMode } from '../../files/resolve.ts';
import { plainRoot } from '../../files/root.ts';
import { StatField, lstatIfThere } from '../../linux/files.ts';
import { splitPath } from '../../paths.ts';
import { scanRoot } from '../../rootfs/scan.ts';
import type { Tree } from '../../rootfs/scanned-tree.ts';
import { copyTree } from './mount-copy.ts';

/**
 * Gives the cache a copy of each file in it that has a name elsewhere; `beside` is a path of nobody's on the same filesystem. The other
 * name keeps the file itself. @throws SystemError, ERR_ROOTFS, and the signal's reason
 */
export async function cutLinks(cache: ByteString, beside: ByteString, signal: AbortSignal): Promise<void> {
  const root = plainRoot(cache);
  const times = new DirectoryFinish(root);
  const source = { files: diskView(cache), label: 'the cache', keepsOwners: true };
  for (const paths of linkedElsewhere(await scanRoot(root, signal))) {
    const [first, ...others] = paths;
    if (first === undefined) continue;
    rmSync(fsPath(beside), { force: true });
    await copyTree(source, first, beside, signal);
    if (lstatIfThere(beside) === undefined) continue; // a socket
    for (const path of paths) times.keepTime(splitPath(path).parent);
    renameSync(fsPath(beside), fsPath(absolutePath(root, first)));
    for (const path of others) {
      linkSync(fsPath(absolutePath(root, first)), fsPath(beside));
      renameSync(fsPath(beside), fsPath(absolutePath(root, path)));
    }
  }
  times.finish(true);
}

/** The names of each file that has more names than these. */
function* linkedElsewhere(tree: Tree): Generator<readonly ByteString[]> {
  const files = new Map<string, { readonly links: number; readonly positions: number[] }>();
  for (let position = 0; position < tree.size; position++) {
    const links = tree.number(position, StatField.links);
    if (links < 2 || isDirectoryMode(tree.number(position, StatField.mode))) continue;
    const identity = `${tree.number(position, StatField.device)}:${tree.number(position, StatField.inode)}`;
    const file = files.get(identity) ?? { links, positions: [] };
    file.positions.push(position);
    files.set(identity, file);
  }
  for (const { links, positions } of files.values()) if (positions.length < links) yield positions.map((position) => tree.path(position));
}
