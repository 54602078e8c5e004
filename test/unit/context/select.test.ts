// What words select in a folder, and what is said where they select nothing.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { bytesFromText, type ByteString } from '../../../src/bytes.ts';
import { compileExcludes, parseIgnoreFile } from '../../../src/context/ignore.ts';
import { selectSources, selectWithParents } from '../../../src/context/select.ts';
import type { SourceTree } from '../../../src/context/tree.ts';
import { walkSelection } from '../../../src/context/walk.ts';
import { diskView } from '../../../src/files/disk-view.ts';
import { BuilderError } from '../../../src/errors.ts';

/** A folder with these files; a name that ends in a slash is a folder, one with an arrow is a link. */
class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'yadokari-select-'));

  constructor(...names: string[]) {
    for (const name of names) {
      const [path = '', target] = name.split(' -> ');
      mkdirSync(join(this.path, path, path.endsWith('/') ? '' : '..'), { recursive: true });
      if (target !== undefined) symlinkSync(target, join(this.path, path));
      else if (!path.endsWith('/')) writeFileSync(join(this.path, path), '');
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }

  tree(ignore?: string, hides?: (path: ByteString) => boolean): SourceTree {
    const rules = ignore === undefined ? {} : { ignore: parseIgnoreFile(ignore, '.dockerignore') };
    return {
      files: diskView(bytesFromText(this.path)),
      label: 'the build context',
      keepsOwners: false,
      ...rules,
      ...(hides === undefined ? {} : { hides }),
    };
  }
}

/** Everything below what a word selects, as paths relative to it. */
function walk(tree: SourceTree, word: string, excludes: readonly string[] = []): string[] {
  const rules = excludes.length === 0 ? undefined : compileExcludes(excludes);
  return selectSources(tree, word).flatMap((root) => [...walkSelection(tree, root, rules)].map(({ relative }) => relative));
}

function failure(act: () => unknown): BuilderError {
  try {
    act();
  } catch (error) {
    if (error instanceof BuilderError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('selectSources() finds nothing below what is no folder', () => {
  using folder = new Folder('file', 'link -> file');
  for (const word of ['file/*', 'file/*/x', 'link/?', 'file*/*']) assert.deepEqual(selectSources(folder.tree(), word), [], word);
});

test('selectSources() names a match as it was found, and gives the place its links lead to', () => {
  using folder = new Folder('real/file', 'link -> real', 'alias -> real/file', 'up -> ../../../real/file');
  for (const [word, path, name] of [
    ['alias', 'real/file', 'alias'],
    ['link/file', 'real/file', 'file'],
    ['al*', 'real/file', 'alias'],
    ['up', 'real/file', 'up'],
    ['link/', 'real', 'link'],
    ['.', '.', '.'],
    ['/..', '.', '.'],
  ] as const) {
    assert.deepEqual(
      selectSources(folder.tree(), word).map((each) => [each.path, each.name]),
      [[path, name]],
      word,
    );
  }
});

test('selectSources() gives matches in the order of their bytes, and does not enter links behind a wildcard', () => {
  using folder = new Folder('b/x', 'a/x', 'B/x', '.c/x', 'l -> a');
  assert.deepEqual(
    selectSources(folder.tree(), '*/x').map((each) => each.path),
    ['.c/x', 'B/x', 'a/x', 'b/x'],
  );
});

for (const [word, message, hint] of [
  ['pakage.json', "Cannot copy 'pakage.json': not found in the build context", "did you mean 'package.json'?"],
  ['README.MD', /not found/, "did you mean 'README.md'?"],
  ['src/mian.ts', /not found/, "did you mean 'src/main.ts'?"],
  ['scr/main.ts', "Cannot copy 'scr/main.ts': not found in the build context ('scr' does not exist)", "did you mean 'src'?"],
  ['package.json/x', /not found/, undefined],
  ['utterly-different', /not found/, undefined],
  ['secret.tx', /not found/, undefined],
  ['secret.txt', /excluded from the build context by \.dockerignore:1 'secret\*'/, "remove that line, or add '!secret.txt' below it"],
  ['nowhere', /'nowhere' in the build context is a symbolic link to 'gone\/x', which is not found there/, /followed inside it/],
  ['own', /belongs to the builder/, undefined],
  ['nodir/*.js', /not found/, undefined],
  ['[x', /Cannot read pattern/, /'\*' stands for/],
] as const) {
  test(`selectSources() says why '${word}' selects nothing`, () => {
    using folder = new Folder('package.json', 'README.md', 'src/main.ts', 'secret.txt', 'nowhere -> /gone/x', 'own');
    const error = failure(() =>
      selectSources(
        folder.tree('secret*', (path) => path === 'own'),
        word,
      ),
    );
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
    if (hint instanceof RegExp) assert.match(error.hint ?? '', hint);
    else assert.equal(error.hint, hint);
  });
}

test('selectSources() says of a place that RUN could not fill whose it is', () => {
  using folder = new Folder('tmp/');
  const tree = { ...folder.tree(), isForeign: (path: string) => path.startsWith('tmp/') };
  assert.match(failure(() => selectSources(tree, '/tmp/out/app')).hint ?? '', /^what a RUN makes there is not the image's/);
});

test('selectSources() says of what was taken away which RUN ran then, instead of guessing another name', () => {
  using folder = new Folder('file2');
  const tree = { ...folder.tree(), lostIn: (path: string) => (path === 'file' ? 3 : undefined) };
  assert.match(
    failure(() => selectSources(tree, 'file')).hint ?? '',
    /^it was there until the RUN in line 3 ran: mount the context read-only/,
  );
  assert.equal(failure(() => selectSources(tree, 'file3')).hint, "did you mean 'file2'?");
});

test('walkSelection() leaves out what is ignored, excluded or hidden, parents first', () => {
  using folder = new Folder('a/b/c.txt', 'a/b/d.md', 'a/own/x', 'a/z', 'node_modules/m/x.js');
  const tree = folder.tree('node_modules\n**/*.md', (path) => path === 'a/own' || path.startsWith('a/own/'));
  assert.deepEqual(walk(tree, '.'), ['a', 'a/b', 'a/b/c.txt', 'a/z']);
  assert.deepEqual(walk(tree, 'a', ['b/*.txt']), ['b', 'z']);
  assert.deepEqual(walk(tree, 'a', ['b']), ['z']);
});

test('walkSelection() brings the directories above what is taken back, and only those', () => {
  using folder = new Folder('docs/a/1', 'docs/b/c/2', 'docs/b/c/3', 'docs/e/', 'x');
  assert.deepEqual(walk(folder.tree('docs\n!docs/b/c/2'), '.'), ['docs', 'docs/b', 'docs/b/c', 'docs/b/c/2', 'x']);
  assert.deepEqual(walk(folder.tree('docs\n!docs/nothing'), '.'), ['x']);
  assert.deepEqual(walk(folder.tree('*\n!**/[12]'), '.'), ['docs', 'docs/a', 'docs/a/1', 'docs/b', 'docs/b/c', 'docs/b/c/2']);
  assert.deepEqual(walk(folder.tree(), 'docs', ['*', '!b/c/2']), ['b', 'b/c', 'b/c/2']);
});

test('selectWithParents() takes patterns from the pivot on', () => {
  using folder = new Folder('x/y/z/1', 'x/y/2', 'x/k/3', 'w/y/2');
  const below = (word: string): string[] =>
    selectWithParents(folder.tree(), word).flatMap((root) =>
      [...walkSelection(folder.tree(), root)].map((item) => `${root.path}:${item.relative}`),
    );
  assert.deepEqual(below('x/k'), ['.:x', '.:x/k', '.:x/k/3']);
  assert.deepEqual(below('x/./y/z/1'), ['x:y', 'x:y/z', 'x:y/z/1']);
  assert.deepEqual(below('*/./y/2'), ['w:y', 'w:y/2', 'x:y', 'x:y/2']);
  assert.deepEqual(below('**/2'), ['.:w', '.:w/y', '.:w/y/2', '.:x', '.:x/y', '.:x/y/2']);
  assert.deepEqual(below('x/*/none'), []);
  assert.deepEqual(below('./x/./y/././2'), ['x:y', 'x:y/2']);
});

test('selectWithParents() says where a plain path goes through a link', () => {
  using folder = new Folder('real/f', 'l -> real');
  const error = failure(() => selectWithParents(folder.tree(), 'l/f'));
  assert.match(error.message, /goes through a symbolic link/);
  assert.equal(error.hint, "Name the place it leads to: 'real/f'.");
});
