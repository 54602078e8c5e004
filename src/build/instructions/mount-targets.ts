// Puts things where a RUN expects mounts, without mounting: what stood there is renamed aside, and afterwards all is as before.
// The root is the command's to change, so nothing found later is trusted: what we put is known again by its inode, folders are
// never followed through links, and no process of the command is alive when we come back.
import { randomBytes } from 'node:crypto';
import { type BigIntStats, ftruncateSync, lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../../bytes.ts';
import { BuilderError, systemCode } from '../../errors.ts';
import { lstatIfThere, setTimes } from '../../linux/files.ts';
import { applyMetadata, readXattrs } from '../../files/metadata.ts';
import { createProtection } from '../../rootfs/protect.ts';
import { removeTree } from '../../files/remove.ts';
import { absolutePath, resolvePath } from '../../files/resolve.ts';
import type { Root } from '../../files/root.ts';
import { isWithin } from '../../paths.ts';
import { engineOwn } from '../../tree/pod-map.ts';
import { fillFolder } from './emptied-folder.ts';
import { type Handle, type Identity, closeHandle, identityOf, isGone, isSame, openHandle, parentOf } from './held-thing.ts';
import { type MadeFolders, existingParent, makeFolders, removeFolders } from './made-folders.ts';
import { timestampOf } from './mount-copy.ts';

/** Mounts that containers have for passing things, so that targets below them are fine. */
export const scratchMounts: readonly string[] = ['dev', 'run', 'tmp', 'var/run', 'var/tmp'];

/** What is to stand at a target while a command runs. */
export interface Thing {
  readonly type: 'file' | 'directory' | 'socket' | 'symlink';
  /** Makes it at `path`, where nothing is. */
  readonly make: (path: ByteString) => Promise<void>;
  /** Takes it away from `path` in order to keep it; without this it is deleted. Not called when the command removed it. */
  readonly keep?: (path: ByteString) => Promise<void>;
  /** Its bytes are secret: they are destroyed even where the command kept a name of the file. */
  readonly isSecret?: boolean;
}

interface Placed {
  readonly target: string;
  /** The path below the root, and the same on disk. */
  readonly inside: ByteString;
  readonly path: ByteString;
  readonly parent: ByteString;
  readonly parentIdentity: Identity;
  readonly thing: Thing;
  readonly handle: Handle;
  readonly aside: { readonly path: ByteString; readonly handle: Handle } | undefined;
  readonly createdFolders: MadeFolders;
  readonly times: readonly { readonly path: ByteString; readonly before: BigIntStats; readonly after: BigIntStats }[];
}

/** The targets of one RUN, from put() to restore(). */
export class MountTargets {
  readonly #root: Root;
  readonly #bare: Root;
  readonly #newFolder: () => ByteString;
  readonly #placed: { readonly inside: ByteString; readonly undo: () => Promise<void> }[] = [];
  /** Folders on disk that restore() put back as they were, with the ctime that they got by it. */
  readonly #unchanged: ByteString[] = [];
  readonly #putBack = new Map<ByteString, bigint>();

  /** `newFolder` makes an empty one that no layer has. */
  constructor(root: Root, newFolder: () => ByteString) {
    this.#root = root;
    this.#newFolder = newFolder;
    // What we put into a scratch mount is ours to remove, though the mount is not part of the image.
    this.#bare = { path: root.path, protection: createProtection([]) };
  }

  /** Where things were put, below the root and without leading slash, links resolved. */
  get targets(): readonly ByteString[] {
    return this.#placed.map((one) => one.inside);
  }

  /** After restore(): folders below the root that only we changed, and that are again as before. */
  get unchanged(): readonly ByteString[] {
    return this.#unchanged;
  }

  /**
   * Puts `thing` at `target`, an absolute path inside the root.
   * @throws ERR_UNSAFE_PATH where that is ours or a mount, ERR_ROOTFS where something of another kind stands.
   */
  async put(target: string, thing: Thing): Promise<void> {
    const inside = resolvePath(this.#root, bytesFromText(target), 'follow').path;
    const path = absolutePath(this.#root, inside);
    refuseProtected(this.#root, target, inside);
    const parent = parentOf(path);
    const existing = lstatIfThere(path);
    refuseOtherKind(target, thing, existing);
    if (existing !== undefined && this.#root.protection.holds(inside)) {
      refuseInPlace(target, thing);
      const restore = await fillFolder(this.#root, inside, { aside: this.#newFolder(), make: thing.make });
      this.#placed.push({ inside, undo: restore });
      return;
    }
    const firstParent = existingParent(parent);
    const before = lstatSync(fsPath(firstParent), { bigint: true });
    const createdFolders = makeFolders(firstParent, parent);
    const aside = existing === undefined ? undefined : moveAside(target, path);
    let handle: Handle;
    try {
      await thing.make(path);
      handle = openHandle(path, thing.isSecret === true);
    } catch (error) {
      removeTree(this.#bare, inside);
      if (aside !== undefined) renameSync(fsPath(aside.path), fsPath(path));
      if (aside !== undefined) closeHandle(aside.handle);
      removeFolders(createdFolders);
      throw error;
    }
    const after = lstatSync(fsPath(firstParent), { bigint: true });
    const placed = {
      target,
      inside,
      path,
      parent,
      parentIdentity: identityOf(lstatSync(fsPath(parent), { bigint: true })),
      thing,
      handle,
      aside,
      createdFolders,
      times: [{ path: firstParent, before, after }],
    };
    this.#placed.push({ inside, undo: () => undo(this.#bare, placed, this.#putBack) });
  }

  /**
   * Takes everything away and puts back what stood there; to be called when no process of the command is left, whatever happened.
   * @throws ERR_ROOTFS, after all has been done, when the command moved a target elsewhere.
   */
  async restore(): Promise<void> {
    const failures: unknown[] = [];
    for (let placed = this.#placed.pop(); placed !== undefined; placed = this.#placed.pop()) {
      try {
        await placed.undo();
      } catch (error) {
        failures.push(error);
      }
    }
    for (const path of this.#putBack.keys()) this.#unchanged.push(insideOf(this.#root, path));
    if (failures.length > 0) throw failures[0];
  }
}

async function undo(root: Root, placed: Placed, putBackFolders: Map<ByteString, bigint>): Promise<void> {
  const { thing, handle, aside, target } = placed;
  try {
    if (thing.isSecret === true && handle.fd !== undefined) ftruncateSync(handle.fd, 0);
    const parentNow = lstatIfThere(placed.parent);
    if (parentNow === undefined || !isSame(identityOf(parentNow), placed.parentIdentity)) {
      if (isGone(handle) && (aside === undefined || isGone(aside.handle))) return;
      throw new BuilderError(
        'ERR_ROOTFS',
        `Cannot clear mount target ${target}: the command moved or replaced ${textFromBytes(placed.parent)}`,
      );
    }
    const folder = lstatSync(fsPath(placed.times[0]?.path ?? placed.parent), { bigint: true, throwIfNoEntry: false });
    const wasMoved = await takeAway(root, placed);
    if (aside !== undefined) putBack(placed, aside);
    removeFolders(placed.createdFolders);
    restoreTimes(placed, folder, putBackFolders);
    if (wasMoved) throw new BuilderError('ERR_ROOTFS', `Cannot clear mount target ${target}: the command moved or linked it elsewhere`);
  } finally {
    closeHandle(handle);
    if (aside !== undefined) closeHandle(aside.handle);
  }
}

/** Empties the target; true when what we put there lives on under another name. */
async function takeAway(root: Root, { inside, path, thing, handle }: Placed): Promise<boolean> {
  const now = lstatIfThere(path);
  const isOurs = now !== undefined && isSame(identityOf(now), handle.identity);
  if (isOurs && thing.keep !== undefined) await thing.keep(path);
  // A target is no part of the layer, so what a command left in its place goes too.
  removeTree(root, inside);
  return thing.keep === undefined || !isOurs ? !isGone(handle) : false;
}

function putBack({ target, path }: Placed, aside: { readonly path: ByteString; readonly handle: Handle }): void {
  const there = lstatIfThere(aside.path);
  if (there !== undefined && isSame(identityOf(there), aside.handle.identity)) renameSync(fsPath(aside.path), fsPath(path));
  else if (!isGone(aside.handle))
    throw new BuilderError('ERR_ROOTFS', `Cannot restore ${target}: the command moved what the mount covered`);
}

/** The folder gets its old time again if nobody but us changed it. */
function restoreTimes({ times }: Placed, folder: BigIntStats | undefined, putBackFolders: Map<ByteString, bigint>): void {
  for (const { path, before, after } of times) {
    if (folder === undefined || folder.mtimeNs !== after.mtimeNs || !isSame(identityOf(folder), identityOf(before))) continue;
    const { seconds, nanoseconds } = timestampOf(before.mtimeNs);
    setTimes(path, seconds, nanoseconds);
    // Whatever else the command may have done to it, such as an attribute, shows in the ctime and belongs to the layer.
    const known = putBackFolders.get(path) ?? after.ctimeNs;
    const isOurs = folder.ctimeNs === known && folder.mode === before.mode && folder.uid === before.uid && folder.gid === before.gid;
    if (isOurs) putBackFolders.set(path, lstatSync(fsPath(path), { bigint: true }).ctimeNs);
    else putBackFolders.delete(path);
  }
}

function insideOf(root: Root, path: ByteString): ByteString {
  if (path === root.path) return bytesFromText('.');
  // A part of a ByteString is one.
  return path.slice(root.path === '/' ? 1 : root.path.length + 1) as ByteString;
}

function refuseProtected({ protection }: Root, target: string, inside: ByteString): void {
  const isScratch = scratchMounts.some((folder) => inside.startsWith(`${folder}/`)) && !protection.paths.includes(inside);
  if (inside !== '.' && (isScratch || !protection.covers(inside))) return;
  const place = protection.paths.find((path) => path !== inside && isWithin(inside, path));
  const what = place === undefined ? 'it' : `/${textFromBytes(place)}`;
  const message = `Cannot mount at ${target}: ${what} is a mount of this container or a folder of the builder`;
  const hint = 'mount the volume elsewhere; one at /kaniko/caches keeps what RUN --mount=type=cache has';
  throw new BuilderError('ERR_UNSAFE_PATH', message, engineOwn.test(inside) ? {} : { hint });
}

function refuseInPlace(target: string, { type, keep }: Thing): void {
  if (type === 'directory' && keep === undefined) return;
  const message = `Cannot have the cache at ${target}: something of this container is mounted there`;
  throw new BuilderError('ERR_ROOTFS', message, { hint: `a folder in it can have it: target=${target}/cache` });
}

function refuseOtherKind(target: string, thing: Thing, existing: BigIntStats | undefined): void {
  if (existing === undefined) return;
  const wantsFolder = thing.type === 'directory' || thing.type === 'symlink';
  if (existing.isDirectory() === wantsFolder) return;
  const [wanted, found] = wantsFolder ? ['a folder', 'a file'] : ['a file', 'a folder'];
  throw new BuilderError('ERR_ROOTFS', `Cannot mount ${wanted} at ${target}: ${found} is there`);
}

function moveAside(target: string, path: ByteString): { readonly path: ByteString; readonly handle: Handle } {
  const name = bytesFromText(`.yadokari-${randomBytes(8).toString('hex')}`);
  const aside = joinBytes(parentOf(path), name);
  try {
    moveTree(path, aside);
  } catch (error) {
    const hint = systemCode(error) === 'EBUSY' ? 'it is a mount point of this container' : undefined;
    throw new BuilderError('ERR_ROOTFS', `Cannot mount at ${target}: what is there can't be moved aside`, {
      cause: error,
      hint,
    });
  }
  return { path: aside, handle: openHandle(aside, false) };
}

/** Renames; overlayfs will not rename a folder of its lower layers (EXDEV), so there a new folder takes what is in it. */
function moveTree(from: ByteString, to: ByteString): void {
  try {
    renameSync(fsPath(from), fsPath(to));
    return;
  } catch (error) {
    if (systemCode(error) !== 'EXDEV' || !lstatSync(fsPath(from)).isDirectory()) throw error;
  }
  const stats = lstatSync(fsPath(from), { bigint: true });
  mkdirSync(fsPath(to), 0o700);
  for (const name of readdirSync(fsPath(from), { encoding: 'latin1' }) as ByteString[])
    moveTree(joinBytes(from, name), joinBytes(to, name));
  const metadata = { uid: Number(stats.uid), gid: Number(stats.gid), mode: Number(stats.mode) & 0o7777, mtime: timestampOf(stats.mtimeNs) };
  applyMetadata(to, { ...metadata, xattrs: readXattrs(from) }, false, () => undefined);
  rmdirSync(fsPath(from));
}
