// What a container of an image would see: layers applied in order, whiteouts obeyed (image-spec layer.md). On the way
// it writes down everything that makes a layer unsound.
import type { TarMember } from './tar-reader.ts';

/** One inode; all names of a file share the same object. */
export interface FlatNode {
  readonly type: 'file' | 'symlink' | 'char' | 'block' | 'dir' | 'fifo';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly sha256: string;
  readonly target: string;
  readonly device: string;
  readonly xattrs: ReadonlyMap<string, string>;
}

export interface Flattened {
  /** Absolute path → inode. */
  readonly tree: ReadonlyMap<string, FlatNode>;
  readonly problems: readonly string[];
}

/** Applies the layers, lowest first. */
export function flatten(layers: readonly (readonly TarMember[])[]): Flattened {
  const tree = new Map<string, FlatNode>();
  const problems: string[] = [];
  for (const [index, members] of layers.entries()) {
    const problem = (text: string) => problems.push(`layer ${index + 1}: ${text}`);
    reportTwice(members, problem);
    // a whiteout hides what lies below this layer, wherever it stands in it: layer.md#whiteouts
    for (const member of members) applyWhiteout(tree, member, problem);
    for (const member of members) if (whiteoutOf(absolute(member.name)) === undefined) applyMember(tree, member, problem);
  }
  for (const path of tree.keys()) if (baseName(path).startsWith('.wh.')) problems.push(`${path} is left in the flattened tree`);
  return { tree, problems };
}

/** Path → all names of its file, for files with more than one; names sorted. */
export function hardLinks(tree: ReadonlyMap<string, FlatNode>): ReadonlyMap<string, readonly string[]> {
  const names = new Map<FlatNode, string[]>();
  for (const [path, node] of tree) if (node.type === 'file') names.set(node, [...(names.get(node) ?? []), path]);
  const linked = new Map<string, readonly string[]>();
  for (const paths of names.values()) if (paths.length > 1) for (const path of paths) linked.set(path, paths.toSorted());
  return linked;
}

type Report = (text: string) => void;

function reportTwice(members: readonly TarMember[], problem: Report): void {
  const seen = new Set<string>();
  for (const member of members) {
    const path = absolute(member.name);
    if (seen.has(path)) problem(`${path} is there twice`);
    seen.add(path);
  }
}

function applyWhiteout(tree: Map<string, FlatNode>, member: TarMember, problem: Report): void {
  const path = absolute(member.name);
  const hidden = whiteoutOf(path);
  if (hidden === undefined) return;
  if (member.type !== 'file' || member.size !== 0) problem(`whiteout ${path} is not an empty file`);
  if (hidden.opaque) removeBelow(tree, hidden.path);
  else if (!tree.has(hidden.path)) problem(`whiteout ${path} hides nothing`);
  else remove(tree, hidden.path);
}

function applyMember(tree: Map<string, FlatNode>, member: TarMember, problem: Report): void {
  const path = absolute(member.name);
  if (path.split('/').some((part) => part === '..')) problem(`${member.name} leaves the root`);
  impliedParents(tree, path, problem);
  const existing = tree.get(path);
  if (existing !== undefined && !(existing.type === 'dir' && member.type === 'dir')) remove(tree, path);
  if (member.type === 'hardlink') {
    const target = tree.get(absolute(member.linkname));
    if (target === undefined) problem(`${path} is a hard link to ${member.linkname}, which is not there`);
    else if (target.type === 'dir') problem(`${path} is a hard link to the directory ${member.linkname}`);
    else tree.set(path, target);
    return;
  }
  const { mode, uid, gid, size, mtime, device, xattrs } = member;
  const sha256 = member.type === 'file' ? member.sha256 : '';
  const target = member.type === 'symlink' ? member.linkname : '';
  tree.set(path, { type: member.type, mode, uid, gid, size, mtime, sha256, target, device, xattrs });
}

function impliedParents(tree: Map<string, FlatNode>, path: string, problem: Report): void {
  for (let parent = dirName(path); parent !== '/'; parent = dirName(parent)) {
    const node = tree.get(parent);
    if (node === undefined) tree.set(parent, impliedDirectory);
    else if (node.type !== 'dir') problem(`${path} stands below ${parent}, which is a ${node.type}`);
  }
}

// what engines make of a directory that no layer mentions
const impliedDirectory: FlatNode = {
  type: 'dir',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  sha256: '',
  target: '',
  device: '',
  xattrs: new Map(),
};

function whiteoutOf(path: string): { readonly path: string; readonly opaque: boolean } | undefined {
  const name = baseName(path);
  if (name === '.wh..wh..opq') return { path: dirName(path), opaque: true };
  if (!name.startsWith('.wh.') || name.startsWith('.wh..wh.')) return undefined;
  const parent = dirName(path);
  return { path: `${parent === '/' ? '' : parent}/${name.slice(4)}`, opaque: false };
}

function remove(tree: Map<string, FlatNode>, path: string): void {
  tree.delete(path);
  removeBelow(tree, path);
}

function removeBelow(tree: Map<string, FlatNode>, path: string): void {
  const prefix = path === '/' ? '/' : `${path}/`;
  for (const key of tree.keys()) if (key.startsWith(prefix) && key !== '/') tree.delete(key);
}

function absolute(name: string): string {
  return `/${name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
}

function dirName(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
