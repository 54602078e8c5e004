import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempDisposableSync, readFileSync, symlinkSync } from 'node:fs';
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
