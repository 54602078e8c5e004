// What is in no layer (--ignore-path). A folder that is only there for it, or only has another time because of it, is in none either.
import { type ByteString, textFromBytes } from '../bytes.ts';
import type { Emit } from '../events.ts';
import { splitPath } from '../paths.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import type { ChangeList } from './change-list.ts';
import { type Tree, type TreeEntry, typeOfMode } from './scanned-tree.ts';
import type { DraftEntry, TreeDraft } from './tree-draft.ts';

/** Paths below the root, as the image has them. */
export interface LeftOut {
  /** True for such a path and all below it. */
  readonly covers: (path: ByteString) => boolean;
  /** True for the folder of such a path. */
  readonly isAbove: (path: ByteString) => boolean;
}

/** What a RUN changed but for what is left out. */
export function changesBut(leftOut: LeftOut | undefined, changes: ChangeList, before: Tree): ChangeList {
  if (leftOut === undefined) return changes;
  const kept = changes.filter(({ path }) => !leftOut.covers(path));
  const folders = new Set<ByteString>();
  for (const { kind, path } of kept) if (kind !== 'modified') folders.add(splitPath(path).parent);
  return kept.filter((change) => {
    const { path, kind } = change;
    if (kind !== 'modified' || folders.has(path) || typeOfMode(change.entry.mode) !== 'directory' || !leftOut.isAbove(path)) return true;
    return hasOtherMode(change.entry, before.get(path));
  });
}

/** What was drafted but for what is left out, of which the first is told. `before` is what the draft began with, where it did. */
export function draftBut(leftOut: LeftOut | undefined, draft: TreeDraft, before: ImageTree | undefined, emit: Emit): readonly DraftEntry[] {
  const above = new Set<ByteString>();
  let first: ByteString | undefined;
  const entries = draft.entries((path) => {
    if (leftOut?.covers(path) !== true) return false;
    first ??= path;
    addParents(above, path);
    return true;
  });
  if (first === undefined) return entries;
  const message = `/${textFromBytes(first)} is left out of the image (--ignore-path, --ignore-var-run)`;
  emit({ kind: 'warning', code: 'ignored-path', message });
  const needed = new Set<ByteString>();
  for (const { kind, path } of entries) if (kind === 'gone') addParents(needed, path);
  const isBare = (entry: DraftEntry): boolean => {
    if (entry.kind !== 'file' || !above.has(entry.path) || needed.has(entry.path)) return false;
    const [is, number] = [draft.tree.node(entry.node), before?.at(entry.path)];
    const was = number === undefined ? is : (before?.node(number) ?? is);
    return is.type === 'directory' && is.mode === was.mode && is.uid === was.uid && is.gid === was.gid;
  };
  // From the end: what is in a folder comes behind it.
  const kept = entries.toReversed().filter((entry) => {
    if (isBare(entry)) return false;
    addParents(needed, entry.path);
    return true;
  });
  return kept.toReversed();
}

/** True where a RUN gave a directory another owner or mode, or made it. */
export function hasOtherMode(entry: TreeEntry, was: TreeEntry | undefined): boolean {
  return was === undefined || was.mode !== entry.mode || was.uid !== entry.uid || was.gid !== entry.gid;
}

function addParents(paths: Set<ByteString>, path: ByteString): void {
  for (let { parent } = splitPath(path); parent !== '.' && !paths.has(parent); { parent } = splitPath(parent)) paths.add(parent);
}
