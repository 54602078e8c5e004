// Paths: how they are spelt, and where links on the way lead. Everywhere but at the edges a path is below some root: no slash at
// either end, `.` for the root itself, and no `.` or `..` in it.
import { type ByteString, bytesFromText, joinBytes, textFromBytes } from './bytes.ts';
import { BuilderError } from './errors.ts';

/** The path of a root itself. */
export const rootPath = bytesFromText('.');

/** What Linux takes of a path in one call, and the longest target of a link: PATH_MAX without the NUL. */
export const longestPathBytes = 4095;

/** Refuses a path below the root that no system call takes, before each of its folders is looked for. @throws ERR_ROOTFS */
export function checkLength(path: ByteString, task: string): void {
  if (path.length <= longestPathBytes) return;
  const shown = textFromBytes(path.slice(0, 40) as ByteString); // a part of bytes
  const why = `its path has ${path.length} bytes, and Linux takes ${longestPathBytes}`;
  throw new BuilderError('ERR_ROOTFS', `Cannot ${task} /${shown}…: ${why}`, { hint: 'use a shorter one' });
}

/** The path without slashes at its ends, `.` and empty names; `..` stays, as archives have it. */
export function cleanPath(path: ByteString): ByteString {
  return /^\/|\/\/|^\.\/|\/\.\/|\/\.?$|^\.$|^$/.test(path) ? pathOfNames(namesOf(path)) : path;
}

/** The path with `.`, `..` and empty names worked out, never above the root. */
export function clampPath(path: ByteString): ByteString {
  if (!/(?:^|\/)\.\.?(?:\/|$)|^\/|\/\/|\/$|^$/.test(path)) return path;
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return pathOfNames(names as ByteString[]); // parts of bytes
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

/** Every folder above a path, the innermost first, without the root. */
export function* foldersAbove(path: ByteString): Generator<ByteString> {
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) yield path.slice(0, end) as ByteString; // a part of bytes
}

/** True for `top` itself and everything below it. */
export function isWithin(path: ByteString, top: ByteString): boolean {
  return top === '.' || path === top || path.startsWith(`${top}/`);
}

/** The absolute path of `path` in the folder `folder`, for system calls. */
export function pathIn(folder: ByteString, path: ByteString): ByteString {
  return path === '.' ? folder : joinBytes(folder, path);
}

/** Something that has names in directories: a disk, a tree, a view. */
export interface Nodes<Node> {
  readonly root: Node;
  /** What is at `path`, by `name` in `directory`; undefined for nothing, and where that is no directory. */
  readonly child: (directory: Node, name: ByteString, path: ByteString) => Node | undefined;
  /** A symbolic link's target, verbatim; undefined for everything else. */
  readonly linkTarget: (node: Node, path: ByteString) => ByteString | undefined;
}

/** Where a path leads. */
export interface Followed<Node> {
  /** Free of links and `..`; what is missing is as it was written. Of a loop, the link where it was given up. */
  readonly path: ByteString;
  /** Undefined where nothing is. */
  readonly node: Node | undefined;
  /** The part of `path` that is missing first, where something is. */
  readonly missing: ByteString;
  /** The link that was followed last. */
  readonly link: ByteString | undefined;
  readonly isLoop: boolean;
}

/** As many links as Linux follows: path_resolution(7). */
export const mostLinks = 40;

/**
 * Follows a path as a process would whose root this is: absolute targets start at the root, and `..` stops there.
 * `leaf: 'keep'` gives the last name itself even where it is a link.
 */
export function followPath<Node>(nodes: Nodes<Node>, path: ByteString, leaf: 'keep' | 'follow', most = mostLinks): Followed<Node> {
  const start = { path: rootPath, node: nodes.root };
  const pending = namesOf(path).reverse();
  const done: { readonly path: ByteString; readonly node: Node | undefined }[] = [];
  let link: ByteString | undefined;
  let links = 0;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === '..') {
      done.pop();
      continue;
    }
    const parent = done.at(-1) ?? start;
    const here = childPath(parent.path, name);
    const node = parent.node === undefined ? undefined : nodes.child(parent.node, name, here);
    const isKept = node === undefined || (leaf === 'keep' && pending.length === 0);
    const target = isKept ? undefined : nodes.linkTarget(node, here);
    if (target === undefined) {
      done.push({ path: here, node });
      continue;
    }
    link = here;
    if (++links > most) return { path: here, node: undefined, missing: here, link, isLoop: true };
    if (target.startsWith('/')) done.length = 0;
    pending.push(...namesOf(target).reverse());
  }
  const last = done.at(-1) ?? start;
  const missing = done.find(({ node }) => node === undefined) ?? last;
  return { ...last, missing: missing.path, link, isLoop: false };
}

/** Says that a path leads from link to link without end, or nearly. */
export function tooManyLinks(path: ByteString): BuilderError {
  return new BuilderError(
    'ERR_UNSAFE_PATH',
    `Cannot resolve ${JSON.stringify(textFromBytes(path))}: more than ${mostLinks} symbolic links`,
  );
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
