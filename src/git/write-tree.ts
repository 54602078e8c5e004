// A commit's tree, written into an empty folder. RED: names come from strangers. Nothing may be there twice, so no link can lead a
// name astray; no hooks, no filters, no attributes are ever run.
import { bytesFromBuffer, type ByteString, joinBytes, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { EntryWriter } from '../files/entry-writer.ts';
import { plainRoot } from '../files/root.ts';
import type { Entry, Timestamp } from '../layer/entry.ts';
import { type TreeItem, parseTree } from './objects.ts';
import type { Pack } from './pack.ts';

interface ListedItem {
  readonly kind: TreeItem['kind'];
  /** Below the folder, without leading slash. */
  readonly path: ByteString;
  readonly id: string;
}

/** A file, link or submodule of a checkout. */
export interface WrittenItem extends ListedItem {
  readonly kind: Exclude<TreeItem['kind'], 'directory'>;
}

export interface WriteTreeOptions {
  /** For messages. */
  readonly name: string;
  /** What everything's time is to be, in seconds; now where undefined. */
  readonly mtimeSeconds: number | undefined;
  readonly signal: AbortSignal;
}

const maxDepth = 512;
/** More than that many paths have to have objects of their own: trees that are in each other many times are few bytes and paths without end. */
const repeatedLimit = 200_000;
const pathsPerObject = 10;
const linkLimitBytes = 4095; // PATH_MAX

/**
 * Writes a tree; a submodule becomes an empty directory. Modes are 0644, 0755 for programs and directories, whatever the umask.
 * Gives all but directories, in git's order.
 * @throws ERR_UNSAFE_PATH for names that no checkout may have, ERR_CONTEXT for what is missing or doesn't fit on the disk
 */
export async function writeTree(pack: Pack, tree: string, folder: ByteString, options: WriteTreeOptions): Promise<readonly WrittenItem[]> {
  const { name, signal, mtimeSeconds = Date.now() / 1000 } = options;
  const seconds = Math.floor(mtimeSeconds);
  const mtime = { seconds, nanoseconds: Math.round((mtimeSeconds - seconds) * 1000) * 1_000_000 };
  const items: ListedItem[] = [];
  const limit = repeatedLimit + pathsPerObject * pack.size;
  for (const item of listTree(pack, tree, undefined, options)) {
    if (items.push(item) > limit) throw unsafe(options, item.path, `is one of more than ${limit} paths, of ${pack.size} objects`);
  }
  const entries = function* (): Generator<Entry> {
    for (const item of items) yield entryOf(pack, item, mtime, options);
  };
  const writer = new EntryWriter(plainRoot(folder), { kind: 'new', keepsOwners: false, refuseXattr: () => undefined });
  try {
    await writer.writeAll(entries(), signal);
  } catch (error) {
    if (!(error instanceof BuilderError) || !error.message.startsWith('entry ')) throw error;
    const code = error.code === 'ERR_UNSAFE_PATH' ? error.code : 'ERR_CONTEXT';
    throw new BuilderError(code, `Cannot check out ${name}: ${error.message}`, { cause: error });
  }
  return items.filter((item): item is WrittenItem => item.kind !== 'directory');
}

function* listTree(pack: Pack, id: string, above: ByteString | undefined, options: WriteTreeOptions, depth = 0): Generator<ListedItem> {
  if (depth > maxDepth) throw unsafe(options, above, `is deeper than ${maxDepth} directories`);
  const object = pack.read(id);
  const items = object.type === 'tree' ? parseTree(object.bytes) : undefined;
  if (items === undefined) throw new BuilderError('ERR_CONTEXT', `Cannot check out ${options.name}: ${id} is no directory`);
  for (const item of items) {
    options.signal.throwIfAborted();
    const path = above === undefined ? item.name : joinBytes(above, item.name);
    checkName(item.name, path, options);
    yield { kind: item.kind, path, id: item.id };
    if (item.kind === 'directory') yield* listTree(pack, item.id, path, options, depth + 1);
  }
}

function entryOf(pack: Pack, { kind, path, id }: ListedItem, mtime: Timestamp, options: WriteTreeOptions): Entry {
  const common = { path, mode: kind === 'file' ? 0o644 : 0o755, uid: 0, gid: 0, size: 0, mtime, xattrs: new Map<string, Buffer>() };
  if (kind === 'directory' || kind === 'submodule') return { ...common, type: 'directory' };
  if (kind === 'link') {
    const { bytes } = pack.read(id);
    if (bytes.length === 0 || bytes.length > linkLimitBytes || bytes.includes(0)) throw unsafe(options, path, 'is a link to nowhere');
    return { ...common, type: 'symlink', linkTarget: bytesFromBuffer(bytes) };
  }
  const { sizeBytes, content } = pack.blob(id);
  return { ...common, type: 'file', size: sizeBytes, content };
}

// git refuses `.git` in any spelling that some file system takes for it (CVE-2014-9390, CVE-2019-1352).
function checkName(name: ByteString, path: ByteString, options: WriteTreeOptions): void {
  const text = textFromBytes(name);
  const plain = text.replace(/[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g, '').toLowerCase();
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) throw unsafe(options, path, 'is no name');
  if (/^\.git[. ]*(?::.*)?$|^git~\d+$/.test(plain)) throw unsafe(options, path, "would be git's own folder");
  if (name.length > 255) throw unsafe(options, path, 'has a name that is too long');
}

function unsafe({ name }: WriteTreeOptions, path: ByteString | undefined, state: string): BuilderError {
  return new BuilderError(
    'ERR_UNSAFE_PATH',
    `Cannot check out ${name}: ${JSON.stringify(textFromBytes(path ?? bytesFromBuffer(Buffer.alloc(0))))} ${state}`,
  );
}
