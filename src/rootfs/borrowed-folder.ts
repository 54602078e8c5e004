// A folder of a user's in which an image works for a while. Its entries are moved, by renaming, so that they stay the very files, into
// a hidden folder inside of it; a journal there says what it was like. When they come back, what is the image's goes, and only that:
// whatever changed while the builder worked there. Names that somebody made meanwhile stay. Each step can be the last one before a
// kill -9: `recover` goes on from any of them, in any container that has the folder. See ARCHITECTURE.md. RED.
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, rmdirSync, utimesSync } from 'node:fs';
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../bytes.ts';
import { BuilderError, ifCode, inWords, messageOf, orElse, systemCode } from '../errors.ts';
import { tryLock } from '../linux/file-lock.ts';
import { renameToFree } from '../linux/files.ts';
import { type Journal, emptyJournal, endWork, readJournal, writeJournal } from './borrow-journal.ts';
import { plainRoot } from '../files/root.ts';
import { changeTime, identityOf, metadataOf, namesIn, restoreMetadata, restoreTime } from './folder-stat.ts';
import { HiddenFolder, hiddenName, isHiddenName, removeHidden, timeOfHiddenName } from './hidden-folder.ts';
import { type BorrowOptions, aliveName, copyOf, filesName, listPaths, recoverFromCopy, slackNs } from './recover-from-copy.ts';
import { copyAside, putBack } from './safety-copy.ts';
import { scanLiving } from './scan.ts';
import { type Ground, mergeStrangers, moveStrangers, removeOurs } from './strangers.ts';
import type { Tree } from './scanned-tree.ts';

const entriesName = bytesFromText('entries');
const strangersName = bytesFromText('strangers');
const heartbeatMs = 100;

export class BorrowedFolder {
  readonly folder: ByteString;
  /** Its name for what is hidden; it must be protected while the folder is borrowed. */
  readonly name: ByteString;
  readonly #options: BorrowOptions;
  #journal: Journal;
  #hidden: HiddenFolder;
  #lock: Disposable | undefined;
  /** What was in it, as it is now. */
  #before: Tree | undefined;
  #pulse: NodeJS.Timeout | undefined;
  #isImages: (path: ByteString) => boolean = () => false;

  private constructor(folder: ByteString, name: ByteString, hidden: HiddenFolder, journal: Journal, options: BorrowOptions) {
    this.folder = folder;
    this.name = name;
    this.#hidden = hidden;
    this.#journal = journal;
    this.#options = options;
  }

  /**
   * Moves all that is in `folder` but the names `staying` out of sight, and makes a safety copy of it. Then the folder is empty. Where
   * `isEmpty` says that it is already, commands can walk into what is hidden.
   * @throws ERR_CONTEXT, ERR_ROOTFS; then it is as before
   */
  static async borrow(
    folder: ByteString,
    staying: readonly ByteString[],
    { isEmpty = false, ...options }: BorrowOptions & { readonly isEmpty?: boolean },
  ): Promise<BorrowedFolder> {
    const metadata = metadataOf(folder);
    const name = hiddenName(metadata.mtime, isEmpty);
    if (readdirSync(fsPath(folder), 'latin1').some((each) => isHiddenName(each as ByteString))) throw inUse(folder); // latin1 is bytes
    const journal: Journal = { identity: identityOf(folder), metadata, staying, work: [], isReturning: false };
    const borrowed = new BorrowedFolder(folder, name, HiddenFolder.make(folder, name), journal, options);
    borrowed.#settle();
    try {
      borrowed.#moveIn();
      borrowed.#before = await scanLiving(plainRoot(borrowed.place), options.signal);
      await copyAside(plainRoot(borrowed.place), borrowed.#before, plainRoot(borrowed.#copiedFiles), options.signal);
      closeSync(openSync(fsPath(joinBytes(borrowed.#copy, aliveName)), 'w', 0o600));
      writeJournal(borrowed.#copy, journal);
    } catch (error) {
      await borrowed.giveBack();
      throw error;
    }
    return borrowed;
  }

  /**
   * Puts right what a killed build left of `folder`; tells whether there was anything.
   * @throws ERR_CONTEXT while another build has it, or where it can't be written
   */
  static async recover(folder: ByteString, options: BorrowOptions): Promise<boolean> {
    const names = namesIn(folder);
    const copy = copyOf(folder, options);
    const copied = readJournal(copy);
    const name = names.find(isHiddenName);
    try {
      if (name === undefined) return copied === undefined ? false : await recoverFromCopy(folder, copy, copied, options);
      const hidden = HiddenFolder.open(folder, name);
      if (hidden === undefined && copied === undefined) {
        // Killed while it was made, or while it was removed: nothing is in it.
        removeHidden(folder, name);
        restoreTime(folder, timeOfHiddenName(name));
        return true;
      }
      const found = hidden ?? HiddenFolder.make(folder, name);
      const journal = readJournal(found.path) ?? copied ?? emptyJournal(folder);
      const alive = changeTime(joinBytes(found.path, aliveName)) ?? changeTime(joinBytes(copy, aliveName));
      const borrowed = new BorrowedFolder(folder, name, found, endWork(journal, (alive ?? journal.since ?? 0n) + slackNs), options);
      borrowed.#settle();
      if (copied !== undefined && !journal.isReturning)
        borrowed.#before = await scanLiving(plainRoot(borrowed.#copiedFiles), options.signal);
      await borrowed.giveBack();
      return true;
    } catch (error) {
      if (error instanceof BuilderError || systemCode(error) === undefined) throw error;
      throw new BuilderError(
        'ERR_CONTEXT',
        `Cannot give ${textFromBytes(folder)} its files back, which a killed build had moved: ${messageOf(error)}`,
        {
          cause: error,
          hint: 'mount it writable; they are in the folder in it whose name says so',
        },
      );
    }
  }

  /** Where what was in the folder is now; it may change after each RUN. */
  get place(): ByteString {
    return joinBytes(this.#hidden.path, entriesName);
  }

  /**
   * From now on whatever changes in the folder is the image's; what others made there before is put out of its way. Tells whether
   * there was any. `isImages` knows the directories of the image.
   */
  beginWork(isImages: (path: ByteString) => boolean): boolean {
    if (this.#journal.since !== undefined) return false;
    this.#isImages = isImages;
    const moved = moveStrangers(this.#strangers());
    this.#note({ ...this.#journal, since: this.#stamp() });
    this.#pulse = setInterval(() => this.#beat(), heartbeatMs).unref();
    return moved;
  }

  /** After a RUN: what it did to the user's own files is undone, with a warning. */
  async endWork(): Promise<void> {
    if (this.#journal.since === undefined) return;
    clearInterval(this.#pulse);
    await this.#restoreEntries();
    this.#note(endWork(this.#journal, this.#stamp()));
  }

  /** Makes the folder what it was. @throws ERR_ROOTFS; what is not back yet is so at the next start */
  async giveBack(): Promise<void> {
    clearInterval(this.#pulse);
    if (this.#before !== undefined) await this.#restoreEntries();
    if (this.#journal.since !== undefined) this.#write(endWork(this.#journal, this.#stamp()));
    const { metadata, isReturning } = this.#journal;
    if (!isReturning) {
      const left = removeOurs(this.#strangers());
      if (left !== undefined) this.#options.warn(left);
      if (this.#journal.work.length > 0) moveStrangers(this.#strangers());
      this.#write({ ...this.#journal, isReturning: true });
    }
    this.#moveOut();
    mergeStrangers(joinBytes(this.#hidden.path, strangersName), this.folder, this.#options.warn);
    if (metadata !== undefined) restoreMetadata(this.folder, metadata, this.#options.warn);
    for (const each of [entriesName, strangersName]) rmdirSync(fsPath(joinBytes(this.#hidden.path, each)));
    for (const each of ['journal.json', 'journal.new', 'alive']) {
      rmSync(fsPath(joinBytes(this.#hidden.path, bytesFromText(each))), { force: true });
    }
    rmSync(fsPath(this.#copy), { recursive: true, force: true });
    this.#hidden.close();
    removeHidden(this.folder, this.name);
    restoreTime(this.folder, metadata?.mtime ?? timeOfHiddenName(this.name));
    this.#lock?.[Symbol.dispose]();
  }

  get #copy(): ByteString {
    return copyOf(this.folder, this.#options);
  }

  get #copiedFiles(): ByteString {
    return joinBytes(this.#copy, filesName);
  }

  #strangers(): Ground {
    const kept = new Set([this.name, ...this.#journal.staying]);
    const place = joinBytes(this.#hidden.path, strangersName);
    return {
      folder: this.folder,
      place,
      isKept: (name: ByteString) => kept.has(name) || isHiddenName(name),
      work: this.#journal.work,
      isImages: this.#isImages,
    };
  }

  /** Makes the hidden folder ready for all that comes: others see that it is in use, and what it is. */
  #settle(): void {
    const alive = joinBytes(this.#hidden.path, aliveName);
    const lock = tryLock(alive, 'exclusive');
    if (lock === undefined) throw inUse(this.folder);
    this.#lock?.[Symbol.dispose]();
    this.#lock = lock;
    this.#write(this.#journal);
    for (const name of [entriesName, strangersName]) makeFolder(joinBytes(this.#hidden.path, name));
  }

  #moveIn(): void {
    const staying = new Set(this.#journal.staying);
    for (;;) {
      const names = readdirSync(fsPath(this.folder), 'latin1') as ByteString[]; // latin1 is bytes
      const pending = names.filter((name) => !isHiddenName(name) && !staying.has(name));
      if (pending.length === 0) return;
      for (const name of pending) {
        try {
          renameToFree(joinBytes(this.folder, name), joinBytes(this.place, name));
        } catch (error) {
          if (systemCode(error) === 'ENOENT') continue; // somebody was faster
          throw new BuilderError('ERR_CONTEXT', `Cannot move ${textFromBytes(joinBytes(this.folder, name))} aside: ${messageOf(error)}`, {
            cause: error,
          });
        }
      }
    }
  }

  #moveOut(): void {
    mergeStrangers(this.place, this.folder, this.#options.warn, 'ours first');
  }

  async #restoreEntries(): Promise<void> {
    const { signal, warn } = this.#options;
    const before = this.#before;
    if (before === undefined) return;
    this.#restoreHidden();
    // What was stopped is put right, too.
    const never = signal.aborted ? new AbortController().signal : signal;
    const root = plainRoot(this.place);
    const after = await scanLiving(root, never);
    const { restored, beside } = await putBack(plainRoot(this.#copiedFiles), before, root, after);
    if (restored.length > 0) {
      warn(
        `a RUN removed or changed files of the context that were out of its way in ${textFromBytes(this.folder)}: ${listPaths(restored)} (${restored.length}) put back from a copy`,
      );
    }
    for (const [path, copy] of beside) {
      warn(`${shown(this.folder, path)} changed while it was out of the way: it stays, and what it was is ${shown(this.folder, copy)}`);
    }
    this.#before = restored.length + beside.length === 0 ? after : await scanLiving(root, never);
  }

  /** GNU's rm -rf reaches all of it. */
  #restoreHidden(): void {
    const there = HiddenFolder.open(this.folder, this.name);
    const isSame = there !== undefined && identityOf(there.path) === identityOf(this.#hidden.path);
    there?.close();
    if (!isSame) {
      this.#hidden.close();
      this.#hidden = HiddenFolder.make(this.folder, this.name);
    }
    const isWhole = [entriesName, strangersName, aliveName].every((name) => changeTime(joinBytes(this.#hidden.path, name)) !== undefined);
    if (!isSame || !isWhole) this.#settle();
  }

  // A RUN can have filled the volume.
  #note(journal: Journal): void {
    orElse(() => this.#write(journal), inWords('ERR_ROOTFS', `Cannot write in ${textFromBytes(this.folder)}, which the image works in`));
  }

  #write(journal: Journal): void {
    this.#journal = journal;
    writeJournal(this.#hidden.path, journal);
    if (this.#before !== undefined && changeTime(this.#copy) !== undefined) writeJournal(this.#copy, journal);
  }

  #beat(): void {
    for (const folder of [this.#hidden.path, this.#copy]) {
      try {
        const now = new Date();
        utimesSync(fsPath(joinBytes(folder, aliveName)), now, now);
      } catch {
        // a RUN removed it; what matters is looked after at its end
      }
    }
  }

  /** What the filesystem says the time is. */
  #stamp(): bigint {
    const now = new Date();
    const alive = joinBytes(this.#hidden.path, aliveName);
    utimesSync(fsPath(alive), now, now);
    return changeTime(alive) ?? 0n;
  }
}

function makeFolder(path: ByteString): void {
  orElse(() => mkdirSync(fsPath(path), 0o700), ifCode(['EEXIST']));
}

function inUse(folder: ByteString): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot use ${textFromBytes(folder)}: another build works in it`, {
    hint: 'wait for its end, or give each build a folder of its own',
  });
}

function shown(folder: ByteString, path: ByteString): string {
  return textFromBytes(joinBytes(folder, path));
}
