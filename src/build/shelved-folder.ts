// A folder of the container's own in which nothing is but mounted contexts (`/workspace` with a context at `/workspace/source`), out of
// the way where the image has that folder: as with any engine a RUN sees the image's. The folder is renamed, and what is mounted in it
// goes along. Nothing of a user's is touched: the folder is the container's, and so ends with it. Where it can't be renamed (overlayfs
// moves no folder of a lower layer, EXDEV), it stays, and a RUN sees the mounts beside the image's files.
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder } from '../folders.ts';
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../bytes.ts';
import { systemCode } from '../errors.ts';
import type { MovedFolders } from '../files/moved-folders.ts';
import { isWithin, pathIn } from '../paths.ts';

const shelfName = 'shelf';
const refusals: ReadonlySet<string> = new Set(['EXDEV', 'EBUSY', 'EPERM', 'EACCES', 'EROFS']);

export interface Shelvable {
  /** Absolute. */
  readonly folder: ByteString;
  /** Mount points in it, absolute; each is of a context. */
  readonly mounts: readonly ByteString[];
}

export class ShelvedFolder {
  readonly folder: ByteString;
  readonly #mounts: readonly ByteString[];
  readonly #place: ByteString;
  readonly #moved: MovedFolders;

  private constructor({ folder, mounts }: Shelvable, place: ByteString, moved: MovedFolders) {
    this.folder = folder;
    this.#mounts = mounts;
    this.#place = place;
    this.#moved = moved;
  }

  /** Puts the folder into the builder's; undefined where that can't be done. @throws SystemError for anything else */
  static shelve(shelvable: Shelvable, builderFolder: string, moved: MovedFolders): ShelvedFolder | undefined {
    const shelf = join(builderFolder, shelfName);
    makeFolder(shelf, 0o700);
    const taken = readdirSync(shelf).map((entry) => Number.parseInt(entry));
    const name = String(Math.max(-1, ...taken) + 1);
    const place = bytesFromText(join(shelf, name));
    // First written down: the next start in this container finds it.
    writeFileSync(join(shelf, `${name}.path`), fsPath(shelvable.folder), { flag: 'wx', mode: 0o600 });
    try {
      renameSync(fsPath(shelvable.folder), fsPath(place));
    } catch (error) {
      rmSync(join(shelf, `${name}.path`));
      if (refusals.has(systemCode(error) ?? '')) return undefined;
      throw error;
    }
    for (const mount of shelvable.mounts) {
      const below = mount.slice(shelvable.folder.length + 1) as ByteString; // a part of bytes
      moved.move(mount, () => pathIn(place, below), []);
    }
    return new ShelvedFolder(shelvable, place, moved);
  }

  /** Puts it back; what the image has there goes. @throws SystemError */
  giveBack(): void {
    putBack(this.folder, textFromBytes(this.#place));
    for (const mount of this.#mounts) this.#moved.comeBack(mount);
  }
}

/** Puts back what a build left on the shelf that was killed in this container. @throws SystemError */
export function recoverShelf(builderFolder: string): void {
  const shelf = join(builderFolder, shelfName);
  if (!existsSync(shelf)) return;
  for (const name of readdirSync(shelf)) {
    if (!name.endsWith('.path')) continue;
    const place = join(shelf, name.slice(0, -'.path'.length));
    if (existsSync(place)) putBack(readFileSync(join(shelf, name)).toString('latin1') as ByteString, place); // latin1 is bytes
    else rmSync(join(shelf, name));
  }
}

function putBack(folder: ByteString, place: string): void {
  const images = `${place}.image`;
  makeFolder(dirname(textFromBytes(folder)));
  if (existsSync(fsPath(folder))) renameSync(fsPath(folder), images);
  renameSync(place, fsPath(folder));
  rmSync(`${place}.path`);
  rmSync(images, { recursive: true, force: true });
}

/**
 * Folders that can be shelved: for each context that is mounted deeper than in a folder of the root, the outermost folder around it
 * that has nothing but contexts in it and is none that every image has.
 */
export function findShelvable(
  rootPath: ByteString,
  contexts: readonly ByteString[],
  {
    mounts,
    covered,
    shared,
  }: { readonly mounts: readonly ByteString[]; readonly covered: readonly ByteString[]; readonly shared: ReadonlySet<string> },
): readonly Shelvable[] {
  const lent = mounts.filter((mount) => contexts.some((context) => isWithin(context, mount)));
  const found = new Map<ByteString, Shelvable>();
  for (const mount of lent) {
    const names = mount.slice(rootPath === '/' ? 1 : rootPath.length + 1).split('/');
    const first = shared.has(names[0] ?? '') ? 2 : 1;
    for (let depth = first; depth < names.length; depth++) {
      const path = names.slice(0, depth).join('/') as ByteString; // parts of bytes
      const folder = joinBytes(rootPath, path);
      const inside = covered.filter((each) => isWithin(each, path)).map((each) => joinBytes(rootPath, each));
      if (inside.length === 0 || !inside.every((each) => lent.includes(each))) continue;
      found.set(folder, { folder, mounts: inside });
      break;
    }
  }
  return [...found.values()];
}
