import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { buildFlags } from '../../src/cli/tables/build.ts';

const root = resolve(import.meta.dirname, '../..');
const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

for (const page of ['README.md', ...pages.map((name) => `docs/${name}`)])
  test(`what ${page} leads to is there`, () => {
    const targets = [...read(page).matchAll(/\]\(([^)#]+)[^)]*\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^https?:/.test(target));
    assert.deepEqual(
      targets.filter((target) => !existsSync(join(root, dirname(page), target))),
      [],
    );
  });

test('docs/README.md has every page', () => {
  const index = read('docs/README.md');
  assert.deepEqual(
    pages.filter((name) => name !== 'README.md' && !index.includes(`](${name})`)),
    [],
  );
});

test('each flag that docs/kaniko.md speaks of is one, of a build or of COPY', () => {
  const known = new Set([
    ...buildFlags.flatMap(({ name, aliases = [] }) => [name, ...aliases]),
    'link',
    'parents',
    'exclude',
    'mount',
    'chown',
  ]);
  const [, told = ''] = read('docs/kaniko.md').split('## What people ask');
  const named = [...told.matchAll(/(?<![\w-])--([A-Za-z][\w-]*)/g)].map(([, name = '']) => name).filter((name) => name !== 'from');
  assert.ok(named.length > 40);
  assert.deepEqual(
    named.filter((name) => name !== 'flag' && !known.has(name)),
    [],
  );
});
