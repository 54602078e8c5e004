import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../../../src/bytes.ts';
import { comparePaths } from '../../../src/paths.ts';
import { ChangeList } from '../../../src/rootfs/change-list.ts';
import type { Change } from '../../../src/rootfs/scanned-tree.ts';

const changesOf = (...paths: readonly string[]): Change[] => paths.map((path) => ({ kind: 'deleted', path: path as ByteString })); // ASCII
const pathsOf = (changes: ChangeList): string => Array.from(changes, ({ path }) => path).join(' ');

test('a list of changes can be filtered, and merged with others in the order that is wanted', () => {
  const all = changesOf('a', 'b', 'd', 'd/e', 'f');
  const list = new ChangeList((number) => all[number] ?? assert.fail(), all.length);
  const some = list.filter(({ path }, index) => path !== 'b' && index !== 4);
  const merged = some.mergedWith(changesOf('z', 'c', 'd/a'), (a, b) => comparePaths(a.path, b.path));
  assert.deepEqual([list, some, merged, merged.filter(({ path }) => path >= 'd')].map(pathsOf), [
    'a b d d/e f',
    'a d d/e',
    'a c d d/a d/e z',
    'd d/a d/e z',
  ]);
  assert.deepEqual([merged.length, pathsOf(merged.mergedWith([], () => 0))], [6, 'a c d d/a d/e z']);
  assert.deepEqual(pathsOf(new ChangeList(() => assert.fail(), 0).mergedWith(all, () => 0)), 'a b d d/e f');
});
