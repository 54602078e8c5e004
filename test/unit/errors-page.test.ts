import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { errorText } from '../../src/cli/error-help.ts';

test('docs/errors.md has a section for every code of an error, and for no other', () => {
  const root = join(import.meta.dirname, '../..');
  const codes = [...readFileSync(join(root, 'src/errors.ts'), 'utf8').matchAll(/^ {2}\| '(ERR_\w+)'/gm)].map(([, code]) => code);
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  assert.deepEqual(
    [...page.matchAll(/^## (.*)$/gm)].map(([, title]) => title),
    codes,
  );
});

test('errorText() is the section of a code, and nothing for another word', () => {
  assert.match(errorText('ERR_TAMPERED') ?? '', /^## ERR_TAMPERED\n\nA RUN changed [^]*\nWhat to try:\n\n[^#]*[^\n]\n$/);
  assert.equal(errorText('ERR_NONE'), undefined);
});
