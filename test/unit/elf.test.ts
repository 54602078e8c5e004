import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { isStatic, readLoader, replaceText, setLoader, withoutSections } from '../../scripts/elf.ts';
import { sharedObjects } from '../../scripts/image-files.ts';

const node = readFileSync(process.execPath);

test('withoutSections() keeps a program that runs, without its symbols', () => {
  const kept = withoutSections(Buffer.from(node));
  assert.ok(kept.length <= node.length);
  assert.equal(kept.readUInt16LE(0x3c), 0);
  using folder = mkdtempDisposableSync('/tmp/y');
  const program = join(folder.path, 'node');
  writeFileSync(program, kept, { mode: 0o755 });
  assert.equal(execFileSync(program, ['-p', 'process.version'], { encoding: 'utf8' }).trim(), process.version);
});

test('setLoader() makes a program take its loader and every library from one folder', () => {
  // The folder's name is this short because two paths share the place of /lib64/ld-linux-x86-64.so.2.
  using folder = mkdtempDisposableSync('/tmp/y');
  const kept = withoutSections(Buffer.from(node));
  setLoader(kept, `${folder.path}/l`, folder.path);
  assert.deepEqual(readLoader(kept), { loader: `${folder.path}/l`, libraryFolder: folder.path });
  const libraries = sharedObjects().filter((path) => /\/(?:lib|ld-)[^/]*\.so\.\d+$/.test(path));
  for (const path of libraries) {
    const name = basename(path).startsWith('ld-') ? 'l' : basename(path);
    writeFileSync(join(folder.path, name), readFileSync(path), { mode: 0o755 });
  }
  const program = join(folder.path, 'node');
  writeFileSync(program, kept, { mode: 0o755 });
  const loaded = execFileSync(program, ['-p', 'process.report.getReport().sharedObjects.join("\\n")'], { encoding: 'utf8' });
  const outside = loaded
    .trim()
    .split('\n')
    .filter((path) => !path.startsWith(`${folder.path}/`) && !path.startsWith('linux-vdso'));
  assert.deepEqual(outside, []);
  assert.ok(loaded.includes(`${folder.path}/libc.so.6`));
});

test('setLoader() refuses paths that do not fit into the old place', () => {
  assert.throws(() => setLoader(Buffer.from(node), '/a/much/longer/loader', '/and/folder'), /only \d+ bytes/);
});

test('replaceText() replaces whole texts only and fills up with NUL', () => {
  const bytes = Buffer.from('x\0/etc/a\0see /etc/a\0/etc/a\0');
  replaceText(bytes, '/etc/a', '/b');
  assert.equal(bytes.toString(), 'x\0/b\0\0\0\0\0see /etc/a\0/b\0\0\0\0\0');
});

test('replaceText() fails where the text does not occur or the new one is longer', () => {
  assert.throws(() => replaceText(Buffer.from('\0abc\0'), 'abd', 'x'), /does not contain it/);
  assert.throws(() => replaceText(Buffer.from('\0abc\0'), 'abc', 'abcd'), /is longer/);
});

test('isStatic() tells a program with a loader from one without, and refuses what is no program', () => {
  assert.equal(isStatic(node), false);
  assert.throws(() => isStatic(Buffer.alloc(100)), /not a little-endian 64-bit ELF/);
});
