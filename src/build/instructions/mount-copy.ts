// Copies a tree as it is onto the disk: what a mount shows.
import { type ByteString, joinBytes } from '../../bytes.ts';
import type { SourceTree } from '../../context/tree.ts';
import { walkSelection } from '../../context/walk.ts';
import { BuilderError } from '../../errors.ts';
import { createDirectory, createFile, createHardlink, createNode, createSymlink } from '../../files/create.ts';
import type { FileStat } from '../../files/file-view.ts';
import type { Entry, Timestamp } from '../../layer/entry.ts';
import { setTimes } from '../../linux/files.ts';

interface Item {
  readonly path: ByteString;
  readonly to: ByteString;
  readonly stat: FileStat;
}

/**
 * Copies the file or folder at `source` of `tree` to `target` on disk, where nothing is: owners as the tree has them, modes, times,
 * links, attributes; ignored and hidden files left out, sockets too.
 * @throws SystemError, what reading throws, and the signal's reason
 */
export async function copyTree(tree: SourceTree, source: ByteString, target: ByteString, signal: AbortSignal): Promise<void> {
  const { files } = tree;
  const stat = files.stat(source);
  if (stat === undefined) throw new BuilderError('ERR_CONTEXT', `Cannot copy ${source} of ${tree.label}: it went away`);
  const items: Item[] = [{ path: source, to: target, stat }];
  for (const item of walkSelection(tree, { path: source, stat })) items.push({ ...item, to: joinBytes(target, item.relative) });
  await files.gather(
    items.flatMap((item) => (item.stat.type === 'file' ? [item.path] : [])),
    signal,
  );
  const links = new Map<string, ByteString>();
  for (const item of items) {
    signal.throwIfAborted();
    if (item.stat.type !== 'directory') tree.noteRead?.(item.path);
    await copyItem(tree, item, links);
  }
  // Whatever was put into a folder changed its time.
  for (const item of items.toReversed()) {
    if (item.stat.type === 'directory') setTimes(item.to, item.stat.mtime.seconds, item.stat.mtime.nanoseconds);
  }
}

async function copyItem({ files, keepsOwners }: SourceTree, { path, to, stat }: Item, links: Map<string, ByteString>): Promise<void> {
  const { type } = stat;
  if (type === 'socket') return;
  const first = type === 'directory' || stat.links < 2 ? undefined : links.get(stat.identity);
  if (first !== undefined) return createHardlink(to, first);
  links.set(stat.identity, to);
  const owner = keepsOwners ? {} : { uid: 0, gid: 0 };
  const entry: Entry = { ...stat, ...owner, type, path, xattrs: files.xattrs(path) };
  if (type === 'directory') return createDirectory(to, entry, refuse);
  if (type === 'symlink') return createSymlink(to, { ...entry, linkTarget: files.linkTarget(path) }, refuse);
  if (type !== 'file') return createNode(to, entry, type, refuse);
  const { size, chunks, close } = files.open(path);
  try {
    await createFile(to, { ...entry, size, content: chunks }, refuse);
  } finally {
    close();
  }
}

// An attribute that can't be set where the source has it can't matter to a command that only reads here.
function refuse(): void {
  // nothing to tell
}

/** A time in nanoseconds since 1970, as seconds and the rest. */
export function timestampOf(ns: bigint): Timestamp {
  const nanoseconds = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((ns - nanoseconds) / 1_000_000_000n), nanoseconds: Number(nanoseconds) };
}
