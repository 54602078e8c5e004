// What an image is at one moment of a build: names, and the files that they are names of, without content. This is the truth
// that COPY, ADD and WORKDIR look things up in; the disk is only where RUN sees it. Numbers stand in columns (150,000 files in
// some 20 MB), and a file that has several names is one node.
import type { ByteString } from '../bytes.ts';
import { type Metadata } from '../layer/entry.ts';
import { type ContentPlace, type NodeType, type TreeNode, nodeTypeOf, typeBits } from './node.ts';

const noXattrs: ReadonlyMap<string, Buffer> = new Map();
const nowhere = -1;
/** The number of the root's node. */
export const rootNode = 0;

/** What few nodes have. */
type Extra = Pick<TreeNode, 'linkTarget' | 'device' | 'xattrs'>;

/** Paths are clean, below the root, and lead through directories only; `.` is the root. See `resolve.ts` for others. */
export class ImageTree {
  #mode = new Uint32Array(256);
  #uid = new Uint32Array(256);
  #gid = new Uint32Array(256);
  #size = new Float64Array(256);
  #seconds = new Float64Array(256);
  #nanoseconds = new Uint32Array(256);
  #layer = new Int32Array(256);
  #entry = new Uint32Array(256);
  #links = new Uint32Array(256);
  #count = 0;
  #names = 0;
  #extras = new Map<number, Extra>();
  #children: (Map<ByteString, number> | undefined)[] = [];

  /** A root that belongs to 0:0 with mode 0755, and nothing in it. */
  constructor() {
    const mtime = { seconds: 0, nanoseconds: 0 };
    this.#add({ type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtime, xattrs: noXattrs });
  }

  /** How many names there are, the root's not counted. */
  get size(): number {
    return this.#names;
  }

  /** The node at exactly this path; symbolic links are not followed. */
  at(path: ByteString): number | undefined {
    if (path === '.') return rootNode;
    let node: number | undefined = rootNode;
    for (let start = 0; node !== undefined && start <= path.length;) {
      const slash = path.indexOf('/', start);
      const end = slash === -1 ? path.length : slash;
      node = this.#children[node]?.get(path.slice(start, end) as ByteString); // a part of bytes
      start = end + 1;
    }
    return node;
  }

  child(directory: number, name: ByteString): number | undefined {
    return this.#children[directory]?.get(name);
  }

  type(node: number): NodeType {
    return nodeTypeOf(this.#mode[node] ?? 0);
  }

  isDirectory(node: number | undefined): boolean {
    return node !== undefined && this.#children[node] !== undefined;
  }

  /** A symbolic link's target; undefined for everything else. */
  linkTarget(node: number): ByteString | undefined {
    return this.#extras.get(node)?.linkTarget;
  }

  /** How many names a file has. */
  links(node: number): number {
    return this.#links[node] ?? 0;
  }

  node(node: number): TreeNode {
    const { linkTarget, device, xattrs = noXattrs } = this.#extras.get(node) ?? {};
    const mode = this.#mode[node] ?? 0;
    return {
      type: nodeTypeOf(mode),
      mode: mode & 0o7777,
      uid: this.#uid[node] ?? 0,
      gid: this.#gid[node] ?? 0,
      size: this.#size[node] ?? 0,
      mtime: { seconds: this.#seconds[node] ?? 0, nanoseconds: this.#nanoseconds[node] ?? 0 },
      xattrs,
      ...(linkTarget === undefined ? {} : { linkTarget }),
      ...(device === undefined ? {} : { device }),
    };
  }

  /** Where a file's content is; undefined for what has none, and for a file that is in no layer yet. */
  content(node: number): ContentPlace | undefined {
    const layer = this.#layer[node] ?? nowhere;
    return layer === nowhere ? undefined : { layer, entry: this.#entry[node] ?? 0 };
  }

  /** Says where a file's content is from now on. */
  setContent(node: number, place: ContentPlace): void {
    this.#layer[node] = place.layer;
    this.#entry[node] = place.entry;
  }

  /** The names in a directory, sorted by byte. */
  names(directory: number): ByteString[] {
    return [...(this.#children[directory]?.keys() ?? [])].sort();
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
    this.#mode[node] = ((this.#mode[node] ?? 0) & 0o170000) | (metadata.mode & 0o7777);
    this.#setMetadata(node, metadata);
    this.#setExtra(node, { ...this.#extras.get(node), xattrs: metadata.xattrs });
  }

  setSize(node: number, size: number): void {
    this.#size[node] = size;
  }

  setTime(node: number, { seconds, nanoseconds }: TreeNode['mtime']): void {
    this.#seconds[node] = seconds;
    this.#nanoseconds[node] = nanoseconds;
  }

  /** Takes a name away, with everything below it; absence is fine. */
  remove(path: ByteString): void {
    const slash = path.lastIndexOf('/');
    const parent = slash === -1 ? rootNode : this.at(path.slice(0, slash) as ByteString); // a part of bytes
    const name = path.slice(slash + 1) as ByteString; // a part of bytes
    const siblings = parent === undefined ? undefined : this.#children[parent];
    const node = siblings?.get(name);
    if (node === undefined) return;
    siblings?.delete(name);
    this.#forget(node);
  }

  /** Every name below a directory (the root if not given) in walk order: a directory right before what is in it. */
  *walk(top: ByteString = '.' as ByteString): Generator<readonly [path: ByteString, node: number]> {
    const start = this.at(top);
    if (start === undefined) return;
    const pending: { readonly path: ByteString; readonly node: number }[] = [];
    const push = (directory: number, prefix: string): void => {
      const children = this.#children[directory];
      if (children === undefined || children.size === 0) return;
      const sorted = [...children].sort(([a], [b]) => (a < b ? 1 : -1));
      for (const [name, node] of sorted) pending.push({ path: `${prefix}${name}` as ByteString, node }); // bytes joined
    };
    push(start, top === '.' ? '' : `${top}/`);
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      yield [next.path, next.node];
      push(next.node, `${next.path}/`);
    }
  }

  /** A tree of its own that is the same now. */
  clone(): ImageTree {
    const copy = new ImageTree();
    copy.#mode = this.#mode.slice();
    copy.#uid = this.#uid.slice();
    copy.#gid = this.#gid.slice();
    copy.#size = this.#size.slice();
    copy.#seconds = this.#seconds.slice();
    copy.#nanoseconds = this.#nanoseconds.slice();
    copy.#layer = this.#layer.slice();
    copy.#entry = this.#entry.slice();
    copy.#links = this.#links.slice();
    copy.#count = this.#count;
    copy.#names = this.#names;
    copy.#extras = new Map(this.#extras);
    copy.#children = this.#children.map((children) => (children === undefined ? undefined : new Map(children)));
    return copy;
  }

  #name(path: ByteString, node: number): void {
    const slash = path.lastIndexOf('/');
    const parent = slash === -1 ? rootNode : this.at(path.slice(0, slash) as ByteString); // a part of bytes
    const siblings = parent === undefined ? undefined : this.#children[parent];
    if (siblings === undefined) throw new Error(`put() below what is no directory: ${path}`);
    siblings.set(path.slice(slash + 1) as ByteString, node); // a part of bytes
    this.#links[node] = (this.#links[node] ?? 0) + 1;
    this.#names++;
  }

  #forget(node: number): void {
    this.#names--;
    this.#links[node] = (this.#links[node] ?? 1) - 1;
    const children = this.#children[node];
    if (children === undefined) return;
    this.#children[node] = undefined;
    for (const child of children.values()) this.#forget(child);
  }

  #replace(node: number, value: TreeNode): number {
    this.#mode[node] = typeBits.directory | (value.mode & 0o7777);
    this.#setMetadata(node, value);
    this.#setExtra(node, value);
    return node;
  }

  #add(value: TreeNode, place?: ContentPlace): number {
    const node = this.#count++;
    if (node >= this.#mode.length) this.#grow();
    this.#mode[node] = typeBits[value.type] | (value.mode & 0o7777);
    this.#size[node] = value.size;
    this.#layer[node] = place?.layer ?? nowhere;
    this.#entry[node] = place?.entry ?? 0;
    this.#links[node] = 0;
    this.#setMetadata(node, value);
    this.#setExtra(node, value);
    this.#children[node] = value.type === 'directory' ? new Map() : undefined;
    return node;
  }

  #setMetadata(node: number, { uid, gid, mtime }: Metadata): void {
    this.#uid[node] = uid;
    this.#gid[node] = gid;
    this.setTime(node, mtime);
  }

  #setExtra(node: number, { linkTarget, device, xattrs }: Extra): void {
    if (linkTarget === undefined && device === undefined && xattrs.size === 0) this.#extras.delete(node);
    else
      this.#extras.set(node, {
        xattrs,
        ...(linkTarget === undefined ? {} : { linkTarget }),
        ...(device === undefined ? {} : { device }),
      });
  }

  #grow(): void {
    const length = this.#mode.length * 2;
    this.#mode = grown(this.#mode, new Uint32Array(length));
    this.#uid = grown(this.#uid, new Uint32Array(length));
    this.#gid = grown(this.#gid, new Uint32Array(length));
    this.#size = grown(this.#size, new Float64Array(length));
    this.#seconds = grown(this.#seconds, new Float64Array(length));
    this.#nanoseconds = grown(this.#nanoseconds, new Uint32Array(length));
    this.#layer = grown(this.#layer, new Int32Array(length));
    this.#entry = grown(this.#entry, new Uint32Array(length));
    this.#links = grown(this.#links, new Uint32Array(length));
  }
}

function grown<Column extends Uint32Array | Int32Array | Float64Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}
