// One function per entry type. Each makes something new at an absolute path and never touches what is there: they fail
// with EEXIST, and no symbolic link in the last name is followed. RED: the parent must come from resolve.ts.
import { closeSync, constants, linkSync, mkdirSync, open, openSync, symlinkSync, writeSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Entry, Metadata } from '../layer/entry.ts';
import { makeNode } from '../linux/files.ts';
import { type RefuseXattr, applyMetadata, applyToFile } from './metadata.ts';

const newFileFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const nodeTypes = { character: 0o020000, block: 0o060000, fifo: 0o010000 } as const;

/** A regular file with the entry's content, which is only asked for once the file exists. @throws SystemError */
export async function createFile(path: ByteString, entry: Entry, refuse: RefuseXattr): Promise<void> {
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

/** The same with content that is at hand: the file is opened in libuv's pool, while the caller goes on. @throws SystemError */
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

/** A directory. Its time is set too, and won't last once something is put into it. @throws SystemError */
export function createDirectory(path: ByteString, metadata: Metadata, refuse: RefuseXattr): void {
  mkdirSync(fsPath(path), 0o700);
  applyMetadata(path, metadata, false, refuse);
}

/** A symbolic link with exactly the entry's target. @throws SystemError */
export function createSymlink(path: ByteString, entry: Entry, refuse: RefuseXattr): void {
  symlinkSync(fsPath(entry.linkTarget ?? missingTarget(path)), fsPath(path));
  applyMetadata(path, entry, true, refuse);
}

/** Another name for the file at `existing`, which may be a symbolic link itself. @throws SystemError */
export function createHardlink(path: ByteString, existing: ByteString): void {
  linkSync(fsPath(existing), fsPath(path));
}

/** A device node or FIFO. @throws SystemError: EPERM where device nodes may not be made */
export function createNode(path: ByteString, entry: Entry, type: keyof typeof nodeTypes, refuse: RefuseXattr): void {
  makeNode(path, nodeTypes[type] | 0o600, entry.device?.major, entry.device?.minor);
  applyMetadata(path, entry, false, refuse);
}

function writeWhole(fd: number, chunk: Buffer): void {
  for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
}

function missingTarget(path: ByteString): never {
  throw new BuilderError('ERR_INTERNAL', `Cannot create link ${JSON.stringify(path)}: it has no target`);
}
