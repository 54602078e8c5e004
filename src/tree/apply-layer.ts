// A layer's entries onto a tree, by the rules of image-spec layer.md: what `rootfs/unpack.ts` does to a disk, without one.
import type { ByteString } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Entry } from '../layer/entry.ts';
import { show } from '../layer/show.ts';
import { whiteoutOf } from '../layer/whiteout.ts';
import { type ImageTree, rootNode } from './image-tree.ts';
import type { TreeNode } from './node.ts';
import { childPath, clampPath, isWithin, longestPathBytes, splitPath } from '../paths.ts';
import { resolveInTree } from './resolve.ts';

const noXattrs: ReadonlyMap<string, Buffer> = new Map();
const setGid = 0o2000;

/** Applies one layer, entry by entry, then `finish`. The order within a layer doesn't matter: its whiteouts spare its own entries. */
export class LayerApplication {
  readonly #tree: ImageTree;
  readonly #layer: number;
  /** What this layer brought: new nodes but for folders that no entry names, directories of before, and names that it gave to files of before. */
  readonly #firstFresh: number;
  readonly #implied = new Set<number>();
  readonly #broughtAgain = new Set<number>();
  readonly #freshNames = new Set<ByteString>();
  readonly #pendingLinks: Entry[] = [];
  #entries = 0;

  /** `layer` is the layer's number in its image, for the places of contents. */
  constructor(tree: ImageTree, layer: number) {
    this.#tree = tree;
    this.#layer = layer;
    this.#firstFresh = tree.nodes;
  }

  /** @throws ERR_LAYER for an entry that makes no sense */
  apply(entry: Entry): void {
    const number = this.#entries++;
    const path = clampPath(entry.path);
    const whiteout = whiteoutOf(path);
    if (whiteout?.kind === 'removes') return this.#hide(whiteout.path);
    if (whiteout?.kind === 'opaque') return this.#hideChildren(whiteout.directory);
    if (whiteout !== undefined) return;
    if (path === '.' && entry.type !== 'directory') throw malformed(path, `would make the root a ${entry.type}`);
    if (entry.type === 'hardlink') {
      if (!this.#link(entry)) this.#pendingLinks.push(entry);
      return;
    }
    const place = entry.type === 'file' ? { layer: this.#layer, entry: number } : undefined;
    const node = this.#tree.put(this.#placeOf(path), nodeOf(entry), place);
    if (node < this.#firstFresh) this.#broughtAgain.add(node);
    else if (this.#implied.size > 0) this.#implied.delete(node);
  }

  /** Links whose targets came late. @throws ERR_LAYER for a link to nothing */
  finish(): void {
    for (const entry of this.#pendingLinks) {
      if (!this.#link(entry))
        throw malformed(entry.path, `is a hard link to ${show(entry.linkTarget ?? entry.path)}, which does not exist`);
    }
  }

  #isFresh(node: number): boolean {
    return node < this.#firstFresh ? this.#broughtAgain.has(node) : !this.#implied.has(node);
  }

  #link(entry: Entry): boolean {
    const place = this.#placeOf(clampPath(entry.path));
    const target = resolveInTree(this.#tree, clampPath(entry.linkTarget ?? entry.path), 'keep');
    if (target.node === undefined) return false;
    if (this.#tree.isDirectory(target.node)) throw malformed(place, `is a hard link to the directory ${show(target.path)}`);
    if (target.path === place) throw malformed(place, 'is a hard link to itself');
    if (isWithin(target.path, place)) throw malformed(place, `is a hard link to ${show(target.path)}, which it would replace`);
    if (this.#tree.at(place) !== target.node) {
      this.#tree.remove(place);
      this.#tree.link(place, target.node);
      this.#applyLinkMetadata(target.node, entry);
    }
    if (!this.#isFresh(target.node)) this.#freshNames.add(place);
    return true;
  }

  // As engines do where the two headers disagree; see `applyLinkMetadata` for a disk.
  #applyLinkMetadata(number: number, entry: Entry): void {
    const node = this.#tree.node(number);
    const mode = node.type === 'symlink' ? node.mode : entry.mode;
    if (node.uid === entry.uid && node.gid === entry.gid) {
      if (mode !== node.mode) this.#tree.update(number, { ...node, mode });
      return;
    }
    // A chown costs a file its capabilities.
    const kept = [...node.xattrs].filter(([name]) => name !== 'security.capability');
    this.#tree.update(number, { ...entry, mode, xattrs: new Map([...kept, ...entry.xattrs]) });
  }

  // Where an entry goes: its parent with links followed, made where it is missing or no directory.
  #placeOf(path: ByteString): ByteString {
    if (path === '.') return path;
    const { parent, name } = splitPath(path);
    const found = resolveInTree(this.#tree, parent, 'follow');
    if (!this.#tree.isDirectory(found.node)) this.#makeDirectories(found.path);
    return childPath(found.path, name);
  }

  // As mkdir(2) makes them: below a setgid directory of its group. A whiteout spares them for what is in them.
  #makeDirectories(path: ByteString): void {
    // A RUN may make a longer one, and then each folder has an entry.
    if (path.length > longestPathBytes) throw malformed(path, `lies in no folder, and Linux makes none of ${path.length} bytes at once`);
    const mtime = { seconds: 0, nanoseconds: 0 };
    let above = rootNode;
    for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
      const part = (end === -1 ? path : path.slice(0, end)) as ByteString; // a part of bytes
      let node = this.#tree.at(part);
      if (node === undefined || !this.#tree.isDirectory(node)) {
        const parent = this.#tree.node(above);
        const inherited = parent.mode & setGid;
        const owner = { uid: 0, gid: inherited === 0 ? 0 : parent.gid };
        node = this.#tree.put(part, { type: 'directory', mode: 0o755 | inherited, ...owner, size: 0, mtime, xattrs: noXattrs });
        this.#implied.add(node);
      }
      if (end === -1) return;
      above = node;
    }
  }

  #hide(path: ByteString): void {
    const { parent, name } = splitPath(path);
    const found = resolveInTree(this.#tree, parent, 'follow');
    const node = found.node === undefined ? undefined : this.#tree.child(found.node, name);
    if (node === undefined) return;
    this.#removeOld(childPath(found.path, name), node);
  }

  #hideChildren(directory: ByteString): void {
    const { path, node } = directory === '.' ? { path: directory, node: rootNode } : resolveInTree(this.#tree, directory, 'follow');
    if (node === undefined || !this.#tree.isDirectory(node)) return;
    for (const name of this.#tree.names(node)) {
      const child = this.#tree.child(node, name);
      if (child !== undefined) this.#removeOld(childPath(path, name), child);
    }
  }

  // What this very layer brought stays, and so do the directories above it.
  #removeOld(path: ByteString, node: number): boolean {
    let isEmpty = true;
    if (this.#tree.isDirectory(node)) {
      for (const name of this.#tree.names(node)) {
        const child = this.#tree.child(node, name);
        if (child !== undefined && !this.#removeOld(childPath(path, name), child)) isEmpty = false;
      }
    }
    if (!isEmpty || this.#isFresh(node) || this.#freshNames.has(path)) return false;
    this.#tree.remove(path);
    return true;
  }
}

function nodeOf(entry: Entry): TreeNode {
  const { type, mode, uid, gid, mtime, xattrs, size, linkTarget, device } = entry;
  if (type === 'hardlink') throw new BuilderError('ERR_INTERNAL', `Cannot place ${show(entry.path)}: hard links are made elsewhere`);
  const extra = { ...(linkTarget === undefined ? {} : { linkTarget }), ...(device === undefined ? {} : { device }) };
  return { type, mode, uid, gid, mtime, xattrs, size: type === 'file' ? size : 0, ...extra };
}

function malformed(path: ByteString, state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `entry ${show(path)} ${state}`);
}
