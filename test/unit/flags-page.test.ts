import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { flagsPage, flagsPagePath } from '../../scripts/flags-page.ts';

test('docs/flags.md is what the tables of flags say: npm run flags-page makes it anew', () => {
  assert.equal(readFileSync(flagsPagePath, 'utf8'), flagsPage());
});
