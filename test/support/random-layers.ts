// Layers that no archiver would write, the same ones for the same seed: few names, so that everything meets everything.
import type { ByteString } from '../../src/bytes.ts';
import type { Entry, EntryType } from '../../src/layer/entry.ts';
import { randomFrom } from './random.ts';

const names = ['a', 'b', 'c', 'd'];
const types: readonly EntryType[] = [
  'file',
  'file',
  'file',
  'directory',
  'directory',
  'symlink',
  'symlink',
  'hardlink',
  'fifo',
  'character',
];
// None of them leads back to a link of the same name: loops are another matter.
const targets = ['b', 'c', 'c/d', '/b', '/b/c', '..', '../b', '../../../c', '.', '/', 'b/../c', 'd', 'missing/x'];
const modes = [0o644, 0o600, 0o755, 0o4711, 0o1777, 0o2750];

/** The entries of one to three layers. */
export function randomLayers(seed: number): readonly (readonly Entry[])[] {
  const random = randomFrom(seed);
  const files: ByteString[] = [];
  return Array.from({ length: 1 + random(3) }, () => {
    const entries = Array.from({ length: 1 + random(14) }, () => randomEntry(random));
    files.push(...entries.filter(({ type, path }) => type === 'file' && !path.includes('.wh.')).map(({ path }) => path));
    // A link may come before its target, and lead to what is gone by then; few lead nowhere from the start.
    const targetOf = (entry: Entry): ByteString => files[random(files.length + 1)] ?? entry.linkTarget ?? entry.path;
    return entries
      .filter(({ type }) => type !== 'hardlink' || files.length > 0)
      .map((entry) => (entry.type === 'hardlink' ? { ...entry, linkTarget: targetOf(entry) } : entry));
  });
}

/** An entry as one line, to tell what went wrong. */
export function lineOf({ type, path, mode, uid, gid, size, linkTarget, mtime, xattrs }: Entry): string {
  const link = linkTarget === undefined ? '' : ` -> ${linkTarget}`;
  return `${type} ${path}${link} ${mode.toString(8)} ${uid}:${gid} ${size} @${mtime.seconds}${xattrs.size > 0 ? ' x' : ''}`;
}

function randomEntry(random: (limit: number) => number): Entry {
  const pick = <Value>(values: readonly Value[]): Value => values[random(values.length)] as Value; // not empty
  const path = Array.from({ length: 1 + random(3) }, () => pick(names));
  const mtime = { seconds: 1 + random(1000), nanoseconds: 0 };
  const common = { mode: pick(modes), uid: random(2) * 5, gid: random(2) * 7, mtime, xattrs: new Map<string, Buffer>(), size: 0 };
  const at = (parts: readonly string[]): ByteString => parts.join('/') as ByteString; // ASCII
  const what = random(12);
  if (what === 0) return { ...common, type: 'file', path: at([...path.slice(0, -1), `.wh.${path.at(-1) ?? ''}`]) };
  if (what === 1) return { ...common, type: 'file', path: at([...path.slice(0, random(path.length + 1)), '.wh..wh..opq']) };
  if (what === 2 && random(8) === 0) return { ...common, type: 'directory', path: at([`.wh.${pick(names)}`, ...path]) };
  if (what === 2 && random(8) === 0) return { ...common, type: 'directory', path: '.' as ByteString };
  if (what === 2 && random(4) === 0) path.splice(random(path.length), 0, pick(['..', '.']));
  const type = pick(types);
  const xattrs =
    (type === 'file' || type === 'directory') && random(6) === 0 ? new Map([['user.x', Buffer.from([random(9)])]]) : common.xattrs;
  const entry = { ...common, type, path: at(path), xattrs };
  if (type === 'symlink') {
    const name = path.at(-1) ?? '';
    const forward = targets.filter((target) => target.split('/').every((part) => !names.includes(part) || part > name));
    return { ...entry, mode: 0o777, linkTarget: pick(forward) as ByteString }; // ASCII
  }
  if (type === 'hardlink') return { ...entry, linkTarget: at(Array.from({ length: 1 + random(2) }, () => pick(names))) };
  if (type === 'character') return { ...entry, device: { major: 1, minor: random(8) } };
  if (type !== 'file') return entry;
  const content = Buffer.alloc(random(2000), 'x');
  return { ...entry, size: content.length, content: chunksOf(content) };
}

// May be read as often as wanted.
function chunksOf(content: Buffer): AsyncIterable<Buffer> {
  return {
    async *[Symbol.asyncIterator]() {
      yield content;
    },
  };
}
