// Packs and trees that no honest server sends.
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { applyDelta } from '../../../src/git/delta.ts';
import { Pack } from '../../../src/git/pack.ts';
import { writeTree } from '../../../src/git/write-tree.ts';
import { type RawObject, blob, nameOf, rawEntry, rawPack, rawTree, refDelta, shift } from '../../support/git-pack.ts';
import { temporaryFolder } from '../../support/tree.ts';

const never = new AbortController().signal;

async function open(context: TestContext, bytes: Buffer): Promise<Pack> {
  const path = join(temporaryFolder(context), 'pack');
  writeFileSync(path, bytes);
  const pack = await Pack.open(path, 'https://h/r.git', never);
  context.after(() => pack.close());
  return pack;
}

async function write(context: TestContext, tree: RawObject, others: readonly RawObject[]): Promise<string> {
  const pack = await open(context, rawPack([tree, ...others]));
  const folder = temporaryFolder(context);
  await writeTree(pack, nameOf(tree), bytesFromText(folder), { name: 'https://h/r.git', mtimeSeconds: undefined, signal: never });
  return folder;
}

const some = blob('some\n');

for (const name of [
  '.git',
  '.GIT',
  '.Git',
  '.git.',
  '.git ',
  'git~1',
  '.git::$INDEX_ALLOCATION',
  '.g\u200cit',
  '..',
  '.',
  'a/b',
  '../x',
  '',
  'n'.repeat(256),
]) {
  test(`writeTree() refuses the name ${JSON.stringify(name.slice(0, 40))}, as a file and as a directory`, async (context) => {
    const bytes = Buffer.from(name).toString('latin1');
    await assert.rejects(write(context, rawTree([['100644', bytes, some]]), [some]), { code: 'ERR_UNSAFE_PATH' });
    const inner = rawTree([['100755', 'hooks', some]]);
    await assert.rejects(write(context, rawTree([['40000', bytes, inner]]), [inner, some]), { code: 'ERR_UNSAFE_PATH' });
  });
}

test('writeTree() writes nothing through a link of the same name', async (context) => {
  const outside = temporaryFolder(context);
  const link = blob(outside);
  const inner = rawTree([['100644', 'planted', some]]);
  for (const order of [0, 1]) {
    const entries = [['120000', 'a', link] as const, ['40000', 'a', inner] as const];
    const tree = rawTree(order === 0 ? entries : entries.toReversed());
    await assert.rejects(write(context, tree, [link, inner, some]), { code: 'ERR_UNSAFE_PATH', message: /"a" is there twice/ });
  }
  const file = rawTree([
    ['120000', 'a', blob(join(outside, 'planted'))],
    ['100644', 'a', some],
  ]);
  await assert.rejects(write(context, file, [blob(join(outside, 'planted')), some]), { code: 'ERR_UNSAFE_PATH' });
  assert.deepEqual(readdirSync(outside), []);
});

test('writeTree() keeps one bit of a mode, whatever the umask', async (context) => {
  const mask = process.umask(0o077);
  context.after(() => process.umask(mask));
  const inner = rawTree([['100644', 'file', some]]);
  const tree = rawTree([
    ['40000', 'd', inner],
    ['100664', 'f', some],
    ['104755', 'p', some],
  ]);
  const folder = await write(context, tree, [inner, some]);
  const modes = ['d', 'd/file', 'f', 'p'].map((name) => (lstatSync(join(folder, name)).mode & 0o7777).toString(8));
  assert.deepEqual(modes, ['755', '644', '644', '755']);
});

test('writeTree() refuses links to nowhere, and trees that are no trees', async (context) => {
  for (const target of ['', 'a\0b', 'x'.repeat(5000)]) {
    await assert.rejects(write(context, rawTree([['120000', 'l', blob(target)]]), [blob(target)]), { code: 'ERR_UNSAFE_PATH' });
  }
  await assert.rejects(write(context, rawTree([['40000', 'd', some]]), [some]), { code: 'ERR_CONTEXT', message: /is no directory/ });
  await assert.rejects(write(context, rawTree([['100644', 'f', some]]), []), { code: 'ERR_CONTEXT', message: /has no object/ });
  await assert.rejects(write(context, rawTree([['60000', 'dev', some]]), [some]), { code: 'ERR_CONTEXT', message: /is no directory/ });
});

test('writeTree() writes no trees that are in each other more often than any disk has room for', async (context) => {
  const trees = [rawTree([['100644', 'f', some]])];
  for (let depth = 0; depth < 8; depth += 1) {
    const [below = some] = trees;
    trees.unshift(rawTree(Array.from({ length: 30 }, (_, index) => ['40000', String(index + 100), below])));
  }
  const [top = some, ...others] = trees;
  await assert.rejects(write(context, top, [...others, some]), {
    code: 'ERR_UNSAFE_PATH',
    message: /more than 200100 paths, of 10 objects/,
  });
});

test('writeTree() ends with directories that go on and on', async (context) => {
  const trees = [rawTree([['100644', 'f', some]])];
  for (let depth = 0; depth < 600; depth += 1) trees.push(rawTree([['40000', 'd', trees.at(-1) ?? some]]));
  const top = trees.at(-1) ?? some;
  await assert.rejects(write(context, top, [some, ...trees.slice(0, -1)]), { code: 'ERR_UNSAFE_PATH', message: /deeper than 512/ });
});

test('Pack.open() resolves deltas of deltas, in any order', async (context) => {
  const copyAll = (length: number, next: number, added: string) =>
    Buffer.from([length, next, 0x90, length, added.length, ...Buffer.from(added)]);
  const second = blob('some\nmore\n');
  const third = blob('some\nmore\nyet\n');
  const entries = [refDelta(nameOf(second), copyAll(10, 14, 'yet\n')), refDelta(nameOf(some), copyAll(5, 10, 'more\n'))];
  const pack = await open(context, rawPack([some], entries));
  for (const object of [some, second, third]) assert.deepEqual(pack.read(nameOf(object)).bytes, object.bytes);
});

/** Each made of the one before it, with one more delta of each that nothing is made of. */
function chain(length: number, sizeBytes: number): { readonly pack: Buffer; readonly last: Buffer } {
  const first = blob('a'.repeat(sizeBytes));
  let last = first.bytes;
  const entries: Buffer[] = [];
  for (let count = 0; count < length; count += 1) {
    const base = nameOf({ type: 'blob', bytes: last });
    const added = String(count).padStart(8, '0');
    entries.push(refDelta(base, shift(sizeBytes, sizeBytes - 200, `leaf ${count}`)), refDelta(base, shift(sizeBytes, 8, added)));
    last = Buffer.concat([last.subarray(8), Buffer.from(added)]);
  }
  return { pack: rawPack([first], entries), last };
}

test('Pack.open() takes as many deltas in a row as git makes, and no more', async (context) => {
  const { pack, last } = chain(4095, 256);
  assert.deepEqual((await open(context, pack)).read(nameOf({ type: 'blob', bytes: last })).bytes, last);
  await assert.rejects(open(context, chain(4097, 256).pack), {
    code: 'ERR_CONTEXT',
    message: /more than 4095 deltas are made of each other$/,
  });
});

test('Pack.open() holds few of the objects that deltas branch off from', async (context) => {
  const { pack, last } = chain(300, 1 << 20);
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers - before)), 1);
  const opened = await open(context, pack);
  clearInterval(watch);
  assert.ok(most < 200 << 20, `${most} bytes were held`);
  assert.deepEqual(opened.read(nameOf({ type: 'blob', bytes: last })).bytes, last);
});

test('Pack.open() lets others have their turn while it makes large objects of few bytes', async (context) => {
  const base = blob('a'.repeat(1 << 20));
  const entries = Array.from({ length: 400 }, (_, count) => refDelta(nameOf(base), shift(1 << 20, 9, `${count}`.padStart(9, '0'))));
  const path = join(temporaryFolder(context), 'pack');
  writeFileSync(path, rawPack([base], entries));
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 20);
  await assert.rejects(Pack.open(path, 'https://h/r.git', stop.signal), { name: 'AbortError' });
});

const emptyBlocks = Buffer.concat([Buffer.from([0x78, 1]), Buffer.alloc(5_000_000, Buffer.from([0, 0, 0, 255, 255]))]);
const honest = rawPack([some, blob(Array.from({ length: 100 }, (_, index) => index * index).join(' '))]);
for (const row of [
  { name: 'that is no pack', bytes: Buffer.from('no pack at all, not by any means'), says: /is no pack/ },
  { name: 'that is empty', bytes: Buffer.alloc(0), says: /is no pack/ },
  { name: 'that is cut off', bytes: honest.subarray(0, -24), says: /inflated/ },
  { name: 'with more in it', bytes: Buffer.concat([honest, Buffer.alloc(30)]), says: /more in it/ },
  { name: 'with an object longer than it says', bytes: rawPack([{ ...blob('x'.repeat(1 << 20)), claimedSize: 10 }]), says: /inflated/ },
  { name: 'with an object shorter than it says', bytes: rawPack([{ ...some, claimedSize: 100 }]), says: /shorter|inflated/ },
  {
    name: 'with an object of petabytes',
    bytes: rawPack([{ type: 'tree', bytes: Buffer.from('x'), claimedSize: 2 ** 50 }]),
    says: /fit into memory/,
  },
  {
    name: 'with a directory of half a gigabyte',
    bytes: rawPack([{ type: 'tree', bytes: Buffer.from('x'), claimedSize: 2 ** 29 }]),
    says: /object of 536870912 bytes \(tree\) would have to fit into memory/,
  },
  { name: 'with one byte in a million blocks of nothing', bytes: rawPack([some], [rawEntry(3, 1, emptyBlocks)]), says: /inflated/ },
  { name: 'with a large blob that is none', bytes: rawPack([{ ...some, claimedSize: 2 ** 40 }]), says: /not as long/ },
  { name: 'with a delta without base', bytes: rawPack([some], [refDelta('1'.repeat(40), Buffer.from([5, 5, 0x90, 5]))]), says: /no base/ },
  {
    name: 'with a delta that reads past its base',
    bytes: rawPack([some], [refDelta(nameOf(some), Buffer.from([5, 9, 0x90, 9]))]),
    says: /does not fit/,
  },
]) {
  test(`Pack.open() refuses a pack ${row.name}`, async (context) => {
    await assert.rejects(open(context, row.bytes), { name: 'BuilderError', message: row.says });
  });
}

test('applyDelta() refuses what writes more or less than it says', () => {
  const base = Buffer.from('base');
  assert.equal(applyDelta(base, Buffer.from([4, 4, 0x90, 4]))?.toString(), 'base');
  for (const delta of [[4, 3, 0x90, 4], [4, 9, 0x90, 4], [5, 4, 0x90, 4], [4, 1, 0], [4, 4, 9, 1], []]) {
    assert.equal(applyDelta(base, Buffer.from(delta)), undefined, String(delta));
  }
});
