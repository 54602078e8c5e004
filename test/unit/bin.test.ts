import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');

test('bin/yadokari starts from any folder and through links, whatever Node the machine has', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'yadokari-bin-'));
  symlinkSync(join(root, 'bin/yadokari'), join(folder.path, 'first'));
  symlinkSync('first', join(folder.path, 'second'));
  const output = execFileSync('./second', ['version'], { cwd: folder.path, env: { PATH: '/usr/bin:/bin' }, encoding: 'utf8' });
  const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  assert.ok(typeof manifest === 'object' && manifest !== null && 'version' in manifest);
  assert.equal(output.trim(), `yadokari ${String(manifest.version)}`);
});

test(
  'bin/yadokari keeps V8’s code in a clone of its own, and leaves another’s as it was',
  { skip: process.getuid?.() !== 0 && 'needs root to be somebody else' },
  () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'yadokari-clone-'));
    chmodSync(folder.path, 0o755);
    mkdirSync(join(folder.path, 'bin'));
    mkdirSync(join(folder.path, 'node_modules/node/bin'), { recursive: true });
    copyFileSync(join(root, 'bin/yadokari'), join(folder.path, 'bin/yadokari'));
    // In place of Node: the variable is all that is asked for.
    const node = join(folder.path, 'node_modules/node/bin/node');
    writeFileSync(node, '#!/bin/sh\necho "${NODE_COMPILE_CACHE-none}"\n', { mode: 0o755 });
    const said = (): string => execFileSync(join(folder.path, 'bin/yadokari'), { env: { PATH: '/usr/bin:/bin' }, encoding: 'utf8' }).trim();
    assert.equal(said(), join(folder.path, 'node_modules/.cache/yadokari'));
    chownSync(join(folder.path, 'node_modules'), 1000, 1000);
    assert.equal(said(), 'none');
  },
);

test('bin/yadokari starts the program that was made of the sources, until one of them is newer', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'yadokari-clone-'));
  const inClone = (path: string): string => join(folder.path, path);
  for (const name of ['bin', 'node_modules/node/bin', 'src/cli', 'scripts', 'docs', 'build/program'])
    mkdirSync(inClone(name), { recursive: true });
  copyFileSync(join(root, 'bin/yadokari'), inClone('bin/yadokari'));
  // In place of Node: what it is given is all that is asked for.
  writeFileSync(inClone('node_modules/node/bin/node'), '#!/bin/sh\necho "$2"\n', { mode: 0o755 });
  const sources = [
    'src/main.ts',
    'src/cli/flags.ts',
    'scripts/bundle.ts',
    'docs/errors.md',
    'package.json',
    'node_modules/.package-lock.json',
  ];
  for (const name of [...sources, 'build/program/main.js']) writeFileSync(inClone(name), '');
  const started = (): string => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20); // longer than a tick of the clock that files have
    return relative(folder.path, execFileSync(inClone('bin/yadokari'), { encoding: 'utf8' }).trim());
  };
  const make = (): void => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    utimesSync(inClone('build/program/main.js'), new Date(), new Date());
  };
  make();
  assert.equal(started(), 'build/program/main.js');
  // A folder is newer where a source came into it, or went; and a file that was copied with the time that it had elsewhere.
  for (const name of ['src', 'src/cli', 'scripts', ...sources]) {
    utimesSync(inClone(name), 1_000, 1_000);
    assert.equal(started(), 'src/main.ts', name);
    make();
    assert.equal(started(), 'build/program/main.js');
  }
  rmSync(inClone('node_modules/.package-lock.json')); // what can't be compared is newer
  assert.equal(started(), 'src/main.ts');
});
