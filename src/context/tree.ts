// What COPY and ADD read from, and how a path in it is found without ever leaving it.
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { FileStat, FileView } from '../files/file-view.ts';
import { namesOf, pathOfNames, rootPath } from '../paths.ts';
import type { IgnoreRules } from './ignore.ts';

/** Where sources come from: the build context, a named one, the root of a finished stage or of an image. */
export interface SourceTree {
  /** Its files. It is a jail: links in it are read as if its root were `/`. */
  readonly files: FileView;
  /** For messages: `the build context`, `stage build`. */
  readonly label: string;
  readonly ignore?: IgnoreRules;
  /** Unpacked from an archive or a repository: what such a context says about ignoring does not count, as with BuildKit. */
  readonly isUnpacked?: boolean;
  /** True for what is never to be seen (the builder's own folder inside the context). */
  readonly hides?: (path: ByteString) => boolean;
  /** False where all files are to belong to 0:0, as those of a build context. */
  readonly keepsOwners: boolean;
  /** Seconds since 1970: a commit's time, a download's, that of the newest file in an archive. A folder has none. */
  readonly timeSeconds?: number;
  /** Is told of each file that is read from here into an image or a mount. */
  readonly noteRead?: (path: ByteString) => void;
}

/** Where a path leads in a tree; `path` is free of links, `.` for the tree's root. */
export type Located =
  | { readonly kind: 'found'; readonly path: ByteString; readonly stat: FileStat }
  | { readonly kind: 'missing'; readonly path: ByteString; readonly rest: readonly ByteString[]; readonly link?: ByteString }
  | { readonly kind: 'loop'; readonly path: ByteString };

const maxLinks = 255;

/**
 * Follows `path` in the tree, links included, the last one too: absolute targets start at its root, and `..` stops there. `link` in
 * an answer is the link that led to what is missing, `rest` what would come below that.
 */
export function locate(files: FileView, path: ByteString): Located {
  const pending = namesOf(path).reverse();
  let at: ByteString[] = [];
  let stat = statOf(files, rootPath);
  let link: ByteString | undefined;
  let linkCount = 0;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === '..') {
      at = at.slice(0, -1);
      stat = statOf(files, pathOfNames(at));
      continue;
    }
    const next = [...at, name];
    const found = stat.type === 'directory' ? files.stat(pathOfNames(next)) : undefined;
    if (found === undefined) {
      return { kind: 'missing', path: pathOfNames(next), rest: pending.toReversed(), ...(link === undefined ? {} : { link }) };
    }
    if (found.type !== 'symlink') {
      at = next;
      stat = found;
      continue;
    }
    linkCount += 1;
    link = pathOfNames(next);
    if (linkCount > maxLinks) return { kind: 'loop', path: link };
    const target = files.linkTarget(link);
    if (target.startsWith('/')) {
      at = [];
      stat = statOf(files, rootPath);
    }
    pending.push(...namesOf(target).reverse());
  }
  return { kind: 'found', path: pathOfNames(at), stat };
}

function statOf(files: FileView, path: ByteString): FileStat {
  const stat = files.stat(path);
  if (stat !== undefined) return stat;
  throw new BuilderError('ERR_CONTEXT', `Cannot read ${textFromBytes(path)}: it went away meanwhile`);
}
