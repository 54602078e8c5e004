// An image's tree as a place to copy to: destinations resolved in it, parents made, and what may replace what.
import { bytesFromText, type ByteString, textFromBytes } from '../../bytes.ts';
import { BuilderError } from '../../errors.ts';
import type { Metadata } from '../../layer/entry.ts';
import { checkLength, clampPath, namesOf, pathOfNames, rootPath, splitPath } from '../../paths.ts';
import type { ContentSource, TreeDraft } from '../../rootfs/tree-draft.ts';
import type { TreeNode } from '../../tree/node.ts';
import { resolveInTree } from '../../tree/resolve.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What directories get that are made on the way to a destination. */
export interface NewDirectory {
  readonly mode: number;
  /** Where not given: as mkdir(2) makes them, so below a setgid directory of its group. */
  readonly owner?: Owner;
  /** Seconds since 1970; the time of the draft where not given. */
  readonly mtimeSeconds?: number;
}

export interface CopyTargetOptions {
  /** As people know the instruction, for errors. */
  readonly instruction: string;
  /** `--link`: links on the way are replaced, never followed, and so is whatever stands where something else must go. */
  readonly replaces?: boolean;
}

const setGid = 0o2000; // a directory has it from the one it was made in
const noXattrs: ReadonlyMap<string, Buffer> = new Map();

/** Paths are below the root, `.` is the root itself. */
export class CopyTarget {
  readonly draft: TreeDraft;
  readonly replaces: boolean;
  readonly #instruction: string;
  readonly #dated: { readonly path: ByteString; readonly seconds: number }[] = [];

  constructor(draft: TreeDraft, { instruction, replaces = false }: CopyTargetOptions) {
    this.draft = draft;
    this.replaces = replaces;
    this.#instruction = instruction;
  }

  /**
   * Where `destination` (absolute) leads; missing components stay as they are. @throws ERR_UNSAFE_PATH for a loop of links, ERR_ROOTFS for
   * what no command could be in
   */
  follow(destination: ByteString): ByteString {
    // By its spelling first, then by the links on its way, as BuildKit does.
    const path = clampPath(destination);
    checkLength(path, 'make');
    return this.replaces ? path : resolveInTree(this.draft.tree, path, 'follow').path;
  }

  isDirectory(path: ByteString): boolean {
    return this.draft.tree.isDirectory(this.draft.tree.at(path));
  }

  /** Makes `path` and its parents where missing. @throws BuilderError where something that is no directory is in the way */
  makeDirectories(path: ByteString, attributes: NewDirectory): void {
    const names = namesOf(path);
    for (let depth = 1; depth <= names.length; depth += 1) {
      const each = pathOfNames(names.slice(0, depth));
      const node = this.draft.tree.at(each);
      if (this.draft.tree.isDirectory(node)) continue;
      if (node !== undefined && !this.replaces)
        throw this.#error(`Cannot make directory '/${textFromBytes(path)}': '/${textFromBytes(each)}' is not a directory`);
      this.makeDirectory(each, attributes);
    }
  }

  /** Makes one directory, in place of whatever else is there. */
  makeDirectory(path: ByteString, { mode, owner, mtimeSeconds }: NewDirectory): void {
    const { tree, now } = this.draft;
    const above = tree.at(splitPath(path).parent);
    const parent = above === undefined ? undefined : tree.node(above);
    // What a linked layer replaces it can't inherit from.
    const isInherited = !this.replaces && parent !== undefined && (parent.mode & setGid) !== 0;
    const made = owner ?? { uid: 0, gid: isInherited ? parent.gid : 0 };
    const bits = mode | (isInherited ? setGid : 0);
    this.draft.put(path, { type: 'directory', mode: bits, ...made, size: 0, mtime: now, xattrs: noXattrs });
    if (mtimeSeconds !== undefined) this.#dated.push({ path, seconds: mtimeSeconds });
  }

  /** Puts a file, or anything but a directory, where `makeWayForFile` or the caller made sure that it may be. */
  put(path: ByteString, node: TreeNode, source?: ContentSource): void {
    this.draft.put(path, node, source);
  }

  /** Gives what is there other metadata. */
  update(path: ByteString, metadata: Metadata): void {
    this.draft.update(path, metadata);
  }

  /** @throws BuilderError where a directory stands there (and may not be replaced) */
  makeWayForFile(path: ByteString, source: string): void {
    if (path !== rootPath && (this.replaces || !this.isDirectory(path))) return;
    throw this.#error(`Cannot copy '${source}' to '/${textFromBytes(path)}': a directory is there, and a file can't replace it`);
  }

  /** Gives made directories their time, at last: what is put into a directory changes it. */
  finish(): void {
    for (const { path, seconds } of this.#dated) this.draft.setTime(path, { seconds, nanoseconds: 0 });
    this.#dated.length = 0;
  }

  #error(message: string): BuilderError {
    return new BuilderError('ERR_ROOTFS', `${message} (${this.#instruction})`);
  }
}

/** The directory in which a file called `name` is to be put, as text of a Dockerfile has it. */
export function absoluteIn(workingDir: string, path: string): ByteString {
  return bytesFromText(path.startsWith('/') ? path : `${workingDir}/${path}`);
}
