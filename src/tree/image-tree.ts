// What an image is at one moment of a build: names, and the files that they are names of, without content. This is the truth
// that COPY, ADD and WORKDIR look things up in; the disk is only where RUN sees it. A file takes some 60 bytes (see `Rows` and
// `DirectoryNames`), and one that has several names is one node.
import { rootPath } from '../paths.ts';
import { BuilderError } from '../errors.ts';
import type { ByteString } from '../bytes.ts';
import { type Metadata } from '../layer/entry.ts';
import { DirectoryNames } from './directory-names.ts';
import { type ContentPlace, type NodeType, type TreeNode, nodeTypeOf, typeBits } from './node.ts';
import { Rows } from './rows.ts';

const noXattrs: ReadonlyMap<string, Buffer> = new Map();
const nowhere = -1;
/** The number of the root's node. */
export const rootNode = 0;

/** The numbers of a node. */
const Field = { mode: 0, uid: 1, gid: 2, size: 3, seconds: 4, nanoseconds: 5, layer: 6, entry: 7, links: 8 } as const;
const fieldCount = 9;
const ownFields = [Field.size, Field.seconds, Field.nanoseconds, Field.entry];

/** A node's attributes and target of so many bytes are as good as free: no more than its row and name. */
const freeExtraBytes = 1024;
/** Of all nodes together, ever: strangers' archives may have megabytes of attributes for each of their files. */
const extraLimitBytes = 64 * 1024 * 1024;

/** What few nodes have. */
type Extra = Pick<TreeNode, 'linkTarget' | 'device' | 'xattrs'>;

/** A directory on the way of a walk. */
interface Frame {
  readonly prefix: string;
  readonly rows: readonly number[];
  next: number;
}

/** Paths are clean, below the root, and lead through directories only; `.` is the root. See `resolve.ts` for others. */
export class ImageTree {
  #rows = new Rows(fieldCount, ownFields);
  #children = new DirectoryNames();
  #names = 0;
  #extras = new Map<number, Extra>();
  #extraBytes = 0;

  /** A root that belongs to 0:0 with mode 0755, and nothing in it. */
  constructor() {
    const mtime = { seconds: 0, nanoseconds: 0 };
    this.#add({ type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtime, xattrs: noXattrs });
  }

  /** How many names there are, the root's not counted. */
  get size(): number {
    return this.#names;
  }

  /** How many nodes there ever were: the number that the next one gets. */
  get nodes(): number {
    return this.#rows.count;
  }

  /** The node at exactly this path; symbolic links are not followed. */
  at(path: ByteString): number | undefined {
    if (path === '.') return rootNode;
    let node: number | undefined = rootNode;
    for (let start = 0; node !== undefined && start <= path.length;) {
      const slash = path.indexOf('/', start);
      const end = slash === -1 ? path.length : slash;
      node = this.#children.get(node, path, start, end);
      start = end + 1;
    }
    return node;
  }

  child(directory: number, name: ByteString): number | undefined {
    return this.#children.get(directory, name);
  }

  type(node: number): NodeType {
    return nodeTypeOf(this.#rows.get(node, Field.mode));
  }

  isDirectory(node: number | undefined): boolean {
    return node !== undefined && this.#children.isDirectory(node);
  }

  /** A symbolic link's target; undefined for everything else. */
  linkTarget(node: number): ByteString | undefined {
    return this.#extras.get(node)?.linkTarget;
  }

  /** How many names a file has. */
  links(node: number): number {
    return this.#rows.get(node, Field.links);
  }

  node(node: number): TreeNode {
    const { linkTarget, device, xattrs = noXattrs } = this.#extras.get(node) ?? {};
    const rows = this.#rows;
    const mode = rows.get(node, Field.mode);
    return {
      type: nodeTypeOf(mode),
      mode: mode & 0o7777,
      uid: rows.get(node, Field.uid),
      gid: rows.get(node, Field.gid),
      size: rows.get(node, Field.size),
      mtime: { seconds: rows.get(node, Field.seconds), nanoseconds: rows.get(node, Field.nanoseconds) },
      xattrs,
      ...(linkTarget === undefined ? {} : { linkTarget }),
      ...(device === undefined ? {} : { device }),
    };
  }

  /** Where a file's content is; undefined for what has none, and for a file that is in no layer yet. */
  content(node: number): ContentPlace | undefined {
    const layer = this.#rows.get(node, Field.layer);
    return layer === nowhere ? undefined : { layer, entry: this.#rows.get(node, Field.entry) };
  }

  /** Says where a file's content is from now on. */
  setContent(node: number, place: ContentPlace): void {
    this.#rows.set(node, Field.layer, place.layer);
    this.#rows.set(node, Field.entry, place.entry);
  }

  /** The names in a directory, sorted by byte. */
  names(directory: number): ByteString[] {
    return this.#children.sorted(directory).map((row) => this.#children.nameOf(row));
  }

  /**
   * Makes `node` what is at `path`, whose parent must be a directory. A directory that was there keeps what is in it if the new
   * one is a directory too; everything else goes, and other names of a file that was there stay with the old one.
   */
  put(path: ByteString, node: TreeNode, place?: ContentPlace): number {
    if (path === '.') return this.#replace(rootNode, node);
    const existing = this.at(path);
    if (existing !== undefined && node.type === 'directory' && this.isDirectory(existing)) return this.#replace(existing, node);
    if (existing !== undefined) this.remove(path);
    const added = this.#add(node, place);
    this.#name(path, added);
    return added;
  }

  /** Makes `path`, where nothing may be, another name of a file. */
  link(path: ByteString, node: number): void {
    this.#name(path, node);
  }

  /** Gives a node other metadata; its type, content and what is in it stay. */
  update(node: number, metadata: Metadata): void {
    this.#setMetadata(node, this.#rows.get(node, Field.mode) & 0o170000, metadata);
    this.#setExtra(node, { ...this.#extras.get(node), xattrs: metadata.xattrs });
  }

  setSize(node: number, size: number): void {
    this.#rows.set(node, Field.size, size);
  }

  setTime(node: number, { seconds, nanoseconds }: TreeNode['mtime']): void {
    this.#rows.set(node, Field.seconds, seconds);
    this.#rows.set(node, Field.nanoseconds, nanoseconds);
  }

  /** Takes a name away, with everything below it; absence is fine. */
  remove(path: ByteString): void {
    const slash = path.lastIndexOf('/');
    const parent = slash === -1 ? rootNode : this.at(path.slice(0, slash) as ByteString); // a part of bytes
    const node = parent === undefined ? undefined : this.#children.get(parent, path, slash + 1);
    if (parent === undefined || node === undefined) return;
    this.#children.delete(parent, path, slash + 1);
    this.#forget(node);
  }

  /** Every name below a directory (the root if not given) in walk order: a directory right before what is in it. */
  *walk(top = rootPath): Generator<readonly [path: ByteString, node: number]> {
    const start = this.at(top);
    if (start === undefined) return;
    const names = this.#children;
    const enter = (directory: number, prefix: string): Frame => ({ prefix, rows: names.sorted(directory), next: 0 });
    const frames = [enter(start, top === '.' ? '' : `${top}/`)];
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      const row = frame.rows[frame.next++];
      if (row === undefined) {
        frames.pop();
        continue;
      }
      const path = `${frame.prefix}${names.nameOf(row)}` as ByteString; // bytes joined
      const node = names.nodeOf(row);
      yield [path, node];
      if (names.isDirectory(node)) frames.push(enter(node, `${path}/`));
    }
  }

  /** A tree of its own that is the same now. */
  clone(): ImageTree {
    const copy = new ImageTree();
    copy.#rows = this.#rows.clone();
    copy.#children = this.#children.clone();
    copy.#names = this.#names;
    copy.#extras = new Map(this.#extras);
    copy.#extraBytes = this.#extraBytes;
    return copy;
  }

  #name(path: ByteString, node: number): void {
    const slash = path.lastIndexOf('/');
    const parent = slash === -1 ? rootNode : this.at(path.slice(0, slash) as ByteString); // a part of bytes
    if (!this.isDirectory(parent) || parent === undefined) throw new Error(`put() below what is no directory: ${path}`);
    this.#children.set(parent, path, slash + 1, node);
    this.#addLinks(node, 1);
    this.#names++;
  }

  #forget(node: number): void {
    this.#names--;
    this.#addLinks(node, -1);
    if (!this.isDirectory(node)) return;
    const rows = this.#children.rows(node);
    this.#children.drop(node);
    for (const row of rows) this.#forget(this.#children.nodeOf(row));
  }

  #addLinks(node: number, count: number): void {
    this.#rows.set(node, Field.links, this.links(node) + count);
  }

  #replace(node: number, value: TreeNode): number {
    this.#setMetadata(node, typeBits.directory, value);
    this.#setExtra(node, value);
    return node;
  }

  #add({ type, mode, uid, gid, size, mtime, ...extra }: TreeNode, place?: ContentPlace): number {
    const { layer, entry } = place ?? { layer: nowhere, entry: 0 };
    const bits = typeBits[type] | (mode & 0o7777);
    const node = this.#rows.add([bits, uid, gid, size, mtime.seconds, mtime.nanoseconds, layer, entry, 0]);
    if (type === 'directory') this.#children.make(node);
    this.#setExtra(node, extra);
    return node;
  }

  #setMetadata(node: number, type: number, { mode, uid, gid, mtime }: Metadata): void {
    this.#rows.set(node, Field.mode, type | (mode & 0o7777));
    this.#rows.set(node, Field.uid, uid);
    this.#rows.set(node, Field.gid, gid);
    this.setTime(node, mtime);
  }

  #setExtra(node: number, { linkTarget, device, xattrs }: Extra): void {
    if (linkTarget === undefined && device === undefined && xattrs.size === 0) {
      this.#extras.delete(node);
      return;
    }
    // What is given again was counted.
    if (this.#extras.get(node)?.xattrs !== xattrs) this.#count(xattrs, linkTarget?.length ?? 0);
    this.#extras.set(node, {
      xattrs,
      ...(linkTarget === undefined ? {} : { linkTarget }),
      ...(device === undefined ? {} : { device }),
    });
  }

  #count(xattrs: Metadata['xattrs'], targetBytes: number): void {
    let bytes = targetBytes;
    for (const [name, value] of xattrs) bytes += name.length + value.length;
    this.#extraBytes += Math.max(0, bytes - freeExtraBytes);
    if (this.#extraBytes <= extraLimitBytes) return;
    const state = `its files have more than ${extraLimitBytes / 1024 ** 2} MiB of extended attributes and link targets`;
    throw new BuilderError('ERR_LAYER', `Cannot hold an image's tree: ${state}`);
  }
}
