import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { errorsPage, errorsPagePath } from '../../scripts/errors-page.ts';

test('docs/errors.md is what the table of errors says: npm run errors-page makes it anew', () => {
  assert.equal(readFileSync(errorsPagePath, 'utf8'), errorsPage());
});
