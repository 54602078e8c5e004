// Copies a tree as it is onto the disk: what a mount shows.
import type { ByteString } from '../../bytes.ts';
import type { SourceTree } from '../../context/tree.ts';
import { type WalkItem, walkSelection } from '../../context/walk.ts';
import { BuilderError } from '../../errors.ts';
import { EntryWriter } from '../../files/entry-writer.ts';
import { plainRoot } from '../../files/root.ts';
import type { Entry, Timestamp } from '../../layer/entry.ts';
import { pathBelow, rootPath, splitPath } from '../../paths.ts';

/**
 * Copies the file or folder at `source` of `tree` to `target` on disk, where nothing is: owners as the tree has them, modes, times,
 * links, attributes; ignored and hidden files left out, sockets too, and devices where none may be made.
 * @throws ERR_ROOTFS, what reading throws, and the signal's reason
 */
export async function copyTree(tree: SourceTree, source: ByteString, target: ByteString, signal: AbortSignal): Promise<void> {
  const { parent, name } = splitPath(target);
  // What can't be made or set can't matter to a command that only reads here.
  const refuse = (): void => undefined;
  const writer = new EntryWriter(plainRoot(parent), { kind: 'new', keepsOwners: true, refuseXattr: refuse, refuseDevice: refuse });
  await writer.writeAll(treeEntries(tree, source, name, signal), signal);
}

/** The file or folder at `source`, as `top`, and all that is below it. */
export async function* treeEntries(tree: SourceTree, source: ByteString, top: ByteString, signal: AbortSignal): AsyncGenerator<Entry> {
  const { files } = tree;
  const stat = files.stat(source);
  if (stat === undefined) throw new BuilderError('ERR_CONTEXT', `Cannot copy ${source} of ${tree.label}: it went away`);
  const items: WalkItem[] = [{ path: source, relative: rootPath, stat }, ...walkSelection(tree, { path: source, stat })];
  await files.gather(
    items.flatMap((item) => (item.stat.type === 'file' ? [item.path] : [])),
    signal,
  );
  const firsts = new Map<string, ByteString>();
  for (const item of items) {
    signal.throwIfAborted();
    if (item.stat.type !== 'directory') tree.noteRead?.(item.path);
    const opened = openItem(tree, item, pathBelow(top, item.relative), firsts);
    if (opened === undefined) continue;
    try {
      yield opened.entry;
    } finally {
      opened.close?.();
    }
  }
}

// Undefined for a socket. What is opened has to be closed.
function openItem(
  { files, keepsOwners }: SourceTree,
  { path, stat }: WalkItem,
  to: ByteString,
  firsts: Map<string, ByteString>,
): { readonly entry: Entry; readonly close?: () => void } | undefined {
  const { type } = stat;
  if (type === 'socket') return undefined;
  // BuildKit makes the folder of a context itself: one that only its owner may enter is no less readable to a USER.
  const sent = { uid: 0, gid: 0, ...(path === rootPath ? { mode: 0o755 } : {}) };
  const entry = { ...stat, ...(keepsOwners ? {} : sent), type, path: to, xattrs: files.xattrs(path) };
  if (type === 'directory') return { entry };
  const first = stat.links < 2 ? undefined : firsts.get(stat.identity);
  if (first !== undefined) return { entry: { ...entry, type: 'hardlink', size: 0, linkTarget: first } };
  firsts.set(stat.identity, to);
  if (type === 'symlink') return { entry: { ...entry, linkTarget: files.linkTarget(path) } };
  if (type !== 'file') return { entry };
  const { size, chunks, close } = files.open(path);
  return { entry: { ...entry, size, content: chunks }, close };
}

/** A time in nanoseconds since 1970, as seconds and the rest. */
export function timestampOf(ns: bigint): Timestamp {
  const nanoseconds = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((ns - nanoseconds) / 1_000_000_000n), nanoseconds: Number(nanoseconds) };
}
