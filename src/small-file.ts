// Files that are read and written as a whole, and so have to be small.
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What a file holds. @throws SystemError; RangeError where it has more than `limitBytes`: `inWords` says both as a person reads them */
export function readSmallFileSync(path: string | Buffer, limitBytes: number): Buffer {
  if (statSync(path).size > limitBytes) throw tooLarge(limitBytes);
  return checked(readFileSync(path), limitBytes);
}

/** The same for what may be a pipe, whose writer is waited for. */
export async function readSmallFile(path: string | Buffer, limitBytes: number): Promise<Buffer> {
  if ((await stat(path)).size > limitBytes) throw tooLarge(limitBytes);
  return checked(await readFile(path), limitBytes);
}

/** Puts a file in its place in one step, never through what a RUN planted there or beside it. @throws SystemError */
export function replaceSmallFileSync(path: string, content: string | Buffer, mode: number): void {
  const temporary = join(dirname(path), `.${basename(path)}.yadokari`);
  rmSync(temporary, { recursive: true, force: true });
  writeFileSync(temporary, content, { mode, flag: 'wx' }); // O_EXCL
  renameSync(temporary, path);
}

/** A pipe's size is known when all of it was read. */
function checked(bytes: Buffer, limitBytes: number): Buffer {
  if (bytes.length > limitBytes) throw tooLarge(limitBytes);
  return bytes;
}

function tooLarge(limitBytes: number): RangeError {
  return new RangeError(`it has more than ${limitBytes} bytes`);
}
