// Wildcards of COPY: Go's path/filepath.Match, checked against a recursive model of its definition.
import assert from 'node:assert/strict';
import test from 'node:test';
import { compileGlobstar, compileWildcard, hasWildcard } from '../../../src/context/pattern.ts';
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

const unclosed = "has a '[' that is not closed, or an empty class";
for (const [pattern, state] of [
  ['[', unclosed],
  ['[a', unclosed],
  ['[]', unclosed],
  ['[]a]', unclosed],
  ['[-a]', unclosed],
  ['[a-]', unclosed],
  ['[^]', unclosed],
  ['[a-', unclosed],
  ['a\\', 'ends in a backslash'],
  ['[\\', "has a '[' that is not closed"],
  ['x[a-\\', "has a '[' that is not closed"],
] as const) {
  test(`pattern ${JSON.stringify(pattern)} is bad, for compileWildcard() and compileGlobstar()`, () => {
    for (const compile of [compileWildcard, compileGlobstar]) {
      assert.throws(() => compile(pattern), {
        code: 'ERR_CONTEXT',
        message: `Cannot read pattern '${pattern}': it ${state}`,
        hint: "In a pattern '*' stands for any characters but '/', '?' for one, '[a-z]' for one of a range, and '\\' makes the next character plain.",
      });
    }
  });
}

// pattern | paths that match | paths that don't
const globstars = `
a/**/b    | a/b a/x/b a/x/y/b          | a/xb ab a
**/b      | b a/b a/c/b                | ab a/bc
a/**      | a/b a/b/c a/.x             | a b/a
**        | a a/b .x                   |
a**       | a ab a/b ab/c              | ba
a**b      | ab a/b ax/y/b ax/b         | a b abc axb a/x/yb
**.md     | a.md x/b.md .md            | md a.mdx
**a*      | a ab x/a x/ab              | b xa
a**b**c   | abc a/b/c a/x/b/y/c ax/bc  | ac ab axbyc
**[x]     | x a/x                      | y xa
a/b       | a/b                        | a/c a b
a\\*b     | a*b                        | axb
***       | a a/b                      |
a***b     | ab axb a/b                 | a
`;
for (const row of globstars.split('\n').filter((line) => line !== '')) {
  const [pattern = '', matching = '', others = ''] = row.split('|').map((cell) => cell.trim());
  test(`compileGlobstar() of ${pattern}`, () => {
    const matches = compileGlobstar(pattern.replaceAll('\\\\', '\\'));
    for (const path of matching.split(' ').filter(Boolean)) assert.equal(matches(path), true, `matches ${path}`);
    for (const path of others.split(' ').filter(Boolean)) assert.equal(matches(path), false, `does not match ${path}`);
  });
}

test('compileGlobstar() spells out six ** inside names, and refuses a seventh', () => {
  assert.equal(compileGlobstar('a' + '**a'.repeat(6))('aa/aa/aaa'), true);
  assert.throws(() => compileGlobstar('a' + '**a'.repeat(7)), { code: 'ERR_CONTEXT', message: /it has too many '\*\*' inside names$/ });
});

test('compileWildcard() takes every sign that minimatch or an expression might know for itself', () => {
  for (const sign of '{}()!+@|#^-.,$%&~"\'') {
    assert.equal(compileWildcard(`${sign}a${sign}`)(`${sign}a${sign}`), true, sign);
    assert.equal(compileWildcard(`${sign}a*`)(`${sign}abc`), true, sign);
    assert.equal(compileWildcard(`*${sign}(a)`)(`x${sign}(a)`), true, sign);
    assert.equal(compileWildcard(`*${sign}(a)`)('xa'), false, sign);
  }
  assert.equal(compileWildcard('{a,b}*')('ab'), false);
  assert.equal(compileWildcard('#a*')('#ab'), true);
});

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
