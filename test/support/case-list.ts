// Lists of what can go wrong, with the test that holds each case: a case whose test is gone fails.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

/** By id: each case, the file below test/ that holds it, and words of its title, or of the row that gives its title. */
export type CaseList = Readonly<Record<string, readonly (readonly [what: string, file: string, title: string])[]>>;

/** Registers a test for each id. */
export function testList(list: CaseList): void {
  for (const [id, cases] of Object.entries(list))
    test(`${id} has a test for each of its cases`, () => {
      assert.ok(cases.length > 0);
      for (const [what, file, title] of cases) {
        // As it stands there, however its lines are broken.
        const source = readFileSync(join(import.meta.dirname, '..', `${file}.test.ts`), 'utf8');
        assert.ok(source.includes(title), `${what}: test/${file}.test.ts has no "${title}"`);
      }
    });
}
