import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BuilderError, DockerfileError } from '../../../src/errors.ts';
import { expandHeredoc, expandWord, expandWords } from '../../../src/dockerfile/words.ts';

const environment = new Map([
  ['A', 'hello'],
  ['B', 'two words'],
  ['P', '/usr/local/lib/node.js'],
  ['EMPTY', ''],
  ['PORTS', '80 443'],
  ['Q', 'it\'s "x"'],
  ['STAR', 'a*b?c'],
  ['DIR', 'a/b/c/d'],
  ['LINES', 'one\ntwo'],
  ['Ü', 'umlaut'],
  ['A1', 'a-one'],
  ['_u', 'under'],
  ['BRACE', 'a}b'],
  ['BACK', 'a\\b'],
  ['REP', 'aaa'],
]);

const readers: Readonly<Record<string, (word: string) => string>> = {
  split: (word) =>
    expandWords(word, environment)
      .words.map((part) => `[${part}]`)
      .join(''),
  'heredoc body': (word) => expandHeredoc(word, environment).value,
  'escapes with backtick': (word) => expandWord(word, environment, { escape: '`' }).value,
};

function rowsOf(table: string): readonly { section: string; word: string; expected: string }[] {
  let section = '';
  const rows: { section: string; word: string; expected: string }[] = [];
  for (const line of table.split('\n').slice(5)) {
    if (line === '') continue;
    if (line.startsWith('== ')) {
      section = line.slice(3);
      continue;
    }
    const at = line.lastIndexOf(' | ');
    assert.ok(at >= 0, `no " | " in ${line}`);
    const [word, expected] = [line.slice(0, at), line.slice(at + 3)].map((text) =>
      text.replaceAll('⏎', '\n').replaceAll('⇥', '\t').replace(/␣$/, ''),
    );
    rows.push({ section, word: word ?? '', expected: expected ?? '' });
  }
  return rows;
}

const rows = rowsOf(readFileSync(new URL('../../fixtures/dockerfile/words.txt', import.meta.url), 'utf8'));

test('the table of words has not been cut short', () => {
  assert.ok(rows.length >= 150, `${rows.length} rows`);
});

for (const { section, word, expected } of rows) {
  const expand = readers[section] ?? ((text: string): string => expandWord(text, environment).value);
  test(`${section}: ${JSON.stringify(word)} becomes ${JSON.stringify(expected)}`, () => {
    if (!expected.startsWith('! ')) {
      assert.equal(expand(word), expected);
      return;
    }
    assert.throws(
      () => expand(word),
      (error) => {
        assert.ok(error instanceof BuilderError);
        assert.equal(error.message, `Cannot expand ${JSON.stringify(word)}: ${expected.slice(2)}`);
        return true;
      },
    );
  });
}

test('expandWord() names unset and used variables once each, in order', () => {
  const { value, unset, used } = expandWord('$X$A$Y$X${B:-$Z}${W:-$A}', environment);
  assert.equal(value, 'hellotwo wordshello');
  assert.deepEqual(unset, ['X', 'Y', 'Z', 'W']);
  assert.deepEqual(used, ['A', 'B']);
});

test('expandWord() takes a function as its environment', () => {
  assert.equal(expandWord('$x-$y', (name) => (name === 'x' ? '1' : undefined)).value, '1-');
});

test('expandWord() pins its error to the range it is given', () => {
  const range = { start: { line: 3, column: 5 }, end: { line: 3, column: 9 } };
  assert.throws(
    () => expandWord('${A', environment, { range }),
    (error) => error instanceof DockerfileError && error.range === range && error.hint === 'write a literal dollar sign as \\$',
  );
});

test('expandWord() shortens a long word in its error', () => {
  assert.throws(() => expandWord(`${'x'.repeat(200)}\${A`, environment), /^BuilderError: Cannot expand "x{77}\.\.\.": missing "}"$/);
});

test('expandWord() reads 200 nested braces, and refuses more in one line', () => {
  const nested = (depth: number): string => `${'${B:-'.repeat(depth)}x${'}'.repeat(depth)}`;
  assert.equal(expandWord(nested(200), new Map()).value, 'x');
  assert.throws(() => expandWord(nested(2000), environment), /^BuilderError: Cannot expand .*: "\$\{" nests more than 200 deep$/);
  assert.throws(() => expandWord(`"${nested(2000)}"`, environment), /nests more than 200 deep/);
});

test('U+FEFF is no blank, U+0085 and U+00A0 are', () => {
  assert.deepEqual(expandWords('a\ufeffb c\u0085d\u00a0e', environment).words, ['a\ufeffb', 'c', 'd', 'e']);
});

for (const [what, pattern, value] of [
  ['stars', `${'*a'.repeat(20_000)}b`, 'a'.repeat(20_000)],
  ['stars at each place', `${'a*'.repeat(20_000)}b`, 'a'.repeat(40_000)],
  ['lines', 'a*b', 'ac\n'.repeat(50_000)],
] as const) {
  test(`expandWord() replaces what many ${what} match in about linear time`, () => {
    const start = performance.now();
    assert.equal(expandWord(`\${X//${pattern}/x}`, new Map([['X', value]])).value, value);
    assert.ok(performance.now() - start < 5000);
  });
}

test('expandWord() refuses a value that would fill the memory, quoted, replaced or not', () => {
  const half = new Map([['X', 'x'.repeat(2 ** 21)]]);
  assert.equal(expandWord('$X$X', half).value.length, 2 ** 22);
  const words = ['$X${X}$X', '"$X$X$X"', '${Y:-$X$X$X}', '${X//x/yyy}', '${X//x/$X}', '${X//?/$X}', '${X//z*/}${X/x/$X$X}'];
  for (const word of words) assert.throws(() => expandWord(word, half), /becomes longer than 4194304/, word);
});

test('expandWord() refuses a pattern that would be compared too often', () => {
  const word = `\${X//${'a'.repeat(30_000)}b/x}`;
  assert.throws(
    () => expandWord(word, new Map([['X', 'a'.repeat(60_000)]])),
    /a pattern of 30001 characters is too long for a value of 60000/,
  );
});

test('expandWord() matches many stars without running forever', () => {
  const pattern = `${'*a'.repeat(30)}b`;
  assert.equal(expandWord(`\${X#${pattern}}`, new Map([['X', 'a'.repeat(3000)]])).value.length, 3000);
});

test('expandHeredoc() takes a body of megabytes in a memory that is not many times its size', () => {
  const body = 'plain words, "quotes" and slashes/\n'.repeat(80_000);
  const before = process.memoryUsage().heapUsed;
  const { value } = expandHeredoc(`$a\n${body}`, new Map([['a', 'b']]));
  const taken = process.memoryUsage().heapUsed - before;
  assert.equal(value, `b\n${body}`);
  assert.ok(taken < 30 * body.length, `${taken} bytes for ${body.length}`);
});
