// A mount of a RUN on a folder that can't be renamed aside: something of the container's is mounted in it (every pod's token in /run), or
// it is a mount itself, which the image works in. What is in the folder goes aside instead. What the container has there is seen beside
// the mount, as with an engine that mounts one over the other.
import { randomBytes } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../../bytes.ts';
import { BuilderError } from '../../errors.ts';
import { removeTree } from '../../files/remove.ts';
import { type Root, plainRoot } from '../../files/root.ts';
import { lstatIfThere } from '../../linux/files.ts';
import { clearRoot } from '../../rootfs/clear.ts';
import { createProtection } from '../../rootfs/protect.ts';
import { rootBelow, setRootAside, takeRootBack } from '../../rootfs/set-aside.ts';
import { identityOf, isSame } from './held-thing.ts';

// What was begun here is half a folder: no stop ends it.
const { signal } = new AbortController();

/**
 * Has the folder `inside`, a resolved path below the root, hold what `make` makes, a folder, and nothing else but what is protected; what it
 * held is in `aside` then, an empty folder that is protected. Gives what brings that back, and throws ERR_ROOTFS where the command moved it.
 * @throws ERR_ROOTFS, and what `make` throws; the folder is then as it was
 */
export async function fillFolder(
  root: Root,
  inside: ByteString,
  { aside, make }: { readonly aside: ByteString; readonly make: (path: ByteString) => Promise<void> },
): Promise<() => Promise<void>> {
  const { path, protection } = rootBelow(root, inside);
  const name = bytesFromText(`.yadokari-${randomBytes(8).toString('hex')}`);
  const made = joinBytes(path, name);
  const folder = { path, protection: createProtection([...protection.paths, name]) };
  const before = [path, aside].map((each) => ({ each, stats: lstatSync(fsPath(each), { bigint: true }) }));
  const restore = async (): Promise<void> => {
    for (const { each, stats } of before) {
      const now = lstatIfThere(each);
      if (now !== undefined && isSame(identityOf(now), identityOf(stats))) continue;
      const message = `Cannot take the mount at ${textFromBytes(path)} away: the command moved or replaced ${textFromBytes(each)}`;
      throw new BuilderError('ERR_ROOTFS', message);
    }
    removeTree(plainRoot(path), name);
    clearRoot(folder, signal);
    await takeRootBack(folder, aside, signal);
  };
  try {
    await setRootAside(folder, aside, signal);
    await make(made);
    await takeRootBack(folder, made, signal);
  } catch (error) {
    await restore();
    throw error;
  }
  return restore;
}
