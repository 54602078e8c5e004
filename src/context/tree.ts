// What COPY and ADD read from, and how a path in it is found without ever leaving it.
import type { ByteString } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import type { FileStat, FileView } from '../files/file-view.ts';
import { type Nodes, followPath, rootPath } from '../paths.ts';
import type { IgnoreRules } from './ignore.ts';

/** Where sources come from: the build context, a named one, the root of a finished stage or of an image. */
export interface SourceTree {
  /** Its files. It is a jail: links in it are read as if its root were `/`. */
  readonly files: FileView;
  /** For messages: `the build context`, `stage build`. */
  readonly label: string;
  readonly ignore?: IgnoreRules;
  /** Unpacked from an archive or a repository. */
  readonly isUnpacked?: boolean;
  /** Its own `.dockerignore` counts. BuildKit applies none of an archive or a repository, kaniko does. */
  readonly hasOwnRules?: boolean;
  /** True for what is never to be seen (the builder's own folder inside the context). */
  readonly hides?: (path: ByteString) => boolean;
  /** True for what is this container's where a RUN wrote the files: what it made there is not among them. */
  readonly isForeign?: (path: ByteString) => boolean;
  /** The line of the RUN that ran when something was changed that is not there any more. */
  readonly lostIn?: (path: ByteString) => number | undefined;
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
  /** `missing` is the first part that is not there, `link` the link that led to it. */
  | { readonly kind: 'missing'; readonly path: ByteString; readonly missing: ByteString; readonly link?: ByteString }
  | { readonly kind: 'loop'; readonly path: ByteString };

/** More than Linux follows: so many does BuildKit (continuity's fs.RootPath), which looks for sources without the kernel's help. */
const mostSourceLinks = 255;

/** Follows `path` in the tree, links included, the last one too: absolute targets start at its root, and `..` stops there. */
export function locate(files: FileView, path: ByteString): Located {
  const root = files.stat(rootPath);
  if (root === undefined) throw new BuilderError('ERR_CONTEXT', 'Cannot read what is to be copied: its folder went away meanwhile');
  const nodes: Nodes<FileStat> = {
    root,
    child: ({ type }, _, below) => (type === 'directory' ? files.stat(below) : undefined),
    linkTarget: ({ type }, below) => (type === 'symlink' ? files.linkTarget(below) : undefined),
  };
  const { path: end, node, missing, link, isLoop } = followPath(nodes, path, 'follow', mostSourceLinks);
  if (isLoop) return { kind: 'loop', path: end };
  if (node !== undefined) return { kind: 'found', path: end, stat: node };
  return { kind: 'missing', path: end, missing, ...given({ link }) };
}

/** What to try where a RUN, or somebody meanwhile, took something away from the tree; undefined where nobody did. */
export function lossHint(tree: SourceTree, path: ByteString): string | undefined {
  const line = tree.lostIn?.(path);
  return line === undefined
    ? undefined
    : `it was there until the RUN in line ${line} ran: mount the context read-only (:ro, readOnly: true), and none can take it away`;
}
