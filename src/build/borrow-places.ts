// Which folders of a pod a build may borrow, and why it may not borrow the others: those of contexts, and an empty `/tmp`.
import { accessSync, constants, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../bytes.ts';
import type { MovedFolders } from '../files/moved-folders.ts';
import { type Mount, readMounts } from '../linux/mounts.ts';
import { keepsChangeTimes } from '../linux/statfs.ts';
import { cleanPath, isWithin } from '../paths.ts';
import { type Shelvable, findShelvable } from './shelved-folder.ts';

/** What a build may borrow. */
export interface Lendable {
  /** Folders that somebody gave us to read from, where they really are: what is borrowed can't be asked. */
  readonly folders: readonly string[];
  /** Is told where their content is. */
  readonly moved: MovedFolders;
  /** False where somebody sits in front of it who was not asked. */
  readonly isAllowed: boolean;
  /** Names in the root that every image has: such a folder is never only the contexts'. */
  readonly imageFolders: ReadonlySet<string>;
}

/** A folder that can be borrowed, or why it can't be. */
export interface BorrowPlace {
  /** Absolute. */
  readonly folder: ByteString;
  /** Below the root. */
  readonly path: ByteString;
  readonly refusal: { readonly why: string; readonly hint: string } | undefined;
  /** Nothing of anybody's is in it, and a build does without it where it can't be had. */
  readonly isEmpty?: boolean;
}

/** The root that is built in, and what of it is not the image's. */
export interface BorrowGround {
  readonly rootPath: string;
  readonly protectedPaths: readonly ByteString[];
  readonly lendable: Lendable | undefined;
}

/** What to try where nothing can be borrowed. */
export const mountElsewhere = 'mount the context where the image does not work: -v $PWD:/context, --context=dir:///context';

/** Folders of the container's own that only lead to contexts. */
export function shelvableOf({ lendable, rootPath, protectedPaths }: BorrowGround): readonly Shelvable[] {
  if (lendable === undefined) return [];
  const contexts = lendable.folders.map(bytesFromText);
  const mounts = readMounts().flatMap(({ target }) => (target === '/' || target === rootPath ? [] : [target]));
  return findShelvable(bytesFromText(rootPath), contexts, {
    mounts,
    covered: protectedPaths.map(cleanPath),
    shared: lendable.imageFolders,
  });
}

/** Folders for temporary files, which pods mount to have room for them: nobody looks there for what a RUN leaves behind. */
export const temporaryFolders = ['tmp', 'var/tmp'];

/** The folders of contexts in the root, each once, and those for temporary files that are mounted, empty and can be written. */
export function findPlaces(options: BorrowGround): readonly BorrowPlace[] {
  const { lendable, rootPath, protectedPaths } = options;
  const mounts = readMounts();
  const places = new Map<ByteString, BorrowPlace>();
  for (const given of lendable?.folders ?? []) {
    const folder = folderToBorrow(bytesFromText(given), mounts, options);
    const path = bytesFromText(relative(rootPath, textFromBytes(folder)));
    if (path === '' || path.startsWith('..') || places.has(folder)) continue;
    const outer = protectedPaths.map(cleanPath).find((each) => each !== path && isWithin(path, each));
    places.set(folder, { folder, path, refusal: refusalFor(folder, outer, lendable?.isAllowed === true) });
  }
  for (const place of emptyPlaces(mounts, options)) if (!places.has(place.folder)) places.set(place.folder, place);
  return [...places.values()];
}

function emptyPlaces(mounts: readonly Mount[], options: BorrowGround): readonly BorrowPlace[] {
  if (options.lendable === undefined) return [];
  return temporaryFolders.flatMap((name) => {
    const folder = bytesFromText(join(options.rootPath, name));
    const path = bytesFromText(name);
    if (!mounts.some(({ target }) => target === folder) || refusalFor(folder, undefined, true) !== undefined) return [];
    const staying = new Set(stayingNames(path, options));
    const names = readdirSync(fsPath(folder), 'latin1') as ByteString[]; // latin1 is bytes
    return names.every((each) => staying.has(each)) ? [{ folder, path, refusal: undefined, isEmpty: true }] : [];
  });
}

/** All of the mount that the context is in; in the container's own root, what is not the image's. */
function folderToBorrow(context: ByteString, mounts: readonly Mount[], { rootPath, protectedPaths }: BorrowGround): ByteString {
  const targets = mounts.map(({ target }) => target).filter((target) => target !== '/' && isWithin(context, target));
  const nearest = targets.toSorted((a, b) => b.length - a.length)[0];
  if (nearest !== undefined && nearest.length > rootPath.length) return nearest;
  const below = bytesFromText(relative(rootPath, textFromBytes(context)));
  const covering = protectedPaths.map(cleanPath).filter((path) => isWithin(below, path));
  const outermost = covering.toSorted((a, b) => a.length - b.length)[0] ?? below;
  return joinBytes(bytesFromText(rootPath), outermost);
}

function refusalFor(folder: ByteString, outer: ByteString | undefined, isAllowed: boolean): BorrowPlace['refusal'] {
  const where = 'the image has that folder, but the context is mounted there';
  try {
    accessSync(textFromBytes(folder), constants.W_OK);
  } catch {
    return { why: `${where}, and can't be written`, hint: mountElsewhere };
  }
  if (outer !== undefined) return { why: `${where}, inside of /${textFromBytes(outer)}, which is not the image's`, hint: mountElsewhere };
  if (!keepsChangeTimes(folder)) return { why: `${where}, on a filesystem that does not keep the times of changes`, hint: mountElsewhere };
  if (isAllowed) return undefined;
  const hint = `${mountElsewhere}; or let its files be moved out of the way until the end of the build: --borrow-context`;
  return { why: where, hint };
}

/** Names in a place that can't be moved: they are mounts, or lead to one or to what is the builder's. */
export function stayingNames(top: ByteString, { protectedPaths, lendable, rootPath }: BorrowGround): readonly ByteString[] {
  const mounted = new Set(readMounts().map(({ target }) => bytesFromText(relative(rootPath, textFromBytes(target)))));
  const contexts = new Set((lendable?.folders ?? []).map((folder) => bytesFromText(relative(rootPath, folder))));
  const names = protectedPaths.map(cleanPath).flatMap((path) => {
    const isInside = path !== top && isWithin(path, top);
    return isInside && (mounted.has(path) || !contexts.has(path)) ? [firstName(path, top)] : [];
  });
  return [...new Set(names)];
}

/** The first name of `path` below `top`. */
export function firstName(path: ByteString, top: ByteString): ByteString {
  const [first = ''] = path.slice(top.length + 1).split('/');
  return first as ByteString; // a part of bytes
}
