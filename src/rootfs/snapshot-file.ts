// What a root was like, kept in a file for a process that comes later. A line for each path, which a person can read: twelve numbers
// in the order of `StatField`, and the path.
import { createReadStream } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { ByteString } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { StatField, statFieldCount } from '../linux/files.ts';
import { isDirectoryMode } from '../files/resolve.ts';
import { splitPath, rootPath } from '../paths.ts';
import type { Tree } from './scanned-tree.ts';
import { TreeColumns, inRoot } from './tree-columns.ts';

const heading = 'yadokari snapshot 2';
const linesPerWrite = 1024;

/** Writes a snapshot beside its place, and moves it there when all is on the disk. @throws SystemError */
export async function writeSnapshot(path: string, tree: Tree): Promise<void> {
  const temporary = `${path}.part`;
  await writeFile(temporary, piecesOf(tree), { mode: 0o600, flush: true });
  await rename(temporary, path);
}

function* piecesOf(tree: Tree): Generator<string, void> {
  let lines = [heading];
  for (let position = 0; position < tree.size; position++) {
    const numbers = Array.from({ length: statFieldCount }, (_, field) => tree.number(position, field));
    lines.push(`${numbers.join(' ')} ${encodeURI(tree.path(position))}`);
    if (lines.length < linesPerWrite) continue;
    yield `${lines.join('\n')}\n`;
    lines = [];
  }
  yield `${[...lines, `end ${tree.size}`].join('\n')}\n`;
}

/** @throws ERR_ROOTFS where the file is missing or not whole */
export async function readSnapshot(path: string, signal: AbortSignal): Promise<Tree> {
  const columns = new TreeColumns();
  const directories = new Map<ByteString, number>([[rootPath, inRoot]]);
  let count = -1;
  let isWhole = false;
  try {
    for await (const line of createInterface({ input: createReadStream(path, { signal }) })) {
      if (count === -1 && line !== heading) throw damaged(path);
      if (count === -1) count = 0;
      else if (line.startsWith('end ')) isWhole = line === `end ${count}`;
      else {
        readLine(line, columns, directories);
        count++;
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    throw damaged(path, error);
  }
  if (!isWhole) throw damaged(path);
  return columns.build();
}

function readLine(line: string, columns: TreeColumns, directories: Map<ByteString, number>): void {
  const parts = line.split(' ');
  const encoded = parts[statFieldCount] ?? '';
  const numbers = parts.slice(0, statFieldCount).map(Number);
  const name = decodeURI(encoded) as ByteString; // as it was written
  const split = splitPath(name);
  const parent = directories.get(split.parent);
  if (parent === undefined || parts.length !== statFieldCount + 1 || numbers.some((each) => !Number.isFinite(each)))
    throw new RangeError(`not a line of a snapshot: ${line}`);
  const position = columns.place(parent, columns.table.add(numbers, split.name));
  if (isDirectoryMode(numbers[StatField.mode])) directories.set(name, position);
}

function damaged(path: string, cause?: unknown): BuilderError {
  return new BuilderError('ERR_ROOTFS', `Cannot tell what has changed: ${path} is missing or damaged`, {
    cause,
    hint: 'commit with --squash needs no snapshot',
  });
}
