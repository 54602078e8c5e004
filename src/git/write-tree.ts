// A commit's tree, written into an empty folder. RED: names come from strangers. Nothing is written below anything but a
// directory that this very walk made, so no link can lead it astray; no hooks, no filters, no attributes are ever run.
import { chmodSync, closeSync, fchmodSync, lutimesSync, mkdirSync, openSync, symlinkSync, utimesSync, writeSync } from 'node:fs';
import { bytesFromBuffer, fsPath, joinBytes, textFromBytes } from '../bytes.ts';
import type { ByteString } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import { type TreeItem, parseTree } from './objects.ts';
import type { Pack } from './pack.ts';

/** A file, link or submodule of a checkout. */
export interface WrittenItem {
  readonly kind: Exclude<TreeItem['kind'], 'directory'>;
  /** Below the folder, without leading slash. */
  readonly path: ByteString;
  readonly id: string;
}

export interface WriteTreeOptions {
  /** For messages. */
  readonly name: string;
  /** What everything's time is to be, in seconds; left alone where undefined. */
  readonly mtimeSeconds: number | undefined;
  readonly signal: AbortSignal;
}

const maxDepth = 512;
const linkLimitBytes = 4095; // PATH_MAX

/**
 * Writes a tree; a submodule becomes an empty directory. Modes are 0644, 0755 for programs and directories, whatever the umask.
 * Gives all but directories, in git's order.
 * @throws ERR_UNSAFE_PATH for names that no checkout may have, ERR_CONTEXT for what is missing or doesn't fit on the disk
 */
export async function writeTree(pack: Pack, tree: string, folder: ByteString, options: WriteTreeOptions): Promise<readonly WrittenItem[]> {
  const written: WrittenItem[] = [];
  const walk = async (id: string, path: ByteString | undefined, depth: number): Promise<void> => {
    if (depth > maxDepth) throw unsafe(options, path, `is deeper than ${maxDepth} directories`);
    const object = pack.read(id);
    const items = object.type === 'tree' ? parseTree(object.bytes) : undefined;
    if (items === undefined) throw new BuilderError('ERR_CONTEXT', `Cannot check out ${options.name}: ${id} is no directory`);
    for (const item of items) {
      options.signal.throwIfAborted();
      const at = path === undefined ? item.name : joinBytes(path, item.name);
      checkName(item.name, at, options);
      const place = joinBytes(folder, at);
      try {
        if (item.kind === 'directory') {
          mkdirSync(fsPath(place), 0o755);
          await walk(item.id, at, depth + 1);
        } else {
          await writeItem(pack, item, place, options);
          written.push({ kind: item.kind, path: at, id: item.id });
        }
        finish(place, item.kind, options.mtimeSeconds);
      } catch (error) {
        if (systemCode(error) === 'EEXIST') throw unsafe(options, at, 'is there twice');
        if (systemCode(error) === undefined || error instanceof BuilderError) throw error;
        throw failed(options, at, systemCode(error) ?? '', error);
      }
    }
  };
  await walk(tree, undefined, 0);
  return written;
}

async function writeItem(pack: Pack, item: TreeItem, place: ByteString, options: WriteTreeOptions): Promise<void> {
  if (item.kind === 'submodule') {
    mkdirSync(fsPath(place), 0o755);
    return;
  }
  if (item.kind === 'link') {
    const { bytes } = pack.read(item.id);
    if (bytes.length === 0 || bytes.length > linkLimitBytes || bytes.includes(0)) throw unsafe(options, item.name, 'is a link to nowhere');
    return symlinkSync(fsPath(bytesFromBuffer(bytes)), fsPath(place));
  }
  const fd = openSync(fsPath(place), 'wx', 0o600);
  try {
    for await (const chunk of pack.blob(item.id).content) for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
    fchmodSync(fd, item.kind === 'program' ? 0o755 : 0o644);
  } finally {
    closeSync(fd);
  }
}

function finish(place: ByteString, kind: TreeItem['kind'], mtimeSeconds: number | undefined): void {
  if (kind === 'directory' || kind === 'submodule') chmodSync(fsPath(place), 0o755);
  if (mtimeSeconds === undefined) return;
  if (kind === 'link') lutimesSync(fsPath(place), mtimeSeconds, mtimeSeconds);
  else utimesSync(fsPath(place), mtimeSeconds, mtimeSeconds);
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

function failed({ name }: WriteTreeOptions, path: ByteString, code: string, cause: unknown): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot check out ${name}: '${textFromBytes(path)}' can not be written: ${code}`, { cause });
}
