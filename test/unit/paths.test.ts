import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../../src/bytes.ts';
import {
  childPath,
  clampPath,
  comparePaths,
  isWithin,
  namesOf,
  pathBelow,
  pathIn,
  pathOfNames,
  rootPath,
  splitPath,
} from '../../src/paths.ts';

const at = (path: string): ByteString => path as ByteString; // ASCII
const paths = ['.', 'a', 'a/b', 'a-b', 'a.b', 'a/b/c', '..a', 'a..', '.a/.b', '...'].map(at);

test('clampPath() gives a path below the root, whatever it was given', () => {
  const rows = {
    '': '.',
    '/': '.',
    '//': '.',
    '.': '.',
    './.': '.',
    '..': '.',
    '../..': '.',
    '/a/': 'a',
    'a//b': 'a/b',
    './a': 'a',
    'a/.': 'a',
    'a/..': '.',
    'a/../..': '.',
    '../a/../b': 'b',
    'a/./b/../c': 'a/c',
    '...': '...',
    '..a/b..': '..a/b..',
  };
  for (const [path, clean] of Object.entries(rows)) {
    assert.equal(clampPath(at(path)), clean, path);
    assert.equal(clampPath(at(clean)), clean);
  }
});

test('splitPath() and childPath() are each other’s inverse', () => {
  assert.deepEqual(splitPath(at('a/b/c')), { parent: 'a/b', name: 'c' });
  assert.deepEqual(splitPath(at('a')), { parent: '.', name: 'a' });
  for (const path of paths.slice(1)) {
    const { parent, name } = splitPath(path);
    assert.equal(childPath(parent, name), path);
  }
});

test('namesOf() and pathOfNames() are each other’s inverse', () => {
  for (const path of paths) assert.equal(pathOfNames(namesOf(path)), path);
  assert.deepEqual(namesOf(at('/a//./b/../c/')), ['a', 'b', '..', 'c']);
});

test('pathBelow() and isWithin() know the root by its dot', () => {
  assert.equal(pathBelow(rootPath, rootPath), '.');
  for (const path of paths) {
    assert.equal(pathBelow(rootPath, path), path);
    assert.equal(pathBelow(path, rootPath), path);
    assert.equal(isWithin(path, rootPath), true);
    assert.equal(isWithin(path, path), true);
    assert.equal(isWithin(pathBelow(at('x'), path), at('x')), true);
  }
  assert.equal(isWithin(at('a-b'), at('a')), false);
  assert.equal(isWithin(at('a'), at('a/b')), false);
  assert.equal(isWithin(rootPath, at('a')), false);
});

test('pathIn() gives paths for system calls', () => {
  assert.deepEqual(
    [pathIn(at('/'), at('a/b')), pathIn(at('/x'), at('a')), pathIn(at('/x'), rootPath), pathIn(at('/'), rootPath)],
    ['/a/b', '/x/a', '/x', '/'],
  );
});

test('comparePaths() puts a directory right before what is in it, and its siblings behind that', () => {
  const order = ['a', 'a/b', 'a/b/c', 'a/b-c', 'a-b', 'a.b', 'ab', 'b', '\u00ff'].map(at);
  for (const [index, left] of order.entries()) {
    for (const [other, right] of order.entries())
      assert.equal(Math.sign(comparePaths(left, right)), Math.sign(index - other), `${left} ${right}`);
  }
});
