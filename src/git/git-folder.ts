// `.git` for those who keep it: what a shallow clone with its head detached at the commit would have.
// gitrepository-layout(5), gitformat-pack(5) "Version 2 pack-*.idx files", gitformat-index(5).
import { createHash } from 'node:crypto';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { makeFolder } from '../folders.ts';
import { bufferFromBytes, type ByteString, textFromBytes } from '../bytes.ts';
import type { FetchedCommit } from './fetch-commit.ts';
import type { Pack } from './pack.ts';
import type { WrittenItem } from './write-tree.ts';

export interface GitFolderContents extends FetchedCommit {
  readonly packPath: string;
  /** Without credentials. */
  readonly url: string;
  readonly items: readonly WrittenItem[];
}

/** Writes `.git` into a checkout. `git status` then finds it clean. */
export function writeGitFolder(checkout: ByteString, contents: GitFolderContents): void {
  const git = join(textFromBytes(checkout), '.git');
  for (const folder of ['objects/info', 'objects/pack', 'refs/heads', 'refs/tags', 'info']) makeFolder(join(git, folder), 0o755);
  const { pack, commit, ref, shallow, url, items } = contents;
  const write = (name: string, content: string | Buffer): void => writeFileSync(join(git, name), content, { mode: 0o644 });
  write('HEAD', `${commit}\n`);
  write(
    'config',
    `[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n[remote "origin"]\n\turl = ${JSON.stringify(url)}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n`,
  );
  if (shallow.length > 0) write('shallow', shallow.map((id) => `${id}\n`).join(''));
  if (ref !== undefined && ref.name.startsWith('refs/')) {
    const name = ref.name.replace(/^refs\/heads\//, 'refs/remotes/origin/');
    write(
      'packed-refs',
      `# pack-refs with: peeled fully-peeled sorted \n${ref.id} ${name}\n${ref.peeled === undefined ? '' : `^${ref.peeled}\n`}`,
    );
  }
  const trailer = pack.raw(pack.end, 20);
  const name = `objects/pack/pack-${trailer.toString('hex')}`;
  copyFileSync(contents.packPath, join(git, `${name}.pack`));
  write(`${name}.idx`, packIndex(pack));
  write('index', stagingIndex(items));
}

/** The index of a pack, so that git finds objects in it. */
function packIndex(pack: Pack): Buffer {
  const objects = pack.list();
  const ends = new Map<number, number>();
  const offsets = objects.map(([, offset]) => offset).sort((one, other) => one - other);
  for (const [index, offset] of offsets.entries()) ends.set(offset, offsets[index + 1] ?? pack.end);
  const fanout = Buffer.alloc(256 * 4);
  const names = Buffer.alloc(objects.length * 20);
  const checks = Buffer.alloc(objects.length * 4);
  const places = Buffer.alloc(objects.length * 4);
  const far: Buffer[] = [];
  const counts = new Uint32Array(256);
  for (const [index, [id, offset]] of objects.entries()) {
    names.write(id, index * 20, 'hex');
    counts[Number.parseInt(id.slice(0, 2), 16)] = (counts[Number.parseInt(id.slice(0, 2), 16)] ?? 0) + 1;
    checks.writeUInt32BE(checkOf(pack, offset, ends.get(offset) ?? pack.end), index * 4);
    if (offset < 0x80000000) places.writeUInt32BE(offset, index * 4);
    else {
      places.writeUInt32BE(0x80000000 + far.length, index * 4);
      const place = Buffer.alloc(8);
      place.writeBigUInt64BE(BigInt(offset));
      far.push(place);
    }
  }
  let sum = 0;
  for (const [index, count] of counts.entries()) fanout.writeUInt32BE((sum += count), index * 4);
  const magic = Buffer.from([0xff, 0x74, 0x4f, 0x63, 0, 0, 0, 2]);
  return closed([magic, fanout, names, checks, places, ...far, pack.raw(pack.end, 20)]);
}

function checkOf(pack: Pack, offset: number, end: number): number {
  let check = 0;
  for (let at = offset; at < end; at += 1 << 20) check = crc32(pack.raw(at, Math.min(end - at, 1 << 20)), check);
  return check;
}

// Without what lstat says: git then compares contents once, which copies would make it do anyway.
function stagingIndex(items: readonly WrittenItem[]): Buffer {
  const modes = { file: 0o100644, program: 0o100755, link: 0o120000, submodule: 0o160000 } as const;
  const sorted = items.toSorted((one, other) => (one.path < other.path ? -1 : 1));
  const header = Buffer.from('DIRC\0\0\0\x02\0\0\0\0', 'latin1');
  header.writeUInt32BE(sorted.length, 8);
  const entries = sorted.map(({ kind, path, id }) => {
    const name = bufferFromBytes(path);
    const entry = Buffer.alloc((62 + name.length + 8) & ~7);
    entry.writeUInt32BE(modes[kind], 24);
    entry.write(id, 40, 'hex');
    entry.writeUInt16BE(Math.min(name.length, 0xfff), 60);
    name.copy(entry, 62);
    return entry;
  });
  return closed([header, ...entries]);
}

function closed(parts: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes, createHash('sha1').update(bytes).digest()]);
}
