import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findLibraries } from '../../scripts/native-libraries.ts';
import { temporaryFolder } from '../support/tree.ts';

test('findLibraries() takes what is installed, with its licence, does without the others, and says so', (context) => {
  const root = temporaryFolder(context);
  const folder = join(root, 'usr/lib', process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu');
  for (const made of [folder, join(root, 'usr/share/doc/liblzma5')]) mkdirSync(made, { recursive: true });
  writeFileSync(join(folder, 'liblzma.so.5'), 'library');
  writeFileSync(join(root, 'usr/share/doc/liblzma5/copyright'), 'licence');
  const lines: string[] = [];
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    const found = findLibraries((line) => lines.push(line), root);
    assert.deepEqual(
      found.map(({ name, library, licence }) => [name, library.toString(), licence.toString()]),
      [['liblzma.so.5', 'library', 'licence']],
    );
  } finally {
    process.env['PATH'] = path;
  }
  const reason = 'is not installed, and apt gives none (spawnSync apt-get ENOENT)';
  assert.deepEqual(lines, [
    ...(process.arch === 'x64' ? [`The image goes without ISA-L and compresses by zlib: libisal2 ${reason}`] : []),
    `The image goes without libbz2 and reads no bzip2: libbz2-1.0 ${reason}`,
  ]);
});
