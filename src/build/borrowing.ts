// The image works where a context is mounted: its folder is borrowed for that, where the image really has something there, and only as
// long as RUN has to see it. Read-only contexts, and people at a terminal who were not asked, get an error instead.
import { accessSync, constants, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type ByteString, bytesFromText, joinBytes, textFromBytes } from '../bytes.ts';
import { BuilderError, messageOf, systemCode } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { MovedFolders } from '../files/moved-folders.ts';
import type { Protection } from '../files/root.ts';
import { type Mount, readMounts } from '../linux/mounts.ts';
import { keepsChangeTimes } from '../linux/statfs.ts';
import { isWithin, pathBelow } from '../paths.ts';
import { BorrowedFolder } from '../rootfs/borrowed-folder.ts';
import { isAboutHidden } from '../rootfs/hidden-folder.ts';
import type { BorrowOptions } from '../rootfs/recover-from-copy.ts';
import type { Ground } from '../rootfs/ground.ts';
import { createProtection } from '../rootfs/protect.ts';
import type { RefusedFolder } from './context-work.ts';
import type { BuildRequest } from './request.ts';
import { type Shelvable, ShelvedFolder, findShelvable } from './shelved-folder.ts';
import type { ImageTree } from '../tree/image-tree.ts';

/** What a build may borrow. */
export interface Lendable {
  /** Folders that somebody gave us to read from. */
  readonly folders: readonly string[];
  /** Is told where their content is. */
  readonly moved: MovedFolders;
  /** False where somebody sits in front of it who was not asked. */
  readonly isAllowed: boolean;
  /** Names in the root that every image has: such a folder is never only the contexts'. */
  readonly imageFolders: ReadonlySet<string>;
}

/** A folder that can be borrowed, or why it can't be. */
interface Place {
  /** Absolute. */
  readonly folder: ByteString;
  /** Below the root. */
  readonly path: ByteString;
  readonly refusal: { readonly why: string; readonly hint: string } | undefined;
  borrowed?: BorrowedFolder;
}

export interface BorrowingOptions extends BorrowOptions {
  readonly builderFolder: string;
  readonly rootPath: string;
  readonly protectedPaths: readonly ByteString[];
  readonly lendable: Lendable | undefined;
  readonly emit: Emit;
}

export class Borrowing implements Ground {
  readonly protection: Protection;
  readonly #options: BorrowingOptions;
  readonly #places: readonly Place[];
  /** Folders of the container's own that only lead to contexts. */
  readonly #shelvable: readonly Shelvable[];
  readonly #shelved = new Map<ByteString, ShelvedFolder | 'refused'>();
  #current: Protection;

  constructor(options: BorrowingOptions) {
    this.#options = options;
    this.#current = createProtection(options.protectedPaths);
    const current = (): Protection => this.#current;
    this.protection = {
      covers: (path) => current().covers(path),
      holds: (path) => current().holds(path),
      get paths() {
        return current().paths;
      },
    };
    this.#places = findPlaces(options);
    this.#shelvable = shelvableOf(options);
  }

  /** What can't be borrowed. */
  get refused(): readonly RefusedFolder[] {
    return this.#places.flatMap((place) => {
      const { path, refusal } = place;
      return refusal === undefined ? [] : [{ path, error: (range) => refusalOf(place.folder, refusal, range) }];
    });
  }

  begin(tree: ImageTree): boolean {
    let hasMoved = false;
    for (const { path, borrowed } of this.#places) {
      const isImages = (below: ByteString): boolean => tree.isDirectory(tree.at(pathBelow(path, below)));
      if (borrowed?.beginWork(isImages) === true) hasMoved = true;
    }
    return hasMoved;
  }

  async adjust(tree: ImageTree, isForRun: boolean): Promise<boolean> {
    let hasChanged = false;
    for (const place of this.#places) {
      const isNeeded = tree.at(place.path) !== undefined;
      if (isNeeded === (place.borrowed !== undefined)) continue;
      if (!isNeeded) await this.#giveBack(place);
      else if (place.refusal === undefined) await this.#borrow(place);
      else if (isForRun) throw refusalOf(place.folder, place.refusal);
      else continue;
      hasChanged = true;
    }
    if (isForRun && this.#adjustShelf(tree)) hasChanged = true;
    if (hasChanged) this.begin(tree);
    return hasChanged;
  }

  async end(): Promise<void> {
    for (const { borrowed } of this.#places) await borrowed?.endWork();
  }

  // Before the image has anything there, and after it has nothing there any more.
  #adjustShelf(tree: ImageTree): boolean {
    const { lendable, rootPath, builderFolder } = this.#options;
    let hasChanged = false;
    for (const shelvable of this.#shelvable) {
      const { folder } = shelvable;
      const shelved = this.#shelved.get(folder);
      const path = bytesFromText(relative(rootPath, textFromBytes(folder)));
      if (lendable === undefined || shelved === 'refused' || (tree.at(path) !== undefined) === (shelved !== undefined)) continue;
      if (shelved === undefined) this.#shelved.set(folder, ShelvedFolder.shelve(shelvable, builderFolder, lendable.moved) ?? 'refused');
      else this.#unshelve(folder, shelved);
      this.#protect();
      hasChanged = hasChanged || this.#shelved.get(folder) !== 'refused';
    }
    return hasChanged;
  }

  #unshelve(folder: ByteString, shelved: ShelvedFolder): void {
    shelved.giveBack();
    this.#shelved.delete(folder);
  }

  /** Makes all folders what they were. @throws ERR_ROOTFS; then the next start does it */
  async giveBack(): Promise<void> {
    for (const place of this.#places) if (place.borrowed !== undefined) await this.#giveBack(place);
    for (const [folder, shelved] of this.#shelved) if (shelved !== 'refused') this.#unshelve(folder, shelved);
    this.#protect();
  }

  async #borrow(place: Place): Promise<void> {
    const { lendable, emit } = this.#options;
    const { folder, path } = place;
    const staying = stayingNames(path, this.#options);
    try {
      place.borrowed = await BorrowedFolder.borrow(folder, staying, this.#options);
    } catch (error) {
      throw borrowFailure(error, folder);
    }
    const borrowed = place.borrowed;
    lendable?.moved.move(folder, () => borrowed.place, staying);
    this.#protect();
    const text = textFromBytes(folder);
    const message = `the image works in ${text}, where the context is mounted: its files are out of the way until the end of the build`;
    emit({ kind: 'note', level: 'info', message });
  }

  async #giveBack(place: Place): Promise<void> {
    const { borrowed } = place;
    if (borrowed === undefined) return;
    delete place.borrowed;
    try {
      await borrowed.giveBack();
    } catch (error) {
      if (error instanceof BuilderError) throw error;
      const why = messageOf(error);
      throw new BuilderError('ERR_ROOTFS', `Cannot give ${textFromBytes(place.folder)} all its files back: ${why}`, {
        cause: error,
        hint: 'start the builder again with this context: it goes on with it',
      });
    } finally {
      this.#options.lendable?.moved.comeBack(place.folder);
      this.#protect();
    }
  }

  /** What of the disk is not the image's now. */
  #protect(): void {
    const { protectedPaths } = this.#options;
    const open = this.#places.filter(({ borrowed }) => borrowed !== undefined);
    const isOpen = (path: ByteString): boolean =>
      open.some(({ path: top }) => {
        const names = new Set(stayingNames(top, this.#options));
        return path === top || (isWithin(path, top) && !names.has(firstName(path, top)));
      });
    const shelved = [...this.#shelved].flatMap(([folder, each]) =>
      each === 'refused' ? [] : [bytesFromText(relative(this.#options.rootPath, textFromBytes(folder)))],
    );
    const isShelved = (path: ByteString): boolean => shelved.some((top) => isWithin(path, top));
    const kept = protectedPaths.filter((path) => !isOpen(clean(path)) && !isShelved(clean(path)));
    const hidden = open.flatMap(({ path, borrowed }) => (borrowed === undefined ? [] : [joinBytes(path, borrowed.name)]));
    this.#current = createProtection([...kept, ...hidden]);
  }
}

/** Passes events on, and explains, once, what a command says that came upon the hidden folder. */
export function explainHidden(emit: Emit): Emit {
  let isTold = false;
  return (event) => {
    emit(event);
    if (isTold || event.kind !== 'output' || !isAboutHidden(event.line)) return;
    isTold = true;
    const message = `this command came upon the folder that has the context's files meanwhile; ${elsewhere}`;
    emit({ kind: 'warning', code: 'borrowed-seen', message, range: event.step.range });
  };
}

/** What a build with this request may borrow. */
export function openBorrowing(
  { builderFolder, rootPath }: Pick<BuildRequest, 'builderFolder' | 'rootPath'>,
  {
    protectedPaths,
    lendable,
    emit,
    signal,
  }: { readonly protectedPaths: readonly ByteString[]; readonly lendable?: Lendable; readonly emit: Emit; readonly signal: AbortSignal },
): Borrowing {
  return new Borrowing({ ...borrowOptions(builderFolder, emit, signal), builderFolder, rootPath, protectedPaths, lendable, emit });
}

/** How folders are borrowed by the build that has this folder. */
export function borrowOptions(builderFolder: string, emit: Emit, signal: AbortSignal): BorrowOptions {
  const warn = (message: string): void => emit({ kind: 'warning', code: `borrowed ${message}`, message });
  return { copies: bytesFromText(join(builderFolder, 'borrowed')), warn, signal };
}

const elsewhere = 'mount the context where the image does not work: -v $PWD:/context, --context=dir:///context';

/** With what to do instead, where it is not a stop. */
function borrowFailure(error: unknown, folder: ByteString): unknown {
  if (error instanceof BuilderError) {
    if (error.code === 'ERR_ABORTED') return error;
    return new BuilderError(error.code, error.message, { cause: error.cause, hint: error.hint ?? elsewhere });
  }
  if (!(error instanceof Error) || systemCode(error) === undefined) return error;
  const message = `Cannot move the files of ${textFromBytes(folder)} out of the way: ${error.message}`;
  return new BuilderError('ERR_CONTEXT', message, { cause: error, hint: elsewhere });
}

function refusalOf(
  folder: ByteString,
  { why, hint }: { readonly why: string; readonly hint: string },
  range?: BuilderError['range'],
): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot run in ${textFromBytes(folder)}: ${why}`, { hint, range });
}

function shelvableOf({ lendable, rootPath, protectedPaths }: BorrowingOptions): readonly Shelvable[] {
  if (lendable === undefined) return [];
  const contexts = lendable.folders.map((folder) => bytesFromText(realpathSync(folder)));
  const mounts = readMounts().flatMap(({ target }) => (target === '/' || target === rootPath ? [] : [target]));
  return findShelvable(bytesFromText(rootPath), contexts, { mounts, covered: protectedPaths.map(clean), shared: lendable.imageFolders });
}

function findPlaces(options: BorrowingOptions): readonly Place[] {
  const { lendable, rootPath, protectedPaths } = options;
  const mounts = readMounts();
  const places = new Map<ByteString, Place>();
  for (const given of lendable?.folders ?? []) {
    const real = bytesFromText(realpathSync(given));
    const folder = folderToBorrow(real, mounts, options);
    const path = bytesFromText(relative(rootPath, textFromBytes(folder)));
    if (path === '' || path.startsWith('..') || places.has(folder)) continue;
    const outer = protectedPaths.map(clean).find((each) => each !== path && isWithin(path, each));
    places.set(folder, { folder, path, refusal: refusalFor(folder, outer, lendable?.isAllowed === true) });
  }
  return [...places.values()];
}

/** All of the mount that the context is in; in the container's own root, what is not the image's. */
function folderToBorrow(context: ByteString, mounts: readonly Mount[], { rootPath, protectedPaths }: BorrowingOptions): ByteString {
  const targets = mounts.map(({ target }) => target).filter((target) => target !== '/' && isWithin(context, target));
  const nearest = targets.toSorted((a, b) => b.length - a.length)[0];
  if (nearest !== undefined && nearest.length > rootPath.length) return nearest;
  const below = bytesFromText(relative(rootPath, textFromBytes(context)));
  const covering = protectedPaths.map(clean).filter((path) => isWithin(below, path));
  const outermost = covering.toSorted((a, b) => a.length - b.length)[0] ?? below;
  return joinBytes(bytesFromText(rootPath), outermost);
}

function refusalFor(folder: ByteString, outer: ByteString | undefined, isAllowed: boolean): Place['refusal'] {
  const where = 'the image has that folder, but the context is mounted there';
  try {
    accessSync(textFromBytes(folder), constants.W_OK);
  } catch {
    return { why: `${where}, and can't be written`, hint: elsewhere };
  }
  if (outer !== undefined) return { why: `${where}, inside of /${textFromBytes(outer)}, which is not the image's`, hint: elsewhere };
  if (!keepsChangeTimes(folder)) return { why: `${where}, on a filesystem that does not keep the times of changes`, hint: elsewhere };
  if (isAllowed) return undefined;
  const hint = `${elsewhere}; or let its files be moved out of the way until the end of the build: --borrow-context`;
  return { why: where, hint };
}

/** Names in a place that can't be moved: they are mounts, or lead to one or to what is the builder's. */
function stayingNames(top: ByteString, { protectedPaths, lendable, rootPath }: BorrowingOptions): readonly ByteString[] {
  const mounted = new Set(readMounts().map(({ target }) => bytesFromText(relative(rootPath, textFromBytes(target)))));
  const contexts = new Set((lendable?.folders ?? []).map((folder) => bytesFromText(relative(rootPath, realpathSync(folder)))));
  const names = protectedPaths.map(clean).flatMap((path) => {
    const isInside = path !== top && isWithin(path, top);
    return isInside && (mounted.has(path) || !contexts.has(path)) ? [firstName(path, top)] : [];
  });
  return [...new Set(names)];
}

function firstName(path: ByteString, top: ByteString): ByteString {
  const [first = ''] = path.slice(top.length + 1).split('/');
  return first as ByteString; // a part of bytes
}

function clean(path: ByteString): ByteString {
  return path.replace(/^\/+|\/+$/g, '') as ByteString; // a part of bytes
}
