// What COPY, ADD and bind mounts read, as parts of a key: what of each file gets into the image, and its content. Times of a checkout
// do not count, and neither do owners that the image will not have.
import { createHash } from 'node:crypto';
import { type ByteString, textFromBytes } from '../../bytes.ts';
import { type IgnoreRules, judge } from '../../context/ignore.ts';
import type { Selection } from '../../context/select.ts';
import type { SourceTree } from '../../context/tree.ts';
import { walkSelection } from '../../context/walk.ts';
import type { FileStat } from '../../files/file-view.ts';
import { type KeyPart, digestOfTexts } from './key.ts';

export interface SourceOptions {
  readonly excludes?: IgnoreRules;
  /** The instruction says whose the files will be. */
  readonly hasOwner: boolean;
  readonly signal: AbortSignal;
}

/** One part for each file that is read, in the order of reading. @throws SystemError, ERR_ROOTFS for a file that changes meanwhile */
export async function sourceParts(tree: SourceTree, selections: readonly Selection[], options: SourceOptions): Promise<KeyPart[]> {
  const parts: KeyPart[] = [];
  for (const selection of selections) {
    const isFolder = selection.stat.type === 'directory';
    if (!isFolder && options.excludes !== undefined && judge(options.excludes, textFromBytes(selection.name)).isIgnored) continue;
    const items = isFolder ? [...walkSelection(tree, selection, options.excludes)] : [{ ...selection, relative: selection.name }];
    const read = items.flatMap((item) => (item.stat.type === 'file' ? [item.path] : []));
    await tree.files.gather(read, options.signal);
    const names = new Map<string, ByteString>();
    // What an empty folder is copied to is made all the same.
    if (isFolder) parts.push({ name: `folder ${textFromBytes(selection.path)}`, value: '' });
    for (const { path, relative, stat } of items) {
      options.signal.throwIfAborted();
      const first = stat.links > 1 && stat.type === 'file' ? names.get(stat.identity) : undefined;
      if (first === undefined) names.set(stat.identity, relative);
      const content = stat.type === 'file' && first === undefined ? digestContent(tree, path) : '';
      const value = digestOfTexts([relative, ...describe(tree, path, stat, options.hasOwner), first ?? '', content]);
      parts.push({ name: `file ${textFromBytes(path)}`, value });
    }
  }
  return parts;
}

function describe(tree: SourceTree, path: ByteString, stat: FileStat, hasOwner: boolean): string[] {
  const owner = tree.keepsOwners && !hasOwner ? `${stat.uid}:${stat.gid}` : '';
  const device = stat.device === undefined ? '' : `${stat.device.major}:${stat.device.minor}`;
  const target = stat.type === 'symlink' ? tree.files.linkTarget(path) : '';
  // The mode of a link is always the same.
  const mode = stat.type === 'symlink' ? '' : stat.mode.toString(8);
  const xattrs = [...tree.files.xattrs(path)]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [name, value.toString('hex')]);
  return [stat.type, mode, owner, device, target, digestOfTexts(xattrs.flat())];
}

function digestContent(tree: SourceTree, path: ByteString): string {
  const { chunks, close } = tree.files.open(path);
  try {
    const hash = createHash('sha256');
    for (const chunk of chunks) hash.update(chunk);
    return hash.digest('hex');
  } finally {
    close();
  }
}
