// Wildcards of COPY: Go's path/filepath.Match, checked against a recursive model of its definition.
import assert from 'node:assert/strict';
import test from 'node:test';
import { compileWildcard, hasWildcard } from '../../../src/context/pattern.ts';
import { randomFrom } from '../../support/random.ts';

for (const [pattern, path, expected] of [
  ['abc', 'abc', true],
  ['*', '.hidden', true],
  ['*', 'a/b', false],
  ['a*', 'a', true],
  ['**', 'a/b', false],
  ['a?c', 'abc', true],
  ['a?c', 'a/c', false],
  ['[[]br]', '[br]', true],
  ['[^a-c]', 'd', true],
  ['[^a-c]', 'b', false],
  ['[!a]', '!', true],
  ['[\\]a]', ']', true],
  ['a\\*', 'a*', true],
  ['a\\*', 'ab', false],
  ['{a,b}', 'a', false],
  ['?', '😀', true],
  ['d/*.go', 'd/x.go', true],
  ['a\nb', 'a\nb', true],
] as const) {
  test(`pattern ${JSON.stringify(pattern)} ${expected ? 'matches' : 'does not match'} ${JSON.stringify(path)}`, () => {
    assert.equal(compileWildcard(pattern)(path), expected);
  });
}

for (const pattern of ['[', '[a', '[]', '[]a]', '[-a]', '[a-]', '[^]', 'a\\', '[\\']) {
  test(`pattern ${JSON.stringify(pattern)} is bad`, () => assert.throws(() => compileWildcard(pattern), { code: 'ERR_CONTEXT' }));
}

test('hasWildcard() knows escaped characters', () => {
  assert.deepEqual(['a', 'a*', 'a\\*', 'a\\\\*', '[', '?x', '\\'].map(hasWildcard), [false, true, false, true, true, true, false]);
});

test('compileWildcard() matches as the definition says, for random patterns and paths', () => {
  const random = randomFrom(99);
  const pieces = ['a', 'b', '*', '?', '[ab]', '[^a]', '[a-b]', '/', '\\a', '\\*', '.', '!', '{', '(', '+', ')'];
  const letters = ['a', 'b', '/', '.', '*', '!', '{', '(', '+'];
  const text = (from: readonly string[], most: number): string =>
    Array.from({ length: 1 + random(most) }, () => from[random(from.length)]).join('');
  const clean = (path: string): string =>
    path
      .split('/')
      .filter((part) => part !== '' && part !== '.' && part !== '..')
      .join('/');
  let matches = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const pattern = clean(text(pieces, 5));
    const path = clean(text(letters, 5));
    if (pattern === '' || path === '') continue;
    const expected = model(pattern, path);
    if (expected) matches += 1;
    assert.equal(compileWildcard(pattern)(path), expected, `${pattern} on ${path}`);
  }
  assert.ok(matches > 500, `${matches} of the random pairs match`);
});

function model(pattern: string, path: string): boolean {
  if (pattern === '') return path === '';
  const head = pattern.charAt(0);
  const rest = pattern.slice(1);
  if (head === '*') return model(rest, path) || (path !== '' && path.charAt(0) !== '/' && model(pattern, path.slice(1)));
  if (path === '') return false;
  const character = path.charAt(0);
  if (head === '?') return character !== '/' && model(rest, path.slice(1));
  if (head === '\\') return character === rest.charAt(0) && model(rest.slice(1), path.slice(1));
  if (head !== '[') return character === head && model(rest, path.slice(1));
  const end = rest.indexOf(']');
  const members = rest.slice(0, end).replace('a-b', 'ab');
  const isMember = members.startsWith('^') ? !members.includes(character) : members.includes(character);
  return character !== '/' && isMember && model(rest.slice(end + 1), path.slice(1));
}
