import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../../../src/bytes.ts';
import { diffTrees } from '../../../src/rootfs/diff.ts';
import { TreeColumns, inRoot } from '../../../src/rootfs/tree-columns.ts';
import { type Tree, type TreeEntry } from '../../../src/rootfs/scanned-tree.ts';
import { comparePaths, splitPath } from '../../../src/paths.ts';

const file: TreeEntry = {
  mode: 0o100644,
  uid: 0,
  gid: 0,
  size: 5,
  mtimeSeconds: 10,
  mtimeNanoseconds: 1,
  ctimeSeconds: 20,
  ctimeNanoseconds: 2,
  inode: 7,
  device: 1,
  rdev: 0,
  links: 1,
};
const directory: TreeEntry = { ...file, mode: 0o040755 };

/** A `struct statx`, as words. */
function statxOf(entry: TreeEntry): Uint32Array {
  const words = new Uint32Array(64);
  const long = (at: number, value: number): void => words.set([value >>> 0, Math.floor(value / 2 ** 32)], at);
  words.set([entry.links, entry.uid, entry.gid, entry.mode], 4);
  long(8, entry.inode);
  long(10, entry.size);
  long(24, entry.ctimeSeconds);
  words[26] = entry.ctimeNanoseconds;
  long(28, entry.mtimeSeconds);
  words[30] = entry.mtimeNanoseconds;
  words[33] = entry.rdev;
  words[35] = entry.device;
  return words;
}

function treeOf(entries: Readonly<Record<string, TreeEntry>>): Tree {
  const paths = Object.keys(entries) as ByteString[]; // ASCII
  const columns = new TreeColumns();
  const positions = new Map<string, number>([['.', inRoot]]);
  for (const path of paths.sort(comparePaths)) {
    const { parent, name } = splitPath(path);
    positions.set(
      path,
      columns.place(
        positions.get(parent) ?? inRoot,
        columns.table.addStat(statxOf(entries[path] ?? file), Buffer.from(name), 0, name.length),
      ),
    );
  }
  return columns.build();
}

function changes(before: Readonly<Record<string, TreeEntry>>, after: Readonly<Record<string, TreeEntry>>): string[] {
  return Array.from(diffTrees(treeOf(before), treeOf(after)), ({ kind, path }) => `${kind} ${path}`);
}

test('diffTrees() finds nothing between equal trees', () => {
  assert.deepEqual(changes({ a: file, d: directory, 'd/x': file }, { a: file, d: directory, 'd/x': file }), []);
});

for (const [field, value] of Object.entries({
  mode: 0o100600,
  uid: 1,
  gid: 1,
  size: 6,
  mtimeSeconds: 11,
  mtimeNanoseconds: 0,
  ctimeSeconds: 21,
  ctimeNanoseconds: 3,
  inode: 8,
  device: 2,
  rdev: 1,
  links: 2,
})) {
  test(`diffTrees() notices another ${field} of a file`, () => {
    assert.deepEqual(changes({ a: file }, { a: { ...file, [field]: value } }), ['modified a']);
  });
}

test('diffTrees() does not take size, links or inode of a directory for a change', () => {
  assert.deepEqual(changes({ d: directory }, { d: { ...directory, size: 9, links: 9, inode: 9, device: 9 } }), []);
});

test('diffTrees() says of a removed tree only its top', () => {
  assert.deepEqual(changes({ d: directory, 'd-x': file, 'd/a': directory, 'd/a/b': file, e: file }, { e: file }), [
    'deleted d',
    'deleted d-x',
  ]);
});

test('diffTrees() mentions no children of a directory that became a file', () => {
  assert.deepEqual(changes({ d: directory, 'd/a': file }, { d: file }), ['modified d']);
});

test('diffTrees() gives the children of a file that became a directory', () => {
  assert.deepEqual(changes({ d: file }, { d: directory, 'd/a': file }), ['modified d', 'added d/a']);
});

test('diffTrees() tells a written file from a replaced one', () => {
  const before = treeOf({ a: file, b: file });
  const after = treeOf({ a: { ...file, ctimeSeconds: 21 }, b: { ...file, inode: 8 } });
  assert.deepEqual(
    Array.from(diffTrees(before, after), (change) => change.kind === 'modified' && change.isSameFile),
    [true, false],
  );
});

test('comparePaths() keeps a tree together where bytes would not', () => {
  const paths = ['a-b', 'a/b', 'a', 'a.b', 'ab', 'a/b/c', 'a/b-c'] as ByteString[]; // ASCII
  assert.deepEqual(paths.sort(comparePaths), ['a', 'a/b', 'a/b/c', 'a/b-c', 'a-b', 'a.b', 'ab']);
});

test('a tree finds each of its paths, and only those', () => {
  const tree = treeOf({ a: file, 'a-b': { ...file, size: 1 }, d: directory, 'd/x': { ...file, size: 2, inode: 2 ** 52 + 1 } });
  assert.deepEqual(
    ['a', 'a-b', 'd/x', 'd/y', ''].map((path) => tree.get(path as ByteString)?.size),
    [5, 1, 2, undefined, undefined],
  );
  assert.equal(tree.get('d/x' as ByteString)?.inode, 2 ** 52 + 1);
  assert.deepEqual(tree.newestChange, { seconds: 20, nanoseconds: 2 });
});
