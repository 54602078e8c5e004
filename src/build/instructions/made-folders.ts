// Folders that a target of a mount needs on the way to it, and that go again.
import { chmodSync, lstatSync, mkdirSync, rmdirSync } from 'node:fs';
import { type ByteString, fsPath, joinBytes, textFromBytes } from '../../bytes.ts';
import { BuilderError, systemCode } from '../../errors.ts';
import { lstatIfThere } from '../../linux/files.ts';
import { type Identity, identityOf, isSame, parentOf } from './held-thing.ts';

/** From the outermost to the innermost. */
export type MadeFolders = readonly { readonly path: ByteString; readonly identity: Identity }[];

/** The deepest folder on the way to `path` that exists. @throws ERR_ROOTFS when a file is in the way */
export function existingParent(path: ByteString): ByteString {
  for (let at = path; ; at = parentOf(at)) {
    const stats = lstatIfThere(at);
    if (stats?.isDirectory() === true) return at;
    if (stats !== undefined)
      throw new BuilderError('ERR_ROOTFS', `Cannot make folder ${textFromBytes(path)}: ${textFromBytes(at)} is not a folder`);
  }
}

/** Makes the folders of `to` that `from` has not. @throws SystemError */
export function makeFolders(from: ByteString, to: ByteString): MadeFolders {
  const made: MadeFolders[number][] = [];
  const names = to
    .slice(from === '/' ? 1 : from.length + 1)
    .split('/')
    .filter((name) => name !== '');
  let at = from;
  for (const name of names) {
    at = joinBytes(at, name as ByteString); // a part of one
    mkdirSync(fsPath(at));
    chmodSync(fsPath(at), 0o755); // whatever our umask
    made.push({ path: at, identity: identityOf(lstatSync(fsPath(at), { bigint: true })) });
  }
  return made;
}

/** Removes folders that we made, unless the command uses them now. */
export function removeFolders(folders: MadeFolders): void {
  for (const { path, identity } of folders.toReversed()) {
    const now = lstatIfThere(path);
    if (now === undefined || !isSame(identityOf(now), identity)) return;
    try {
      rmdirSync(fsPath(path));
    } catch (error) {
      if (systemCode(error) === 'ENOTEMPTY') return;
      throw error;
    }
  }
}
