// Which files a walk gives, in which order, and which folders it need not even look into.
import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { compileExcludes, parseIgnoreFile } from '../../../src/context/ignore.ts';
import { diskView } from '../../../src/files/disk-view.ts';
import type { SourceTree } from '../../../src/context/tree.ts';
import { type WalkRoot, isEmptyWalk, walkSelection } from '../../../src/context/walk.ts';
import { temporaryFolder } from '../../support/tree.ts';

interface Walk {
  /** What the walk starts at; the tree's root where left out. */
  readonly from?: string;
  readonly ignore?: string;
  readonly includes?: readonly string[];
  readonly excludes?: readonly string[];
  readonly hidden?: readonly string[];
}

interface Walked {
  /** Relative to the start, in the order they came. */
  readonly found: readonly string[];
  /** All names that were looked at, relative to the tree. */
  readonly seen: readonly string[];
  readonly isEmpty: boolean;
}

const names = ['a/b/c', 'a/b/d', 'a/e', 'docs/deep/er/x', 'docs/deep/y', 'docs/z', 'src/lib/one.ts', 'src/two.ts', 'top'];

function walk(context: TestContext, { from = '.', ignore, includes, excludes, hidden = [] }: Walk): Walked {
  const folder = temporaryFolder(context);
  for (const file of names) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    writeFileSync(join(folder, file), '');
  }
  symlinkSync('a', join(folder, 'link'));
  const seen: string[] = [];
  const files = diskView(bytesFromText(folder));
  const tree: SourceTree = {
    files,
    label: 'the build context',
    keepsOwners: false,
    hides: (path) => {
      seen.push(path);
      return hidden.includes(path);
    },
    ...(ignore === undefined ? {} : { ignore: parseIgnoreFile(ignore, '.dockerignore') }),
  };
  const root: WalkRoot = {
    path: bytesFromText(from),
    stat: must(files.stat(bytesFromText(from))),
    ...(includes === undefined ? {} : { includes: compileExcludes(includes) }),
  };
  const found = [...walkSelection(tree, root, excludes === undefined ? undefined : compileExcludes(excludes))];
  for (const { path, relative, stat } of found) {
    assert.equal(path, join(from, relative), 'the path is that in the tree');
    const { dev, ino } = lstatSync(join(folder, path));
    assert.equal(stat.identity, `${dev}:${ino}`, 'the stat is that of the path');
  }
  const walkedNames = [...seen];
  return { found: found.map(({ relative }) => relative), seen: walkedNames, isEmpty: isEmptyWalk(tree, root) };
}

function must<Value>(value: Value | undefined): Value {
  assert.ok(value !== undefined);
  return value;
}

const everything = [
  'a a/b a/b/c a/b/d a/e',
  'docs docs/deep docs/deep/er docs/deep/er/x docs/deep/y docs/z',
  'link',
  'src src/lib src/lib/one.ts src/two.ts',
  'top',
].join(' ');

const rows: readonly (readonly [what: string, walk: Walk, found: string])[] = [
  ['everything, parents first and by name, and no link is followed', {}, everything],
  ['what is below its start, by names from there', { from: 'docs' }, 'deep deep/er deep/er/x deep/y z'],
  ['nothing below a file', { from: 'top' }, ''],
  ['nothing below a link', { from: 'link' }, ''],
  ['nothing that is ignored', { ignore: 'a\ndocs/deep\n*.ts\nlink' }, 'docs docs/z src src/lib src/lib/one.ts src/two.ts top'],
  ['nothing below a start that is ignored', { from: 'a', ignore: 'a' }, ''],
  ['what is taken back below a start that is ignored', { from: 'a', ignore: 'a\n!a/b/d' }, 'b b/d'],
  ['what is taken back, with the folders above it', { ignore: '*\n!docs/deep/er/x' }, 'docs docs/deep docs/deep/er docs/deep/er/x'],
  ['folders above what is taken back once', { ignore: '*\n!a/b/*\n!a/e' }, 'a a/b a/b/c a/b/d a/e'],
  ['no folder above what is not there', { ignore: '*\n!docs/none' }, ''],
  ['nothing that is excluded, by names from its start', { from: 'docs', excludes: ['deep/er', 'z'] }, 'deep deep/y'],
  [
    'what is excluded by its name from the root, but not from the start',
    { from: 'docs', excludes: ['docs/z'] },
    'deep deep/er deep/er/x deep/y z',
  ],
  ['what is excluded and taken back', { excludes: ['*', '!src/two.ts'] }, 'src src/two.ts'],
  ['nothing that is hidden, nor what is below', { hidden: ['a', 'docs/deep'], ignore: 'src' }, 'docs docs/z link top'],
  ['what is included, with the folders above it', { includes: ['docs/deep/y'] }, 'docs docs/deep docs/deep/y'],
  ['all below a folder that is included', { includes: ['a'] }, 'a a/b a/b/c a/b/d a/e'],
  ['what a pattern includes', { includes: ['*/deep/*'] }, 'docs docs/deep docs/deep/er docs/deep/er/x docs/deep/y'],
  ['what a pattern includes at any depth', { includes: ['**/*.ts'] }, 'src src/lib src/lib/one.ts src/two.ts'],
  ['what is included by an escaped name', { includes: ['\\src/two.ts'] }, 'src src/two.ts'],
  ['what is included and not excluded', { includes: ['src'], excludes: ['src/lib'] }, 'src src/two.ts'],
  ['what is included and not ignored', { includes: ['docs'], ignore: 'docs/deep' }, 'docs docs/z'],
  ['nothing where nothing is included', { includes: ['none/at/all'] }, ''],
  ['no folder that holds nothing included', { includes: ['a/none'] }, ''],
];
for (const [what, options, found] of rows) {
  test(`walkSelection() gives ${what}`, (context) => assert.deepEqual(walk(context, options).found, found.split(' ').filter(Boolean)));
}

const unseen: readonly (readonly [what: string, walk: Walk, seen: string])[] = [
  ['that are ignored for good', { ignore: 'a\ndocs\n!top\nsrc' }, 'a docs link src top'],
  ['that are excluded for good', { excludes: ['a', 'docs', 'src'] }, 'a docs link src top'],
  ['that no plain include reaches', { includes: ['docs/deep/y'] }, 'a docs docs/deep docs/deep/er docs/deep/y docs/z link src top'],
  ['that are deeper than an include', { includes: ['none', 'docs/z'] }, 'a docs docs/deep docs/z link src top'],
  ['beside what a pattern reaches', { includes: ['[ad]*/e'] }, 'a a/b a/e docs docs/deep docs/z link src src/lib src/two.ts top'],
];
for (const [what, options, seen] of unseen) {
  test(`walkSelection() does not look into folders ${what}`, (context) => {
    const { seen: all } = walk(context, options);
    const expected = new Set(seen.split(' '));
    assert.deepEqual(
      all.filter((path) => !expected.has(path)),
      [],
    );
  });
}

test('isEmptyWalk() is true only where includes are given and reach nothing', (context) => {
  assert.deepEqual(
    [{}, { includes: ['a'] }, { includes: ['none'] }, { includes: ['a/none'] }, { from: 'top' }, { from: 'top', includes: ['a'] }].map(
      (options) => walk(context, options).isEmpty,
    ),
    [false, false, true, true, false, true],
  );
});
