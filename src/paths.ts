// Paths by their spelling alone. Everywhere but at the edges a path is below some root: no slash at either end, `.` for the root
// itself, and no `.` or `..` in it.
import { type ByteString, bytesFromText, joinBytes } from './bytes.ts';

/** The path of a root itself. */
export const rootPath = bytesFromText('.');

/** The path with `.`, `..` and empty names worked out, never above the root. */
export function clampPath(path: ByteString): ByteString {
  if (!/(?:^|\/)\.\.?(?:\/|$)|^\/|\/\/|\/$|^$/.test(path)) return path;
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return (names.length === 0 ? '.' : names.join('/')) as ByteString; // names of bytes
}

/** The directory part of a clean path (`.` at the top) and its last name. */
export function splitPath(path: ByteString): { readonly parent: ByteString; readonly name: ByteString } {
  const slash = path.lastIndexOf('/');
  const parent = slash === -1 ? '.' : path.slice(0, slash);
  return { parent: parent as ByteString, name: path.slice(slash + 1) as ByteString }; // parts of bytes
}

/** `parent` and `name` as one path below the root. */
export function childPath(parent: ByteString, name: ByteString): ByteString {
  return (parent === '.' ? name : `${parent}/${name}`) as ByteString; // bytes joined
}

/** The names of a path that `..` may still be in; empty ones and `.` left out. */
export function namesOf(path: ByteString): ByteString[] {
  return path.split('/').filter((name) => name !== '' && name !== '.') as ByteString[]; // parts of bytes
}

/** Names joined to a path below a root; `.` for none. */
export function pathOfNames(names: readonly ByteString[]): ByteString {
  return (names.length === 0 ? '.' : names.join('/')) as ByteString; // bytes joined
}

/** `path` below the path `top`, of which either may be `.`. */
export function pathBelow(top: ByteString, path: ByteString): ByteString {
  if (top === '.') return path;
  return path === '.' ? top : (`${top}/${path}` as ByteString); // bytes joined
}

/** True for `top` itself and everything below it. */
export function isWithin(path: ByteString, top: ByteString): boolean {
  return top === '.' || path === top || path.startsWith(`${top}/`);
}

/** The absolute path of `path` in the folder `folder`, for system calls. */
export function pathIn(folder: ByteString, path: ByteString): ByteString {
  return path === '.' ? folder : joinBytes(folder, path);
}

/** Walk order: as bytes, but with the slash before every other byte, so that a tree stays together. */
export function comparePaths(a: ByteString, b: ByteString): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    if (left === slash) return -1;
    return right === slash ? 1 : left - right;
  }
  return a.length - b.length;
}

const slash = 0x2f;
