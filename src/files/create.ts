// One new thing at an absolute path. What is there is never touched, and no symbolic link in the last name
// is followed. RED: the parent must come from resolve.ts.
import { closeSync, ftruncateSync, mkdirSync, rmdirSync, symlinkSync, unlinkSync, writeSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import type { Entry } from '../layer/entry.ts';
import { makeNode, openNewFile } from '../linux/files.ts';
import { errnoOf, systemError } from '../linux/libc.ts';
import { needRoom } from './entry-failure.ts';
import { type RefuseXattr, applyMetadata, applyToFile } from './metadata.ts';

const nodeTypes = { character: 0o020000, block: 0o060000, fifo: 0o010000 } as const;

/**
 * Makes anything but a hard link. A file's content is only asked for once the file exists. A directory's time is set too, and won't
 * last once something is put into it. What can't be made whole is taken away. @throws SystemError: EEXIST where something is, EPERM where
 * device nodes may not be made
 */
export async function createEntry(path: ByteString, entry: Entry, refuse: RefuseXattr): Promise<void> {
  if (!(await tryCreateEntry(path, entry, refuse))) throw systemError(errnoOf('EEXIST'), 'create', path);
}

/** The same; false where something is. */
export async function tryCreateEntry(path: ByteString, entry: Entry, refuse: RefuseXattr): Promise<boolean> {
  if (entry.type === 'file') return await createFile(path, entry, refuse);
  try {
    createOther(path, entry);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
  try {
    applyMetadata(path, entry, entry.type === 'symlink', refuse);
  } catch (error) {
    (entry.type === 'directory' ? rmdirSync : unlinkSync)(fsPath(path));
    throw error;
  }
  return true;
}

function createOther(path: ByteString, { type, linkTarget, device }: Entry): void {
  switch (type) {
    case 'directory':
      return mkdirSync(fsPath(path), 0o700);
    case 'symlink':
      return symlinkSync(fsPath(linkTarget ?? impossible(path, 'it has no target')), fsPath(path));
    case 'fifo':
    case 'character':
    case 'block':
      return makeNode(path, nodeTypes[type] | 0o600, device?.major, device?.minor);
    case 'file':
    case 'hardlink':
      return impossible(path, `a ${type} is made elsewhere`);
    default:
      return type satisfies never;
  }
}

async function createFile(path: ByteString, entry: Entry, refuse: RefuseXattr): Promise<boolean> {
  const fd = openNewFile(path);
  if (fd === undefined) return false;
  try {
    needRoom(entry, fsPath(path));
    const { content = [] } = entry;
    const writer = new ContentWriter(fd);
    if (Array.isArray(content)) for (const chunk of content) writer.add(chunk);
    else for await (const chunk of content) writer.add(chunk);
    writer.end();
    applyToFile(fd, path, entry, refuse);
  } catch (error) {
    unlinkSync(fsPath(path));
    throw error;
  } finally {
    closeSync(fd);
  }
  return true;
}

/**
 * Writes a new file. Pieces of nothing but zeros become holes: the image of a disk takes no more room here than where it was made,
 * and nobody who reads it can tell.
 */
class ContentWriter {
  readonly #fd: number;
  #end = 0;
  #endsInHole = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  add(chunk: Buffer): void {
    this.#endsInHole = isHole(chunk);
    const { length } = chunk;
    for (let done = this.#endsInHole ? length : 0; done < length;)
      done += writeSync(this.#fd, chunk, done, length - done, this.#end + done);
    this.#end += length;
  }

  end(): void {
    if (this.#endsInHole) ftruncateSync(this.#fd, this.#end);
  }
}

/** Of less a file system makes no hole. */
const leastHoleBytes = 4096;

// All of it is zeros where the first byte is, and each is like the one before.
function isHole(chunk: Buffer): boolean {
  const last = chunk.length - 1;
  return last >= leastHoleBytes - 1 && chunk[0] === 0 && chunk[last] === 0 && chunk.compare(chunk, 1, last + 1, 0, last) === 0;
}

function impossible(path: ByteString, reason: string): never {
  throw new BuilderError('ERR_INTERNAL', `Cannot make ${JSON.stringify(path)}: ${reason}`);
}
