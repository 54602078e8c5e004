// Deleting below the root. Never follows a symbolic link, never enters what is protected. RED.
import { readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { reach } from './long-path.ts';
import { absolutePath, isDirectoryMode, modeOf } from './resolve.ts';
import type { Root } from './root.ts';
import { childPath } from '../paths.ts';

/** True for a path that must stay; its parents stay with it. */
export type Keeps = (path: ByteString) => boolean;

const keepsNothing: Keeps = () => false;

/**
 * Removes a resolved path with everything below it, apart from what is protected or kept.
 * Tells whether all is gone; absence is fine. @throws SystemError
 */
export function removeTree(root: Root, path: ByteString, keeps: Keeps = keepsNothing): boolean {
  const mode = modeOf(root, path);
  if (mode === undefined) return true;
  if (root.protection.covers(path)) return false;
  if (!isDirectoryMode(mode)) {
    if (keeps(path)) return false;
    reach(absolutePath(root, path), (short) => unlinkSync(fsPath(short)));
    return true;
  }
  const isEmpty = removeChildren(root, path, keeps);
  if (!isEmpty || keeps(path)) return false;
  reach(absolutePath(root, path), (short) => rmdirSync(fsPath(short)));
  return true;
}

/** Removes what is in a directory, which stays itself; tells whether it is empty now. @throws SystemError */
export function removeChildren(root: Root, path: ByteString, keeps: Keeps = keepsNothing): boolean {
  let isEmpty = true;
  for (const name of listNames(root, path)) {
    if (!removeTree(root, childPath(path, name), keeps)) isEmpty = false;
  }
  return isEmpty;
}

/** The names in a directory, sorted by byte. @throws SystemError */
export function listNames(root: Root, path: ByteString): ByteString[] {
  const names = reach(absolutePath(root, path), (short) => readdirSync(fsPath(short), 'latin1')) as ByteString[]; // latin1 is bytes
  return names.sort();
}
