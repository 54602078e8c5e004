// A layer's entries onto a tree, by the rules of image-spec layer.md: what `rootfs/unpack.ts` does to a disk, without one.
import type { ByteString } from '../bytes.ts';
import { textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Entry } from '../layer/entry.ts';
import { whiteoutOf } from '../layer/whiteout.ts';
import { type ImageTree, rootNode } from './image-tree.ts';
import type { TreeNode } from './node.ts';
import { clampPath, splitPath } from '../paths.ts';
import { resolveInTree } from './resolve.ts';

const noXattrs: ReadonlyMap<string, Buffer> = new Map();

/** Applies one layer, entry by entry, then `finish`. The order within a layer doesn't matter: its whiteouts spare its own entries. */
export class LayerApplication {
  readonly #tree: ImageTree;
  readonly #layer: number;
  readonly #fresh = new Set<number>();
  readonly #pendingLinks: Entry[] = [];
  #entries = 0;

  /** `layer` is the layer's number in its image, for the places of contents. */
  constructor(tree: ImageTree, layer: number) {
    this.#tree = tree;
    this.#layer = layer;
  }

  /** @throws ERR_LAYER for an entry that makes no sense */
  apply(entry: Entry): void {
    const number = this.#entries++;
    const path = clampPath(entry.path);
    if (path.includes('.wh.')) {
      const whiteout = whiteoutOf(path);
      if (whiteout?.kind === 'removes') return this.#hide(whiteout.path);
      if (whiteout?.kind === 'opaque') return this.#hideChildren(whiteout.directory);
      // A whiteout that is a directory in its archive: what is in it hides nothing more.
      if (path.split('/').some((name) => name.startsWith('.wh.'))) return;
    }
    if (path === '.' && entry.type !== 'directory') throw malformed(path, `would make the root a ${entry.type}`);
    if (entry.type === 'hardlink') {
      if (!this.#link(entry)) this.#pendingLinks.push(entry);
      return;
    }
    const place = entry.type === 'file' ? { layer: this.#layer, entry: number } : undefined;
    this.#fresh.add(this.#tree.put(this.#placeOf(path), nodeOf(entry), place));
  }

  /** Links whose targets came late. @throws ERR_LAYER for a link to nothing */
  finish(): void {
    for (const entry of this.#pendingLinks) {
      if (!this.#link(entry))
        throw malformed(entry.path, `is a hard link to ${show(entry.linkTarget ?? entry.path)}, which does not exist`);
    }
  }

  #link(entry: Entry): boolean {
    const place = this.#placeOf(clampPath(entry.path));
    const target = resolveInTree(this.#tree, clampPath(entry.linkTarget ?? entry.path), 'keep');
    if (target.node === undefined) return false;
    if (this.#tree.isDirectory(target.node)) throw malformed(place, `is a hard link to the directory ${show(target.path)}`);
    if (target.path === place) throw malformed(place, 'is a hard link to itself');
    if (this.#tree.at(place) !== target.node) {
      this.#tree.remove(place);
      this.#tree.link(place, target.node);
    }
    // As engines do where the two headers disagree.
    const { uid, gid, mode } = this.#tree.node(target.node);
    if (uid !== entry.uid || gid !== entry.gid || mode !== entry.mode) this.#tree.update(target.node, entry);
    this.#fresh.add(target.node);
    return true;
  }

  // Where an entry goes: its parent with links followed, made where it is missing or no directory.
  #placeOf(path: ByteString): ByteString {
    if (path === '.') return path;
    const { parent, name } = splitPath(path);
    const found = resolveInTree(this.#tree, parent, 'follow');
    if (!this.#tree.isDirectory(found.node)) this.#makeDirectories(found.path);
    return (found.path === '.' ? name : `${found.path}/${name}`) as ByteString; // bytes joined
  }

  #makeDirectories(path: ByteString): void {
    const mtime = { seconds: 0, nanoseconds: 0 };
    for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
      const part = (end === -1 ? path : path.slice(0, end)) as ByteString; // a part of bytes
      if (!this.#tree.isDirectory(this.#tree.at(part))) {
        this.#fresh.add(this.#tree.put(part, { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtime, xattrs: noXattrs }));
      }
      if (end === -1) return;
    }
  }

  #hide(path: ByteString): void {
    const { parent, name } = splitPath(path);
    const found = resolveInTree(this.#tree, parent, 'follow');
    const node = found.node === undefined ? undefined : this.#tree.child(found.node, name);
    if (node === undefined) return;
    this.#removeOld((found.path === '.' ? name : `${found.path}/${name}`) as ByteString, node); // bytes joined
  }

  #hideChildren(directory: ByteString): void {
    const { path, node } = directory === '.' ? { path: directory, node: rootNode } : resolveInTree(this.#tree, directory, 'follow');
    if (node === undefined || !this.#tree.isDirectory(node)) return;
    for (const name of this.#tree.names(node)) {
      const child = this.#tree.child(node, name);
      if (child !== undefined) this.#removeOld((path === '.' ? name : `${path}/${name}`) as ByteString, child); // bytes joined
    }
  }

  // What this very layer brought stays, and so do the directories above it.
  #removeOld(path: ByteString, node: number): boolean {
    let isEmpty = true;
    if (this.#tree.isDirectory(node)) {
      for (const name of this.#tree.names(node)) {
        const child = this.#tree.child(node, name);
        if (child !== undefined && !this.#removeOld(`${path}/${name}` as ByteString, child)) isEmpty = false; // bytes joined
      }
    }
    if (!isEmpty || this.#fresh.has(node)) return false;
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

function show(path: ByteString): string {
  return JSON.stringify(textFromBytes(path));
}
