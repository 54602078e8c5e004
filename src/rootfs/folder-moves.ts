// A COPY of folders of a stage that nobody reads again: where a RUN then wants them on the disk, they are renamed to their places from
// where that stage was set aside, instead of being made once more from the layer.
import type { ByteString } from '../bytes.ts';
import type { FileView } from '../files/file-view.ts';
import type { Root } from '../files/root.ts';
import type { Digest } from '../oci/digest.ts';
import { isWithin } from '../paths.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import { moveFoldersIn } from './set-aside.ts';
import { type DraftEntry, type TreeDraft, readDraft } from './tree-draft.ts';
import { unpackLayer } from './unpack.ts';
import type { UnpackReport } from './unpack-report.ts';

/** A layer, some of whose folders are somewhere on the disk with all that is in them. */
interface Moves {
  /** Where in the root each goes, and the absolute path of where it is. */
  readonly folders: ReadonlyMap<ByteString, ByteString>;
  /** All other entries. */
  readonly rest: readonly DraftEntry[];
}

/** What of layers can be moved into the root. */
export class FolderMoves {
  readonly #moves = new Map<Digest, Moves>();

  /** Says what a layer was made of, which stays as it is until `clear`. `entries` are in walk order, whiteouts first. */
  note(diffId: Digest, entries: readonly DraftEntry[], draft: TreeDraft): void {
    const moves = findMoves(entries, draft);
    if (moves !== undefined) this.#moves.set(diffId, moves);
  }

  has(diffId: Digest): boolean {
    return this.#moves.has(diffId);
  }

  /** Puts the layer on the disk and gives the number of entries that had to be made. Undefined where it can't be done, or only in part. */
  async moveIn(root: Root, diffId: Digest, tree: ImageTree, report: UnpackReport, signal: AbortSignal): Promise<number | undefined> {
    const moves = this.#moves.get(diffId);
    if (moves === undefined) return undefined;
    this.#moves.delete(diffId);
    try {
      const made = await unpackLayer(root, await readDraft(tree, moves.rest, signal), report, signal);
      return moveFoldersIn(root, moves.folders) ? made : undefined;
    } catch {
      // Another layer may have taken what this one was made of; where it is something else, the layer meets it, too.
      signal.throwIfAborted();
      return undefined;
    }
  }

  /** Forgets all, as files may have changed. */
  clear(): void {
    this.#moves.clear();
  }
}

/** How many entries there may be to each one of `rest`; with fewer it is not worth it. */
const leastShare = 4;

/** What of a drafted layer can be moved; undefined where that is nothing, or little. */
function findMoves(entries: readonly DraftEntry[], draft: TreeDraft): Moves | undefined {
  const files = entries.find(hasContent)?.source.files;
  if (!isSpare(files)) return undefined;
  const folders = new Map<ByteString, ByteString>();
  const rest: DraftEntry[] = [];
  for (let at = 0; at < entries.length;) {
    const below = entriesWithin(entries, at);
    const [top] = below;
    if (top === undefined) break;
    const place = below.length > 1 && draft.makes(top.path) ? placeOf(below, draft.tree, files) : undefined;
    if (place !== undefined) folders.set(top.path, place);
    else if (hasContent(top) && top.source.files !== files) return undefined;
    else rest.push(top);
    at += place === undefined ? 1 : below.length;
  }
  return folders.size === 0 || rest.length * leastShare > entries.length ? undefined : { folders, rest };
}

type Files = NonNullable<Extract<DraftEntry, { kind: 'file' }>['source']>['files'];
type SpareFiles = FileView & Required<Pick<FileView, 'spare'>>;
type WithContent = Extract<DraftEntry, { kind: 'file' }> & { readonly source: { readonly files?: Files; readonly path?: ByteString } };

function hasContent(each: DraftEntry): each is WithContent {
  return each.kind === 'file' && each.source !== undefined;
}

function isSpare(files: Files | undefined): files is SpareFiles {
  return files !== undefined && 'spare' in files && files.spare !== undefined;
}

function entriesWithin(entries: readonly DraftEntry[], at: number): readonly DraftEntry[] {
  const top = entries[at];
  let end = at + 1;
  if (top?.kind === 'file') while (isWithin(entries[end]?.path ?? top.path, top.path) && end < entries.length) end++;
  return entries.slice(at, end);
}

/** Where a folder is that looks, with all that is in it, as these entries say, and holds what they hold. */
function placeOf(folder: readonly DraftEntry[], tree: ImageTree, files: SpareFiles): ByteString | undefined {
  const top = folder[0]?.path ?? '';
  const first = folder.find(hasContent);
  const tail = first?.path.slice(top.length) ?? '';
  const path = first?.source.path;
  if (path === undefined || !path.endsWith(tail) || path.length === tail.length) return undefined;
  const from = path.slice(0, path.length - tail.length);
  const place = files.spare(from as ByteString); // a part of bytes
  if (place === undefined) return undefined;
  let names = 0;
  for (const each of folder) {
    const source = `${from}${each.path.slice(top.length)}` as ByteString; // bytes joined
    if (!isCopy(each, source, tree, files)) return undefined;
    if (tree.isDirectory(tree.at(each.path))) names += files.names(source).length;
  }
  return names === folder.length - 1 ? place : undefined;
}

function isCopy(each: DraftEntry, source: ByteString, tree: ImageTree, files: SpareFiles): boolean {
  const was = files.stat(source);
  if (each.kind !== 'file' || was === undefined) return false;
  const is = tree.node(each.node);
  const isSame = is.type === was.type && is.mode === was.mode && is.uid === was.uid && is.gid === was.gid && is.size === was.size;
  const isSameTime = is.mtime.seconds === was.mtime.seconds && is.mtime.nanoseconds === was.mtime.nanoseconds;
  // A copy has no other names, and a copied symbolic link is never another name of one.
  const isAlone = tree.links(each.node) === 1 && was.links === 1;
  if (!isSame || !isSameTime || !isAlone || (is.xattrs.size > 0 && is.xattrs !== files.xattrs(source))) return false;
  if (is.type === 'file') return hasContent(each) && each.source.path === source && each.source.files === files;
  return is.type === 'directory' || (is.type === 'symlink' && is.linkTarget === files.linkTarget(source));
}
