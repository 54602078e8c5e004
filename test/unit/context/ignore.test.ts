// Rules of .dockerignore and --exclude, as tables, and at random against a model that is slow and plain.
import assert from 'node:assert/strict';
import test from 'node:test';
import { compileExcludes, judgePath, mayTakeBack, parseIgnoreFile } from '../../../src/context/ignore.ts';
import { randomFrom } from '../../support/random.ts';

// patterns, one a blank | ignored paths | paths that are not
const table = `
node_modules        | node_modules node_modules/a/b            | a/node_modules node_modules2
/build/             | build build/x                            | a/build
./x/../y            | y y/z                                    | x
*.md                | a.md .md                                 | d/a.md a.mdx
**/*.md             | a.md d/a.md d/e/.md                      | a.mdx
**.md               | a.md d/a.md d/x.md                       | a.mdx
**/foo              | foo a/foo a/b/foo foo/x                  | foo2 a/xfoo
a/**                | a/b a/b/c                                | a b
**                  | a a/b .x                                 |
a**                 | a ab a/b abc/d                           | b
a**b                | ab a/b ax/y/b                            | axb
a/**/b              | a/b a/x/b a/x/y/b a/b/c                  | a/x ab
?x                  | ax .x                                    | x /x abx
[a-c]x              | ax cx                                    | dx
[^a-c]x             | dx                                       | ax
[!a]x               | !x ax                                    | bx
[]                  | error                                    |
[a                  | error                                    |
x\\                 | error                                    |
a\\*                | a*                                       | ab
{a,b}               | {a,b}                                    | a b
+(a)                | +(a)                                     | a aa
a.c                 | a.c                                      | abc
.env*               | .env .env.local                          | env x/.env
docs !docs/README   | docs docs/x docs/README2                 | docs/README
docs !docs/* docs/x | docs docs/x                              | docs/y docs/z/q
*.md !README.md     | a.md                                     | README.md
!README.md *.md     | README.md a.md                           |
* !a                | b b/a                                    | a a/x
* !a/b              | a a/c                                    | a/b a/b/c
**/x !**/y/x        | x a/x                                    | y/x a/y/x
a/b !a              | a/b a/b/c                                | a a/c
ä?                  | äö ä€ ä😀                                | ä äbc
..                  |                                          | a
.                   |                                          | a
`;

for (const row of table.split('\n').filter((line) => line !== '')) {
  const [patterns = '', ignored = '', kept = ''] = row.split('|').map((cell) => cell.trim());
  test(`ignore rules '${patterns}'`, () => {
    const compile = (): ReturnType<typeof compileExcludes> => compileExcludes(patterns.replaceAll('\\\\', '\\').split(' '));
    if (ignored === 'error') return assert.throws(compile, { code: 'ERR_CONTEXT' });
    const rules = compile();
    for (const path of words(ignored)) assert.equal(judgePath(rules, path).isIgnored, true, `${path} is ignored`);
    for (const path of words(kept)) assert.equal(judgePath(rules, path).isIgnored, false, `${path} is kept`);
  });
}

test('parseIgnoreFile() drops comments and blanks, keeps line numbers, and takes a BOM and CRLF', () => {
  const { rules } = parseIgnoreFile('\ufeff# comment\r\n\r\n  a  \r\n! b\r\n #c\r\n/\r\n', 'f');
  assert.deepEqual(
    rules.map(({ pattern, line, isException }) => [pattern, line, isException]),
    [
      ['a', 3, false],
      ['b', 4, true],
      ['#c', 5, false],
    ],
  );
});

test('parseIgnoreFile() names file and line of a bad pattern', () => {
  assert.throws(() => parseIgnoreFile('a\n[x', 'app.dockerignore'), { code: 'ERR_CONTEXT', message: /'\[x'.*app\.dockerignore:2/ });
  assert.throws(() => parseIgnoreFile('!', 'i'), /i:1.*nothing follows/);
});

test('judgePath() tells which rule decided', () => {
  const rules = parseIgnoreFile('a\n!a/b\n**/c', '.dockerignore');
  assert.deepEqual(
    ['a/x', 'a/b', 'a/b/c', 'z'].map((path) => judgePath(rules, path).rule?.line),
    [1, 2, 3, undefined],
  );
});

test('a path with a newline does not slip through', () => {
  for (const pattern of ['**/secret', '*secret', 'a*', '**'])
    assert.equal(judgePath(compileExcludes([pattern]), 'a\nsecret').isIgnored, pattern !== '**/secret', pattern);
  assert.equal(judgePath(compileExcludes(['**/secret']), 'a\nb/secret').isIgnored, true);
});

test('judgePath() decides as a plain model does, for random rules and paths', () => {
  const random = randomFrom(20_261_121);
  const pieces = [
    'a',
    'b',
    'ab',
    '*',
    '?',
    '**',
    '[ab]',
    '[^a]',
    '.',
    'a.b',
    '\\*',
    '*b',
    'a*',
    '**b',
    'a**',
    'a**b',
    '{a',
    '+(a)',
    '!b',
    '***',
  ];
  const names = ['a', 'b', 'ab', 'a.b', '.', '..', '*', 'ba', 'aab', '{a', '!b', '+(a)'].filter((name) => name !== '.' && name !== '..');
  for (let round = 0; round < 4000; round += 1) {
    const patterns = Array.from({ length: 1 + random(4) }, () => {
      const body = Array.from({ length: 1 + random(3) }, () => pieces[random(pieces.length)]).join('/');
      return `${random(3) === 0 ? '!' : ''}${body}`;
    });
    const rules = compileExcludes(patterns);
    const path = Array.from({ length: 1 + random(4) }, () => names[random(names.length)]).join('/');
    assert.equal(judgePath(rules, path).isIgnored, modelIgnores(patterns, path), `${JSON.stringify(patterns)} on ${path}`);
  }
});

test('mayTakeBack() is never false where something below is taken back', () => {
  const random = randomFrom(7);
  const pieces = ['a', 'b', '*', '**', 'a**b', '[ab]', '?'];
  for (let round = 0; round < 3000; round += 1) {
    const patterns = Array.from(
      { length: 1 + random(4) },
      () => `${random(2) === 0 ? '!' : ''}${Array.from({ length: 1 + random(3) }, () => pieces[random(pieces.length)]).join('/')}`,
    );
    const rules = compileExcludes(patterns);
    const directory = Array.from({ length: 1 + random(2) }, () => ['a', 'b'][random(2)]).join('/');
    const below = `${directory}/${Array.from({ length: 1 + random(2) }, () => ['a', 'b'][random(2)]).join('/')}`;
    if (!judgePath(rules, directory).isIgnored || judgePath(rules, below).isIgnored) continue;
    assert.equal(mayTakeBack(rules, directory), true, `${JSON.stringify(patterns)}: ${below} below ${directory}`);
  }
});

test('mayTakeBack() is false where no exception can reach', () => {
  const rules = compileExcludes(['node_modules', '!docs/README.md', '!src/*.ts']);
  assert.equal(mayTakeBack(rules, 'node_modules'), false);
  assert.equal(mayTakeBack(rules, 'docs'), true);
});

function words(cell: string): string[] {
  return cell.split(' ').filter((word) => word !== '');
}

// The model: each pattern as one regular expression over the whole path; every rule asked at every level.
function modelIgnores(patterns: readonly string[], path: string): boolean {
  const rules = patterns.map((text) => ({ isException: text.startsWith('!'), expression: modelExpression(clean(text.replace(/^!/, ''))) }));
  const components = path.split('/');
  let above: boolean[] = rules.map(() => false);
  let isIgnored = false;
  for (let depth = 1; depth <= components.length; depth += 1) {
    const here = components.slice(0, depth).join('/');
    isIgnored = false;
    above = rules.map(({ isException, expression }, index) => {
      const isMatch = above[index] === true || (isException === isIgnored && expression.test(here));
      if (isMatch) isIgnored = !isException;
      return isMatch;
    });
  }
  return isIgnored;
}

function clean(pattern: string): string {
  return pattern
    .split('/')
    .filter((component) => component !== '.')
    .join('/');
}

function modelExpression(pattern: string): RegExp {
  if (pattern === '') return /^$/;
  if (/^\*\*[^*?[\\/]+(?:\/[^*?[\\]*)?$/.test(pattern)) return new RegExp(`${RegExp.escape(pattern.slice(2))}$`);
  const translated = pattern.replaceAll(
    /\*\*\/?$|\*\*\/?|\*|\?|\\(.)|(\[[^\]]*\])|[^]/g,
    (piece, escaped: string | undefined, characters: string | undefined, at: number) => {
      if (escaped !== undefined) return RegExp.escape(escaped);
      if (characters !== undefined) return `(?!/)${characters}`;
      if (piece.startsWith('**')) return at + piece.length === pattern.length ? '.*' : '(?:.*/)?';
      if (piece === '*') return '[^/]*';
      return piece === '?' ? '[^/]' : RegExp.escape(piece);
    },
  );
  return new RegExp(`^${translated}$`, 'su');
}

test('U+FEFF is a blank at the beginning of an ignore file only', () => {
  const rules = parseIgnoreFile('\ufeffa\n\ufeffb\nc\ufeff\n\u0085d\u00a0\n', '.dockerignore');
  const ignored = ['a', 'b', '\ufeffb', 'c', 'c\ufeff', 'd'].filter((path) => judgePath(rules, path).isIgnored);
  assert.deepEqual(ignored, ['a', '\ufeffb', 'c\ufeff', 'd']);
});
