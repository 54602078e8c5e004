// One new thing at an absolute path. What is there is never touched: it fails with EEXIST, and no symbolic link in the last name
// is followed. RED: the parent must come from resolve.ts.
import { closeSync, constants, mkdirSync, open, openSync, symlinkSync, writeSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Entry } from '../layer/entry.ts';
import { makeNode } from '../linux/files.ts';
import { type RefuseXattr, applyMetadata, applyToFile } from './metadata.ts';

const newFileFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const nodeTypes = { character: 0o020000, block: 0o060000, fifo: 0o010000 } as const;

/**
 * Makes anything but a hard link. A file's content is only asked for once the file exists. A directory's time is set too, and won't
 * last once something is put into it. @throws SystemError: EPERM where device nodes may not be made
 */
export async function createEntry(path: ByteString, entry: Entry, refuse: RefuseXattr): Promise<void> {
  const { type } = entry;
  switch (type) {
    case 'file':
      return await createFile(path, entry, refuse);
    case 'directory':
      mkdirSync(fsPath(path), 0o700);
      break;
    case 'symlink':
      symlinkSync(fsPath(entry.linkTarget ?? impossible(path, 'it has no target')), fsPath(path));
      break;
    case 'fifo':
    case 'character':
    case 'block':
      makeNode(path, nodeTypes[type] | 0o600, entry.device?.major, entry.device?.minor);
      break;
    case 'hardlink':
      return impossible(path, 'hard links are made elsewhere');
    default:
      return type satisfies never;
  }
  applyMetadata(path, entry, type === 'symlink', refuse);
}

/** A regular file with content that is at hand: it is opened in libuv's pool, while the caller goes on. @throws SystemError */
export async function createFileAhead(path: ByteString, entry: Entry, content: Buffer, refuse: RefuseXattr): Promise<void> {
  const opened = Promise.withResolvers<number>();
  open(fsPath(path), newFileFlags, 0o600, (error, fd) => (error === null ? opened.resolve(fd) : opened.reject(error)));
  const fd = await opened.promise;
  try {
    writeWhole(fd, content);
    applyToFile(fd, path, entry, refuse);
  } finally {
    closeSync(fd);
  }
}

async function createFile(path: ByteString, entry: Entry, refuse: RefuseXattr): Promise<void> {
  const fd = openSync(fsPath(path), newFileFlags, 0o600);
  try {
    if (entry.size > 0 && entry.content !== undefined) {
      for await (const chunk of entry.content) writeWhole(fd, chunk);
    }
    applyToFile(fd, path, entry, refuse);
  } finally {
    closeSync(fd);
  }
}

function writeWhole(fd: number, chunk: Buffer): void {
  for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
}

function impossible(path: ByteString, reason: string): never {
  throw new BuilderError('ERR_INTERNAL', `Cannot make ${JSON.stringify(path)}: ${reason}`);
}
