// What somebody makes in a borrowed folder while an image works there, told from what is the image's: only what changed while the
// builder was at work is. RED.
import { lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { makeFolder } from '../folders.ts';
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../bytes.ts';
import { systemReason, systemCode } from '../errors.ts';
import { reach } from '../files/long-path.ts';
import { renameToFree, isFolder } from '../linux/files.ts';
import { childPath, pathIn, rootPath } from '../paths.ts';
import { type WorkTime, wasAtWork } from './borrow-journal.ts';

export interface Ground {
  readonly folder: ByteString;
  /** Where strangers wait, by their paths. */
  readonly place: ByteString;
  /** Names in the folder that are to be left alone. */
  readonly isKept: (name: ByteString) => boolean;
  readonly work: readonly WorkTime[];
  /** True for a directory that the image has, whoever changed it last. */
  readonly isImages: (path: ByteString) => boolean;
}

interface Found {
  readonly path: ByteString;
  readonly isDirectory: boolean;
  readonly isOurs: boolean;
  /** Made while the builder was at work, where the filesystem knows: a directory's ctime goes on with whatever is removed from it. */
  readonly wasMadeAtWork: boolean;
}

/** Moves what is not the image's to its place; tells whether there was any. @throws SystemError */
export function moveStrangers(ground: Ground): boolean {
  let hasMoved = false;
  const visit = (found: Found): void => {
    if (!found.isDirectory) {
      if (!found.isOurs) move(found.path);
      return;
    }
    const children = childrenOf(ground, found.path);
    if (!found.isOurs && !ground.isImages(found.path) && !children.some((child) => hasOurs(ground, child))) return move(found.path);
    children.forEach(visit);
  };
  const move = (path: ByteString): void => {
    hasMoved = true;
    const target = freeName(pathIn(ground.place, path), (parent) => makeFolder(fsPath(parent), 0o755));
    reach(pathIn(ground.folder, path), (from) => renameToFree(from, target));
  };
  childrenOf(ground, rootPath).forEach(visit);
  return hasMoved;
}

/** Removes what is the image's; what can't be removed is told. Goes on where it was killed: directories then have later ctimes. */
export function removeOurs(ground: Ground): string | undefined {
  let problem: string | undefined;
  const visit = (found: Found): void => {
    try {
      if (found.isDirectory) childrenOf(ground, found.path).forEach(visit);
      if (!found.isOurs && !(found.isDirectory && (found.wasMadeAtWork || ground.isImages(found.path)))) return;
      reach(pathIn(ground.folder, found.path), (path) => (found.isDirectory ? rmdirSync(fsPath(path)) : unlinkSync(fsPath(path))));
    } catch (error) {
      if (systemCode(error) === 'ENOTEMPTY' || systemCode(error) === 'ENOENT') return;
      problem ??= `${textFromBytes(pathIn(ground.folder, found.path))} could not be removed: ${systemReason(error)}`;
    }
  };
  childrenOf(ground, rootPath).forEach(visit);
  return problem;
}

/**
 * Moves what is in the folder `from` into the folder `to`. Nothing is overwritten: folders become one, and of two other things with
 * the same name one gets a new one, which is told: the one from `from`, or the other where `priority` says so.
 */
export function mergeStrangers(from: ByteString, to: ByteString, warn: (message: string) => void, priority?: 'ours first'): void {
  for (const name of readdirSync(fsPath(from), 'latin1') as ByteString[]) {
    // latin1 is bytes
    const source = joinBytes(from, name);
    const target = joinBytes(to, name);
    for (;;) {
      try {
        renameToFree(source, target);
        break;
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
      }
      if (priority === undefined && isFolder(source) && isFolder(target)) {
        mergeStrangers(source, target, warn);
        rmdirSync(fsPath(source));
        break;
      }
      const free = freeName(target);
      const text = textFromBytes(target);
      warn(`${text} was made by somebody while an image worked in its folder: it is ${textFromBytes(free)} now, beside the one of before`);
      if (priority === undefined) {
        renameToFree(source, free);
        break;
      }
      renameToFree(target, free);
    }
  }
}

function hasOurs(ground: Ground, found: Found): boolean {
  if (found.isOurs || (found.isDirectory && ground.isImages(found.path))) return true;
  return found.isDirectory && childrenOf(ground, found.path).some((child) => hasOurs(ground, child));
}

function childrenOf({ folder, isKept, work }: Ground, path: ByteString): Found[] {
  const names = reach(pathIn(folder, path), (short) => readdirSync(fsPath(short), 'latin1')) as ByteString[]; // latin1 is bytes
  return names.flatMap((name) => {
    if (path === rootPath && isKept(name)) return [];
    const below = childPath(path, name);
    const stat = reach(pathIn(folder, below), (short) => lstatSync(fsPath(short), { bigint: true, throwIfNoEntry: false }));
    if (stat === undefined) return [];
    const [isOurs, wasMadeAtWork] = [wasAtWork(work, stat.ctimeNs), wasAtWork(work, stat.birthtimeNs)];
    return [{ path: below, isDirectory: stat.isDirectory(), isOurs, wasMadeAtWork }];
  });
}

/** `path`, or a name beside it that nothing has. */
function freeName(path: ByteString, makeParent?: (parent: ByteString) => void): ByteString {
  makeParent?.(path.slice(0, path.lastIndexOf('/')) as ByteString); // a part of bytes
  for (let number = 0; ; number++) {
    const free = number === 0 && makeParent !== undefined ? path : (`${path}${bytesFromText(`.yadokari-${number + 1}`)}` as ByteString); // bytes and ASCII
    if (lstatSync(fsPath(free), { throwIfNoEntry: false }) === undefined) return free;
  }
}
