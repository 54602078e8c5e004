import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempDisposableSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
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
