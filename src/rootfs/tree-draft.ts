// What an instruction that knows its files makes of an image's tree, and the entries of the layer that says so. Nothing is on disk
// or in a layer yet: contents are read from where they come from when the layer is written.
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { FileView, OpenContent } from '../files/file-view.ts';
import type { LocalEntry, Metadata, Timestamp } from '../layer/entry.ts';
import { mustBeStorable, whiteoutEntry } from '../layer/whiteout.ts';
import { comparePaths, rootPath, splitPath } from '../paths.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import type { TreeNode } from '../tree/node.ts';
import type { TreeFile } from './tree-view.ts';

/** Where a new file's content comes from. */
export interface ContentSource {
  readonly open: () => OpenContent;
  /** The view and the path in it, where there is one: many are read in one go. */
  readonly files?: Pick<FileView, 'gather'>;
  readonly path?: ByteString;
}

/** One path of the layer. */
export type DraftEntry =
  | { readonly kind: 'gone'; readonly path: ByteString }
  | { readonly kind: 'link'; readonly path: ByteString; readonly first: ByteString; readonly node: number }
  | { readonly kind: 'file'; readonly path: ByteString; readonly node: number; readonly source: ContentSource | undefined };

export class TreeDraft {
  readonly tree: ImageTree;
  readonly now: Timestamp;
  readonly #touched = new Set<ByteString>();
  readonly #own = new Set<ByteString>();
  readonly #sources = new Map<number, ContentSource>();
  /** All that is no longer what it was before, with everything below. */
  readonly #removed = new Set<ByteString>();
  readonly #stored: ((file: TreeFile) => ContentSource) | undefined;

  /** `now` is the time that directories get when something is put into them or taken out; `stored` opens files of before. */
  constructor(tree: ImageTree, now: Timestamp, stored?: (file: TreeFile) => ContentSource) {
    this.tree = tree;
    this.now = now;
    this.#stored = stored;
  }

  /** Makes `node` what is at `path`, as `ImageTree.put`. @throws ERR_LAYER for a name that a layer can't hold */
  put(path: ByteString, node: TreeNode, source?: ContentSource): void {
    mustBeStorable(path);
    const stays = node.type === 'directory' && this.tree.isDirectory(this.tree.at(path));
    if (!stays) {
      this.remove(path);
      this.#own.add(path);
    }
    const number = this.tree.put(path, node);
    if (source !== undefined) this.#sources.set(number, source);
    this.touch(path);
  }

  /** Makes `path` another name of the file at `existing`. */
  link(path: ByteString, existing: ByteString): void {
    mustBeStorable(path);
    const node = this.tree.at(existing);
    if (node === undefined) throw new BuilderError('ERR_INTERNAL', `Cannot link ${textFromBytes(path)}: its target is gone`);
    if (this.tree.at(path) === node) return;
    if (!this.#own.has(existing)) this.#takeUp(existing, node);
    this.remove(path);
    this.tree.link(path, node);
    this.#own.add(path);
    this.touch(path);
  }

  /** True for what was put here where nothing of its kind was. */
  makes(path: ByteString): boolean {
    return this.#own.has(path);
  }

  /** Takes away what is at `path`, if anything. */
  remove(path: ByteString): void {
    const node = this.tree.at(path);
    if (node === undefined) return;
    for (const each of [path, ...Array.from(this.tree.walk(path), ([below]) => below)]) if (!this.#own.has(each)) this.#removed.add(each);
    this.tree.remove(path);
    this.touch(path);
  }

  /** Gives what is at `path` other metadata. */
  update(path: ByteString, metadata: Metadata): void {
    const node = this.tree.at(path);
    if (node === undefined) return;
    this.tree.update(node, metadata);
    this.#touched.add(path);
  }

  setTime(path: ByteString, time: Timestamp): void {
    const node = this.tree.at(path);
    if (node !== undefined) this.tree.setTime(node, time);
  }

  /** Notes that `path` was made, changed or removed, which changes its directory's time too. */
  touch(path: ByteString): void {
    this.#touched.add(path);
    if (path === rootPath) return;
    const { parent } = splitPath(path);
    this.setTime(parent, this.now);
    this.#touched.add(parent);
  }

  /** The layer, in walk order, whiteouts first, without the paths that it leaves out. The root itself is never in it. */
  entries(leavesOut: (path: ByteString) => boolean = () => false): readonly DraftEntry[] {
    const firsts = new Map<number, ByteString>();
    const gone = [...this.#whiteouts()].filter((path) => !leavesOut(path)).sort(comparePaths);
    const entries: DraftEntry[] = gone.map((path) => ({ kind: 'gone', path }));
    for (const path of [...this.#touched].filter((each) => !leavesOut(each)).sort(comparePaths)) {
      const node = path === rootPath ? undefined : this.tree.at(path);
      if (node === undefined) continue;
      const first = this.tree.links(node) > 1 ? firsts.get(node) : undefined;
      if (first !== undefined) entries.push({ kind: 'link', path, first, node });
      else {
        entries.push({ kind: 'file', path, node, source: this.#sources.get(node) });
        firsts.set(node, path);
      }
    }
    return entries;
  }

  // A layer has no links to files of the layers below it: a file of before that gets another name goes into it with all its names.
  #takeUp(path: ByteString, node: number): void {
    const place = this.tree.content(node);
    if (place !== undefined && this.#stored !== undefined) {
      const { size, mtime } = this.tree.node(node);
      this.#sources.set(node, this.#stored({ ...place, path, size, mtime }));
    }
    for (const [each, number] of this.tree.walk()) if (number === node) this.#touched.add(each);
  }

  // What stood in something that went away, or is no directory any more, went with it.
  *#whiteouts(): Generator<ByteString> {
    for (const path of this.#removed) {
      const isGone = this.tree.at(path) === undefined;
      if (isGone && this.tree.isDirectory(this.tree.at(splitPath(path).parent))) yield path;
    }
  }
}

/**
 * The entries of a drafted layer with their contents, which are valid until the next entry is asked for. Sizes of files that changed
 * since they were drafted are put right in the tree.
 * @throws what the sources throw
 */
export async function readDraft(tree: ImageTree, entries: readonly DraftEntry[], signal: AbortSignal): Promise<Iterable<LocalEntry>> {
  await gatherSources(entries, signal);
  return readGathered(tree, entries, signal);
}

function* readGathered(tree: ImageTree, entries: readonly DraftEntry[], signal: AbortSignal): Generator<LocalEntry> {
  for (const each of entries) {
    signal.throwIfAborted();
    if (each.kind === 'gone') {
      yield whiteoutEntry(each.path);
      continue;
    }
    const node = tree.node(each.node);
    const { path } = each;
    if (each.kind === 'link') yield { ...node, type: 'hardlink', path, size: 0, linkTarget: each.first };
    else if (node.type !== 'file') yield { ...node, path };
    else yield* fileEntry(tree, each, node);
  }
}

function* fileEntry(tree: ImageTree, each: Extract<DraftEntry, { kind: 'file' }>, node: TreeNode): Generator<LocalEntry> {
  const { path, source } = each;
  if (source === undefined) throw new BuilderError('ERR_INTERNAL', `Cannot write ${textFromBytes(path)}: it has no content`);
  const { size, chunks, close } = source.open();
  try {
    if (size !== node.size) tree.setSize(each.node, size);
    yield { ...node, path, size, content: chunks };
  } finally {
    close();
  }
}

async function gatherSources(entries: readonly DraftEntry[], signal: AbortSignal): Promise<void> {
  const wanted = new Map<Pick<FileView, 'gather'>, ByteString[]>();
  for (const each of entries) {
    if (each.kind !== 'file' || each.source?.files === undefined || each.source.path === undefined) continue;
    const paths = wanted.get(each.source.files);
    if (paths === undefined) wanted.set(each.source.files, [each.source.path]);
    else paths.push(each.source.path);
  }
  for (const [files, paths] of wanted) await files.gather(paths, signal);
}
