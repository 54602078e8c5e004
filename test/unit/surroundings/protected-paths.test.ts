// What is given by a name that leads through a link of the container's own.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { protectedPaths } from '../../../src/surroundings/protected-paths.ts';

let root = '';
before(() => {
  root = mkdtempSync(join(tmpdir(), 'yadokari-root-'));
  mkdirSync(join(root, 'var'));
  mkdirSync(join(root, 'run'));
  symlinkSync('../run', join(root, 'var/run'));
});
after(() => rmSync(root, { recursive: true }));

for (const [what, given, expected] of [
  ['below a link', 'var/run/cache', 'run/cache'],
  ['that is not there, below a link', 'var/run/a/b', 'run/a/b'],
  ['that is a link', 'var/run', 'var/run'],
  ['without a link', 'var/lib', 'var/lib'],
] as const)
  test(`a path ${what} is protected where it leads`, () => {
    assert.deepEqual(protectedPaths(root, [join(root, given)], []), [expected]);
  });
