import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../../../src/bytes.ts';
import { comparePaths } from '../../../src/paths.ts';
import { ImageTree, rootNode } from '../../../src/tree/image-tree.ts';
import { randomFrom } from '../../support/random.ts';
import { linesOf, node, treeOf } from '../../support/tree-lines.ts';

const at = (path: string): ByteString => path as ByteString; // ASCII

test('a new tree is a root of 0:0 with mode 0755', () => {
  const tree = new ImageTree();
  assert.deepEqual([tree.size, tree.at(at('.')), [...tree.walk()]], [0, rootNode, []]);
  const { type, mode, uid, gid } = tree.node(rootNode);
  assert.deepEqual([type, mode, uid, gid], ['directory', 0o755, 0, 0]);
});

test('a node keeps all that it was given', () => {
  const tree = new ImageTree();
  const values = [
    node('file', { mode: 0o4711, uid: 4_294_967_295, gid: 2_097_152, size: 2 ** 52 + 1, mtime: { seconds: -5, nanoseconds: 999_999_999 } }),
    node('directory', { xattrs: new Map([['user.x', Buffer.from('y')]]) }),
    node('symlink', { linkTarget: at('../\u00ff') }),
    node('character', { device: { major: 1, minor: 3 } }),
    node('block', { device: { major: 259, minor: 1_048_575 } }),
    node('fifo'),
  ];
  for (const [index, value] of values.entries()) {
    const number = tree.put(at(`n${index}`), value);
    assert.deepEqual(tree.node(number), value);
    assert.equal(tree.type(number), value.type);
  }
});

test('a tree holds labels of any number of files, and no more than 64 MiB of what strangers attach to theirs', () => {
  const tree = new ImageTree();
  const labels = new Map([['security.selinux', Buffer.alloc(1000)]]);
  for (let count = 0; count < 100_000; count++) tree.put(at(`l${count}`), node('file', { xattrs: labels }));
  const big = { xattrs: new Map([['user.a', Buffer.alloc(65536)]]) };
  const more = (): void => {
    for (let count = 0; count < 1100; count++) tree.put(at(`b${count}`), node('file', big));
  };
  assert.throws(more, { code: 'ERR_LAYER', message: /more than 64 MiB of extended attributes and link targets$/ });
  assert.ok(tree.at(at('b1000')) !== undefined);
});

test('at() finds exactly what is there, and follows no link', () => {
  const tree = treeOf({ d: 'dir', 'd/f': 'file', l: '-> d' });
  assert.equal(tree.at(at('l/f')), undefined);
  assert.equal(tree.at(at('d/f/x')), undefined);
  assert.equal(tree.at(at('d/')), undefined);
  assert.equal(tree.linkTarget(tree.at(at('l')) ?? -1), 'd');
  assert.equal(tree.child(tree.at(at('d')) ?? -1, at('f')), tree.at(at('d/f')));
});

test('put() of a directory over a directory keeps what is in it; anything else takes its place', () => {
  const tree = treeOf({ d: 'dir', 'd/e': 'dir', 'd/e/f': 'file' });
  const before = tree.at(at('d'));
  assert.equal(tree.put(at('d'), node('directory', { mode: 0o700 })), before);
  assert.deepEqual(linesOf(tree), ['d directory 700 0:0 0   @1', 'd/e directory 755 0:0 0   @1', 'd/e/f file 644 0:0 5 *1  @1']);
  tree.put(at('d'), node('file', { size: 1 }));
  assert.deepEqual([linesOf(tree), tree.size], [['d file 644 0:0 1 *1  @1'], 1]);
  tree.put(at('d'), node('directory'));
  assert.deepEqual(tree.names(tree.at(at('d')) ?? -1), []);
});

test('put() of the root changes its metadata', () => {
  const tree = treeOf({ f: 'file' });
  tree.put(at('.'), node('directory', { mode: 0o1777, uid: 5 }));
  assert.deepEqual([tree.node(rootNode).mode, tree.node(rootNode).uid, tree.size], [0o1777, 5, 1]);
});

test('put() below what is no directory fails', () => {
  const tree = treeOf({ f: 'file' });
  for (const path of ['f/x', 'none/x']) assert.throws(() => tree.put(at(path), node('file')), /below what is no directory/);
});

test('names of one file are one node until one of them is something else', () => {
  const tree = treeOf({ a: 'file', d: 'dir', 'd/b': '= a', 'd/c': '= a' });
  const number = tree.at(at('a')) ?? -1;
  assert.equal(tree.links(number), 3);
  tree.update(number, { ...tree.node(number), mode: 0o600 });
  assert.equal(tree.node(tree.at(at('d/b')) ?? -1).mode, 0o600);
  tree.put(at('a'), node('file', { size: 9 }));
  assert.equal(tree.links(number), 2);
  tree.remove(at('d/c'));
  assert.deepEqual(linesOf(tree), ['a file 644 0:0 9 *1  @1', 'd directory 755 0:0 0   @1', 'd/b file 600 0:0 1 *1  @1']);
});

test('remove() takes a name with everything below, and counts the names that are left', () => {
  const tree = treeOf({ a: 'file', d: 'dir', 'd/e': 'dir', 'd/e/b': '= a', 'd/f': 'file' });
  tree.remove(at('d'));
  tree.remove(at('none'));
  tree.remove(at('none/x'));
  assert.deepEqual([linesOf(tree), tree.size], [['a file 644 0:0 1 *1  @1'], 1]);
});

test('update() and setTime() leave type, content and children alone', () => {
  const tree = treeOf({ d: 'dir', 'd/f': 'file' });
  const file = tree.at(at('d/f')) ?? -1;
  tree.update(file, { ...node('file'), mode: 0o7777, uid: 7, gid: 8, xattrs: new Map([['user.y', Buffer.from('z')]]) });
  tree.setTime(file, { seconds: 9, nanoseconds: 1 });
  tree.setSize(file, 77);
  assert.deepEqual(tree.node(file), {
    ...node('file', { mode: 0o7777, uid: 7, gid: 8, size: 77, mtime: { seconds: 9, nanoseconds: 1 } }),
    xattrs: new Map([['user.y', Buffer.from('z')]]),
  });
  assert.deepEqual(tree.content(file), { layer: 0, entry: 1 });
  tree.setContent(file, { layer: 3, entry: 4_000_000_000 });
  assert.deepEqual(tree.content(file), { layer: 3, entry: 4_000_000_000 });
  assert.equal(tree.content(tree.at(at('d')) ?? -1), undefined);
});

test('a clone and its tree go their own ways', () => {
  const tree = treeOf({ d: 'dir', 'd/f': 'file', l: '-> d' });
  const was = linesOf(tree);
  const copy = tree.clone();
  assert.deepEqual(linesOf(copy), was);
  copy.put(at('d/g'), node('file'));
  copy.remove(at('l'));
  copy.update(copy.at(at('d')) ?? -1, node('directory', { mode: 0o700, xattrs: new Map([['user.x', Buffer.from('')]]) }));
  copy.setContent(copy.at(at('d/f')) ?? -1, { layer: 9, entry: 9 });
  assert.deepEqual([linesOf(tree), tree.size, tree.content(tree.at(at('d/f')) ?? -1)], [was, 3, { layer: 0, entry: 1 }]);
  tree.remove(at('d'));
  assert.equal(copy.size, 3);
});

test('thousands of names are found and walked in the order of comparePaths(), whatever order they came in', () => {
  const random = randomFrom(7);
  const tree = new ImageTree();
  const names = ['a', 'a-b', 'a.b', 'ab', 'A', '\u00ff', '-', '~'];
  const paths = new Set<ByteString>();
  for (let step = 0; step < 40_000; step++) {
    const path = Array.from({ length: 1 + random(4) }, () => names[random(names.length)]).join('/') as ByteString; // latin1
    const slash = path.lastIndexOf('/');
    if (slash !== -1 && !tree.isDirectory(tree.at(at(path.slice(0, slash))))) continue;
    if (tree.at(path) === undefined) tree.put(path, node(random(4) === 0 ? 'file' : 'directory', { uid: paths.size }));
    paths.add(path);
  }
  assert.ok(paths.size > 1000);
  assert.equal(tree.size, paths.size);
  const walked = [...tree.walk()];
  assert.deepEqual(
    walked.map(([path]) => path),
    [...paths].sort(comparePaths),
  );
  for (const [path, number] of walked) assert.equal(tree.at(path), number);
  for (const [index, path] of [...paths].entries()) assert.equal(tree.node(tree.at(path) ?? -1).uid, index);
  const top = walked.find(([, number]) => tree.names(number).length > 2)?.[0] ?? at('a');
  assert.deepEqual(
    Array.from(tree.walk(top), ([path]) => path),
    walked.flatMap(([path]) => (path.startsWith(`${top}/`) ? [path] : [])),
  );
  assert.deepEqual([...tree.walk(at('none'))], []);
});
