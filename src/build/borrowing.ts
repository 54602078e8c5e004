// The image works where a context is mounted: its folder is borrowed for that, where the image really has something there, and only as
// long as RUN has to see it. Read-only contexts, and people at a terminal who were not asked, get an error instead.
import { join, relative } from 'node:path';
import { type ByteString, bytesFromText, joinBytes, textFromBytes } from '../bytes.ts';
import { BuilderError, type SourceRange, messageOf, systemCode } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Protection } from '../files/root.ts';
import { isWithin, pathBelow } from '../paths.ts';
import { BorrowedFolder } from '../rootfs/borrowed-folder.ts';
import { isAboutHidden } from '../rootfs/hidden-folder.ts';
import type { BorrowOptions } from '../rootfs/recover-from-copy.ts';
import type { Ground } from '../rootfs/ground.ts';
import { createProtection } from '../rootfs/protect.ts';
import { type MovedMount, ProtectedPlaces } from '../rootfs/protected-places.ts';
import {
  type BorrowGround,
  type BorrowPlace,
  type Lendable,
  mountElsewhere,
  findPlaces,
  firstName,
  shelvableOf,
  stayingNames,
} from './borrow-places.ts';
import type { RefusedFolder } from './context-work.ts';
import type { BuildRequest } from './request.ts';
import { type Shelvable, ShelvedFolder } from './shelved-folder.ts';
import type { ImageTree } from '../tree/image-tree.ts';

export interface BorrowingOptions extends BorrowOptions, BorrowGround {
  readonly builderFolder: string;
  readonly emit: Emit;
}

/** A folder that can be borrowed, and the loan while there is one. */
interface Place extends BorrowPlace {
  borrowed?: BorrowedFolder;
  /** Somebody else has it. */
  isTaken?: boolean;
}

export class Borrowing implements Ground {
  readonly protection: Protection;
  readonly #options: BorrowingOptions;
  readonly #places: readonly Place[];
  /** Folders of the container's own that only lead to contexts. */
  readonly #shelvable: readonly Shelvable[];
  readonly #shelved = new Map<ByteString, ShelvedFolder | 'refused'>();
  readonly #protected: ProtectedPlaces;
  #current: Protection;

  constructor(options: BorrowingOptions) {
    this.#options = options;
    this.#protected = new ProtectedPlaces(options.rootPath, options.protectedPaths);
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

  /** What can't be borrowed, nor probably be shelved. */
  get refused(): readonly RefusedFolder[] {
    const isShelvable = (folder: ByteString): boolean => this.#shelvable.some((each) => isWithin(folder, each.folder));
    return this.#places.flatMap(({ folder, path, refusal }) =>
      refusal === undefined || isShelvable(folder) ? [] : [{ path, error: (range) => refusalOf(folder, refusal, range) }],
    );
  }

  get isOthers(): boolean {
    return this.#shelved.size === 0 && this.#places.every(({ borrowed }) => borrowed === undefined);
  }

  begin(tree: ImageTree): boolean {
    let hasMoved = false;
    for (const { path, borrowed } of this.#places) {
      const isImages = (below: ByteString): boolean => tree.isDirectory(tree.at(pathBelow(path, below)));
      if (borrowed?.beginWork(isImages) === true) hasMoved = true;
    }
    return hasMoved;
  }

  suits(tree: ImageTree): boolean {
    const isShelfRight = !this.#shelvable.some((shelvable) => this.#isOther(shelvable, tree));
    return isShelfRight && this.#places.every((place) => !this.#isMisplaced(place, tree));
  }

  async adjust(tree: ImageTree, isForRun: boolean): Promise<boolean> {
    // Contexts in a folder that can be shelved are out of the way with it.
    let hasChanged = this.#adjustShelf(tree);
    for (const place of this.#places) {
      if (!this.#isMisplaced(place, tree)) continue;
      if (place.borrowed !== undefined) await this.#giveBack(place);
      else if (place.refusal === undefined) await this.#borrow(place);
      else if (isForRun) throw refusalOf(place.folder, place.refusal);
      else continue;
      hasChanged = true;
    }
    if (hasChanged) this.begin(tree);
    return hasChanged;
  }

  followMounts(range: SourceRange): void {
    const moved = this.#protected.follow();
    if (moved.length === 0) return;
    this.#protect();
    for (const each of moved) this.#tellMoved(each, range);
  }

  #tellMoved({ from, to }: MovedMount, range: SourceRange): void {
    const places = `${textFromBytes(from)}, which is mounted into this container, to ${textFromBytes(to)}`;
    if (this.#places.some(({ folder }) => isWithin(folder, from))) {
      throw new BuilderError('ERR_CONTEXT', `Cannot go on: this RUN moved the context: ${places}`, { hint: mountElsewhere, range });
    }
    const message = `this RUN moved ${places}: it is not in the image there either`;
    this.#options.emit({ kind: 'warning', code: `mount-moved ${textFromBytes(to)}`, message, range });
  }

  async end(): Promise<void> {
    for (const { borrowed } of this.#places) await borrowed?.endWork();
  }

  // Before the image has anything there, and after it has nothing there any more.
  #adjustShelf(tree: ImageTree): boolean {
    const { lendable, builderFolder } = this.#options;
    let hasChanged = false;
    for (const shelvable of this.#shelvable) {
      const { folder } = shelvable;
      const shelved = this.#shelved.get(folder);
      if (lendable === undefined || shelved === 'refused' || !this.#isOther(shelvable, tree)) continue;
      if (shelved === undefined) this.#shelved.set(folder, ShelvedFolder.shelve(shelvable, builderFolder, lendable.moved) ?? 'refused');
      else this.#unshelve(folder, shelved);
      this.#protect();
      hasChanged = hasChanged || this.#shelved.get(folder) !== 'refused';
    }
    return hasChanged;
  }

  // The image has something where nothing was shelved, or nothing where something was.
  #isOther({ folder }: Shelvable, tree: ImageTree): boolean {
    const shelved = this.#shelved.get(folder);
    const path = this.#inRoot(folder);
    return this.#options.lendable !== undefined && shelved !== 'refused' && (tree.at(path) !== undefined) !== (shelved !== undefined);
  }

  // The image has something in a folder that is not out of the way, or nothing in one that was borrowed.
  #isMisplaced({ path, borrowed, isEmpty, isTaken }: Place, tree: ImageTree): boolean {
    if (isTaken === true) return false;
    const node = tree.at(path);
    // Where the image has a link, the mount stays what it is.
    const isThere = isEmpty === true ? tree.isDirectory(node) : node !== undefined;
    const isNeeded = isThere && !this.#shelvedPaths().some((top) => isWithin(path, top));
    return isNeeded !== (borrowed !== undefined);
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
    const staying = this.#stayingNames(path);
    try {
      place.borrowed = await BorrowedFolder.borrow(folder, staying, { ...this.#options, isEmpty: place.isEmpty === true });
    } catch (error) {
      place.isTaken = place.isEmpty === true && error instanceof BuilderError && error.code === 'ERR_CONTEXT';
      if (place.isTaken) return;
      throw borrowFailure(error, folder);
    }
    const borrowed = place.borrowed;
    lendable?.moved.move(folder, () => borrowed.place, staying);
    this.#protect();
    const text = textFromBytes(folder);
    const message =
      place.isEmpty === true
        ? `the image works in ${text}, which is mounted and empty: it is so again at the end of the build`
        : `the image works in ${text}, where the context is mounted: its files are out of the way until the end of the build`;
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

  #shelvedPaths(): readonly ByteString[] {
    return [...this.#shelved].flatMap(([folder, each]) => (each === 'refused' ? [] : [this.#inRoot(folder)]));
  }

  #inRoot(folder: ByteString): ByteString {
    return bytesFromText(relative(this.#options.rootPath, textFromBytes(folder)));
  }

  #stayingNames(top: ByteString): readonly ByteString[] {
    return stayingNames(top, { ...this.#options, protectedPaths: this.#protected.paths });
  }

  /** What of the disk is not the image's now. */
  #protect(): void {
    this.#protected.settle();
    const open = this.#places.filter(({ borrowed }) => borrowed !== undefined);
    const isOpen = (path: ByteString): boolean =>
      open.some(({ path: top }) => {
        const names = new Set(this.#stayingNames(top));
        return path === top || (isWithin(path, top) && !names.has(firstName(path, top)));
      });
    const shelved = this.#shelvedPaths();
    const isShelved = (path: ByteString): boolean => shelved.some((top) => isWithin(path, top));
    const kept = this.#protected.paths.filter((path) => !isOpen(path) && !isShelved(path));
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
    const message = `this command came upon the folder that has the context's files meanwhile; ${mountElsewhere}`;
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

/** With what to do instead, where it is not a stop. */
function borrowFailure(error: unknown, folder: ByteString): unknown {
  if (error instanceof BuilderError) {
    if (error.code === 'ERR_ABORTED') return error;
    return new BuilderError(error.code, error.message, { cause: error.cause, hint: error.hint ?? mountElsewhere });
  }
  if (!(error instanceof Error) || systemCode(error) === undefined) return error;
  const message = `Cannot move the files of ${textFromBytes(folder)} out of the way: ${error.message}`;
  return new BuilderError('ERR_CONTEXT', message, { cause: error, hint: mountElsewhere });
}

function refusalOf(
  folder: ByteString,
  { why, hint }: { readonly why: string; readonly hint: string },
  range?: BuilderError['range'],
): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot run in ${textFromBytes(folder)}: ${why}`, { hint, range });
}
