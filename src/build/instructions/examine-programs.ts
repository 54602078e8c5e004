// Why a shell could not execute a program: it says "not found" of a script without its interpreter and of a program without its
// loader, and gives lines of rubbish for one that is for another machine. So the files that the command names are looked at.
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { posix } from 'node:path';
import { bytesFromText, fsPath, textFromBytes } from '../../bytes.ts';
import { absolutePath, resolvePath } from '../../files/resolve.ts';
import type { Root } from '../../files/root.ts';
import { interpreterOf, wrongMachine } from '../../linux/refusal.ts';

export interface ProgramPlaces {
  readonly root: Root;
  readonly cwd: string;
  /** As in the environment. */
  readonly path: string;
}

const mostWords = 100;
const headBytes = 4096;

/** The first of the command's programs that this machine can't execute, and why; undefined where all that are there look well. */
export function explainPrograms(command: string, places: ProgramPlaces): string | undefined {
  const words = command.split(/[\s;&|()<>"'`]+/).filter((word) => word !== '' && !/[$=*?[\]{}]|^-/.test(word));
  for (const word of words.slice(0, mostWords)) {
    const found = findProgram(word, places);
    const reason = found === undefined ? undefined : explain(found.head, places.root);
    if (found !== undefined && reason !== undefined) return `${found.path} ${reason}`;
  }
  return undefined;
}

function explain(head: Buffer, root: Root): string | undefined {
  const machine = wrongMachine(head);
  if (machine !== undefined) return `can't be executed: ${machine}`;
  const interpreter = interpreterOf(head);
  if (interpreter === undefined || !interpreter.path.startsWith('/')) return undefined;
  const { mode } = resolvePath(root, bytesFromText(interpreter.path), 'follow');
  return mode === undefined ? `needs ${interpreter.shown}, which is not in this image` : undefined;
}

function findProgram(word: string, { root, cwd, path }: ProgramPlaces): { readonly path: string; readonly head: Buffer } | undefined {
  const candidates = word.includes('/') ? [posix.resolve(cwd, word)] : path.split(':').map((folder) => posix.join('/', folder, word));
  for (const candidate of candidates) {
    const { path: found, mode } = resolvePath(root, bytesFromText(candidate), 'follow');
    if (mode === undefined || (mode & constants.S_IFMT) !== constants.S_IFREG || (mode & 0o111) === 0) continue;
    const head = readHead(fsPath(absolutePath(root, found)));
    return head === undefined ? undefined : { path: textFromBytes(bytesFromText(candidate)), head };
  }
  return undefined;
}

function readHead(path: string | Buffer): Buffer | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const head = Buffer.alloc(headBytes);
      return head.subarray(0, readSync(fd, head, 0, headBytes, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined; // then there is nothing more to say than the shell did
  }
}
