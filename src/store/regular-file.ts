// Files that should be regular ones, in folders that others may have filled.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { BuilderError, systemCode, systemReason } from '../errors.ts';

/** Makes an error of why a file can't be read. */
export type Failure = (state: string, cause?: unknown) => BuilderError;

/**
 * Opens a regular file to read it; a FIFO or a device must not make us wait or feed us.
 * @throws what `failed` makes
 */
export async function openRegular(path: string, failed: Failure): Promise<FileHandle> {
  return await openWith(path, 0, failed, failed);
}

/**
 * The same where a link could lead anywhere on this machine.
 * @throws what `failed` makes; ERR_UNSAFE_PATH for a link and for all that is no regular file
 */
export async function openOwnRegular(path: string, failed: Failure): Promise<FileHandle> {
  const unsafe: Failure = (state) => new BuilderError('ERR_UNSAFE_PATH', `Cannot read ${path}: ${state}`);
  return await openWith(path, constants.O_NOFOLLOW, failed, unsafe);
}

/** What is said of a link that is not followed. */
export function linked(path: string, cause?: unknown): BuilderError {
  return new BuilderError('ERR_UNSAFE_PATH', `Cannot read ${path}: it is a symbolic link`, { cause });
}

async function openWith(path: string, flags: number, failed: Failure, unsafe: Failure): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | flags);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ELOOP' && flags !== 0) throw linked(path, error);
    throw failed(code === 'ENOENT' ? 'there is no such file' : systemReason(error), error);
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw unsafe('it is not a regular file');
}

/** True where `chunks`, which are verified, can be read to their end; false where they are missing or others. @throws ERR_UNSAFE_PATH */
export async function canBeRead(chunks: AsyncIterable<Buffer>, signal: AbortSignal): Promise<boolean> {
  try {
    for await (const chunk of chunks) void chunk;
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof BuilderError && error.code !== 'ERR_UNSAFE_PATH') return false;
    throw error;
  }
}
