import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findIsal } from '../../scripts/isal-library.ts';
import { temporaryFolder } from '../support/tree.ts';

const skip = process.arch === 'x64' ? false : 'only x86-64 has it';

test('findIsal() takes the library that is installed, with its licence', { skip }, (context) => {
  const root = temporaryFolder(context);
  mkdirSync(join(root, 'usr/lib/x86_64-linux-gnu'), { recursive: true });
  mkdirSync(join(root, 'usr/share/doc/libisal2'), { recursive: true });
  writeFileSync(join(root, 'usr/lib/x86_64-linux-gnu/libisal.so.2'), 'library');
  writeFileSync(join(root, 'usr/share/doc/libisal2/copyright'), 'licence');
  const lines: string[] = [];
  const found = findIsal((line) => lines.push(line), root);
  assert.deepEqual([found?.library.toString(), found?.licence.toString(), lines], ['library', 'licence', []]);
});

test('findIsal() does without where nothing is installed and apt is not there, and says so', { skip }, (context) => {
  const lines: string[] = [];
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    assert.equal(
      findIsal((line) => lines.push(line), temporaryFolder(context)),
      undefined,
    );
  } finally {
    process.env['PATH'] = path;
  }
  assert.deepEqual(lines, [
    'The image goes without ISA-L and compresses by zlib: libisal2 is not installed, and apt gives none (spawnSync apt-get ENOENT)',
  ]);
});
