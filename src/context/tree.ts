// A folder that COPY and ADD read from, and how a path in it is found without ever leaving it.
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { fsPath, joinBytes } from '../bytes.ts';
import type { ByteString } from '../bytes.ts';
import { systemCode } from '../errors.ts';
import type { IgnoreRules } from './ignore.ts';

/** Where sources come from: the build context, a named one, the root of a finished stage or of an image. */
export interface SourceTree {
  /** Absolute, no trailing slash except for `/`. It is a jail: links in it are read as if it were the root. */
  readonly folder: ByteString;
  /** For messages: `the build context`, `stage build`. */
  readonly label: string;
  readonly ignore?: IgnoreRules;
  /** Unpacked from an archive or a repository: what such a context says about ignoring does not count, as with BuildKit. */
  readonly isUnpacked?: boolean;
  /** True for what is never to be seen (the builder's own folder inside the context); paths without leading slash. */
  readonly hides?: (path: ByteString) => boolean;
  /** False where all files are to belong to 0:0, as those of a build context. */
  readonly keepsOwners: boolean;
  /** Seconds since 1970: a commit's time, a download's, that of the newest file in an archive. A folder has none. */
  readonly timeSeconds?: number;
  /** Is told of each file, by its path on disk, that is read from here into an image or a mount. */
  readonly noteRead?: (path: ByteString) => void;
}

/** Where a path leads in a tree; `path` has no leading slash, is free of links, and is empty for the tree's root. */
export type Located =
  | { readonly kind: 'found'; readonly path: ByteString; readonly stats: BigIntStats }
  | { readonly kind: 'missing'; readonly path: ByteString; readonly rest: readonly ByteString[]; readonly link?: ByteString }
  | { readonly kind: 'loop'; readonly path: ByteString };

const maxLinks = 255;

/**
 * Follows `path` inside the folder, links included, the last one too: absolute targets start at the folder, and `..`
 * stops there. `link` in an answer is the link that led to what is missing, `rest` what would come below that.
 */
export function locate(folder: ByteString, path: ByteString): Located {
  const pending = splitPath(path).reverse();
  let at: ByteString[] = [];
  let stats = lstatSync(fsPath(folder), { bigint: true });
  let link: ByteString | undefined;
  let linkCount = 0;
  for (let component = pending.pop(); component !== undefined; component = pending.pop()) {
    if (component === '..') {
      at = at.slice(0, -1);
      stats = lstatSync(fsPath(joinAll(folder, at)), { bigint: true });
      continue;
    }
    const next = [...at, component];
    const found = stats.isDirectory() ? statOf(joinAll(folder, next)) : undefined;
    if (found === undefined) {
      return { kind: 'missing', path: joinPath(next), rest: pending.toReversed(), ...(link === undefined ? {} : { link }) };
    }
    if (!found.isSymbolicLink()) {
      at = next;
      stats = found;
      continue;
    }
    linkCount += 1;
    link = joinPath(next);
    if (linkCount > maxLinks) return { kind: 'loop', path: link };
    const target = readLink(joinAll(folder, next));
    if (target.startsWith('/')) {
      at = [];
      stats = lstatSync(fsPath(folder), { bigint: true });
    }
    pending.push(...splitPath(target).reverse());
  }
  return { kind: 'found', path: joinPath(at), stats };
}

/** lstat; undefined where there is nothing. @throws SystemError */
export function statOf(path: ByteString): BigIntStats | undefined {
  try {
    return lstatSync(fsPath(path), { bigint: true });
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The names in a directory, sorted by byte. @throws SystemError */
export function listNames(directory: ByteString): ByteString[] {
  const names = readdirSync(fsPath(directory), { encoding: 'latin1' }).sort();
  return names as ByteString[]; // latin1 is one character a byte
}

/** The target of a symbolic link, verbatim. @throws SystemError */
export function readLink(path: ByteString): ByteString {
  return readlinkSync(fsPath(path), { encoding: 'latin1' }) as ByteString; // latin1 is one character a byte
}

/** Components without empty ones and `.`; `..` stays. */
export function splitPath(path: ByteString): ByteString[] {
  return path.split('/').filter((component) => component !== '' && component !== '.') as ByteString[]; // parts of bytes are bytes
}

/** Components joined to a path without leading slash. */
export function joinPath(components: readonly ByteString[]): ByteString {
  return components.join('/') as ByteString; // bytes joined are bytes
}

/** A tree's path on disk: the folder itself for an empty path. */
export function pathIn(folder: ByteString, path: ByteString): ByteString {
  return path === '' ? folder : joinBytes(folder, path);
}

function joinAll(folder: ByteString, components: readonly ByteString[]): ByteString {
  return pathIn(folder, joinPath(components));
}
