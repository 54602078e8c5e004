// Paths resolved in a tree, with the disk as the oracle.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ByteString, bytesFromText } from '../../../src/bytes.ts';
import { resolvePath } from '../../../src/files/resolve.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import { nodeTypeOf } from '../../../src/tree/node.ts';
import { resolveInTree } from '../../../src/tree/resolve.ts';
import { temporaryFolder, tree as makeTree } from '../../support/tree.ts';
import { treeOf } from '../../support/tree-lines.ts';

const at = (path: string): ByteString => path as ByteString; // ASCII
const links: Readonly<Record<string, string>> = {
  lib: 'usr/lib',
  abs: '/usr',
  up: '../../../usr/lib',
  chain: 'lib/../../abs/lib',
  dangling: 'no/where',
  'usr/back': '..',
  'usr/here': '.',
  'usr/lib/file': 'x',
  root: '/',
  slashes: '//usr//lib/',
  empty: 'usr/lib/x/..',
};
const paths = [
  '',
  '.',
  '/',
  '..',
  '../..',
  'usr',
  '/usr/',
  'usr/lib/x',
  'lib',
  'lib/',
  'lib/.',
  'lib/x',
  'abs/lib/x',
  'up/x',
  'chain/x',
  'lib/../lib',
  'dangling',
  'dangling/x',
  'dangling/../y',
  'none/../usr',
  'none/a/b',
  'usr/back/usr/back/lib',
  'usr/here/here/lib',
  'usr/lib/file',
  'usr/lib/x/y',
  'usr/lib/x/../x',
  'usr/lib/file/y',
  'root/root/lib',
  'slashes/x',
  'empty',
  'empty/file',
  '../lib/../../x',
];

test('resolveInTree() gives what resolvePath() gives on a disk with the same links', (context) => {
  const folder = temporaryFolder(context);
  makeTree(folder, {
    'usr/lib/x': 'x',
    ...Object.fromEntries(Object.entries(links).map(([path, link]) => [path, { link }])),
  });
  const root = { path: bytesFromText(folder), protection: createProtection([]) };
  const image = treeOf({
    usr: 'dir',
    'usr/lib': 'dir',
    'usr/lib/x': 'file',
    ...Object.fromEntries(Object.entries(links).map(([path, link]) => [path, `-> ${link}`])),
  });
  for (const path of paths) {
    for (const leaf of ['keep', 'follow'] as const) {
      const onDisk = resolvePath(root, at(path), leaf);
      const inTree = resolveInTree(image, at(path), leaf);
      const type = onDisk.mode === undefined ? undefined : nodeTypeOf(onDisk.mode);
      const found = inTree.node === undefined ? undefined : image.type(inTree.node);
      assert.deepEqual([inTree.path, found], [onDisk.path, type], `${leaf} '${path}'`);
      if (inTree.node !== undefined) assert.equal(image.at(inTree.path), inTree.node);
    }
  }
});

test('resolveInTree() gives up a loop of links, and follows 40', () => {
  const long = Object.fromEntries(Array.from({ length: 41 }, (_, index) => [`l${index}`, index === 40 ? 'file' : `-> l${index + 1}`]));
  assert.equal(resolveInTree(treeOf(long), at('l0'), 'follow').path, 'l40');
  const loop = treeOf({ a: '-> b', b: '-> a', self: '-> self/x' });
  for (const path of ['a', 'b/x', 'self']) {
    assert.throws(() => resolveInTree(loop, at(path), 'follow'), { code: 'ERR_UNSAFE_PATH', message: /more than 40 symbolic links/ });
  }
  assert.equal(resolveInTree(loop, at('a'), 'keep').path, 'a');
});

test('resolveInTree() takes another directory for the root: links and .. stay in it', () => {
  const image = treeOf({ d: 'dir', 'd/l': '-> /t', 'd/t': 'dir', 'd/up': '-> ../../t', t: 'dir', 'd/t/f': 'file' });
  const top = image.at(at('d'));
  assert.ok(top !== undefined);
  for (const path of ['l/f', 'up/f', '../../t/f', '/t/f']) {
    const { path: found, node } = resolveInTree(image, at(path), 'follow', top);
    assert.deepEqual([found, node], ['t/f', image.at(at('d/t/f'))], path);
  }
  const above = resolveInTree(image, at('..'), 'follow', top);
  assert.deepEqual([above.path, above.node], ['.', top]);
});
