// The pod's map made true on the disk: where the image has a link in place of a folder that something is mounted below, the two
// change places. See `tree/pod-map.ts`.
import { mkdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { fsPath } from '../bytes.ts';
import { ifCode, orElse } from '../errors.ts';
import { removeTree } from '../files/remove.ts';
import { absolutePath, isDirectoryMode, modeOf } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import type { PodMap, TurnedLink } from '../tree/pod-map.ts';
import { moveContents } from './set-aside.ts';

/** Changes the disk from one map to another. @throws ERR_ROOTFS, SystemError */
export async function turnLinks(root: Root, before: PodMap, after: PodMap, signal: AbortSignal): Promise<void> {
  const isIn = (map: PodMap, turned: TurnedLink): boolean =>
    map.turned.some(({ held, free }) => held === turned.held && free === turned.free);
  for (const turned of before.turned.toReversed()) if (!isIn(after, turned)) await turnBack(root, turned, signal);
  for (const turned of after.turned) if (!isIn(before, turned)) await turn(root, turned, signal);
}

async function turn(root: Root, { held, free }: TurnedLink, signal: AbortSignal): Promise<void> {
  if (free === undefined) return;
  const place = fsPath(absolutePath(root, free));
  if (isDirectoryMode(modeOf(root, free))) {
    await moveContents(root, free, held, signal);
    // What stands where something is mounted can't be seen by either name.
    removeTree(root, free);
  }
  symlinkSync(fsPath(`/${held}` as typeof held), place); // bytes and a slash
}

async function turnBack(root: Root, { held, free }: TurnedLink, signal: AbortSignal): Promise<void> {
  if (free === undefined) return;
  const place = fsPath(absolutePath(root, free));
  // A RUN may have removed it.
  orElse(() => unlinkSync(place), ifCode(['ENOENT']));
  mkdirSync(place, 0o755);
  await moveContents(root, held, free, signal);
}
