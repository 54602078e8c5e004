// A large file that is written in one go: seen when it is whole, or a stream that is written to as it is.
import { write } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BuilderError, ifCode, systemCode } from '../errors.ts';
import { given } from '../given.ts';
import { writeBeside } from './blob-file.ts';

/** Stands for the stream that is open, whatever it is: a path to it may not be openable. */
export const standardOutput = '/dev/stdout';

/** The descriptors that paths like that stand for. */
export const standardStreams: ReadonlyMap<string, number> = new Map(
  [1, 2].flatMap((fd) =>
    [...(fd === 1 ? [standardOutput] : ['/dev/stderr']), `/dev/fd/${fd}`, `/proc/self/fd/${fd}`].map((path) => [path, fd]),
  ),
);

/**
 * Writes the chunks to a file, a pipe or a device, or to `standardOutput`. Each has to stay as it is until the next is asked for.
 * @throws ERR_LAYER when that can't be written
 */
export async function writeWholeFile(path: string, chunks: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> {
  const stream = standardStreams.get(path);
  if (stream !== undefined) return await writeToStream(stream, chunks, signal);
  if (await isSpecial(path)) {
    // A pipe or a terminal can't be replaced, only written to.
    await using file = await open(path, 'w');
    return await file.writeFile(chunks, { signal });
  }
  await writeBeside(path, async (file) => await file.writeFile(chunks, { signal }));
}

const writeSome = promisify(write);
const pauseMs = 5;

/** Behind what was written there before. @throws ERR_LAYER when it takes no more */
export async function writeToStream(stream: number, chunks: AsyncIterable<Buffer> | Iterable<Buffer>, signal?: AbortSignal): Promise<void> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      signal?.throwIfAborted();
      try {
        at += (await writeSome(stream, chunk, at, chunk.length - at, null)).bytesWritten;
      } catch (error) {
        const code = systemCode(error);
        // A pipe that somebody made non-blocking is full, as that of a container may be: wait for its reader. Node's streams give up.
        if (code === 'EAGAIN') await sleep(pauseMs, undefined, given({ signal }));
        else if (code !== 'EINTR')
          throw new BuilderError('ERR_LAYER', `Cannot write to standard ${stream === 1 ? 'output' : 'error'}: ${code ?? ''}`, {
            cause: error,
          });
      }
    }
  }
}

async function isSpecial(path: string): Promise<boolean> {
  const found = await lstat(path).catch(ifCode(['ENOENT']));
  if (found?.isDirectory() === true) throw new BuilderError('ERR_LAYER', `Cannot write ${path}: it is a directory`);
  return found?.isFile() === false;
}
