// --reproducible: the same files give the same bytes, whenever they were made, in whatever order, and on whatever file system.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const names = Array.from({ length: 40 }, (_, index) => `file-${(index * 17) % 40}`);

/** The digest of an image of the same files, made in that order with that time, in a folder below `parent`. */
function digestOf(parent: string, order: readonly string[], time: string, compression: string): string {
  const folder = mkdtempSync(join(parent, 'yadokari-same-'));
  try {
    mkdirSync(join(folder, 'files/deep'), { recursive: true });
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY files /files\nWORKDIR /made\nENV A=1\n');
    for (const name of order) for (const place of ['files', 'files/deep']) writeFileSync(join(folder, place, name), name.repeat(1000));
    for (const name of [...order, '.'])
      for (const place of ['files/deep', 'files']) utimesSync(join(folder, place, name), new Date(time), new Date(time));
    const flags = [
      '--reproducible',
      '--no-push',
      `--compression=${compression}`,
      `--digest-file=${join(folder, 'digest')}`,
      '--verbosity=error',
    ];
    const argv = ['--disable-warning=ExperimentalWarning', main, 'build', folder, ...flags];
    // Each build has a store of its own, where nothing of another one is found.
    const env = { ...process.env, YADOKARI_ROOT: `${folder}-store` };
    const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8', cwd: folder, env });
    assert.equal(status, 0, stderr);
    return readFileSync(join(folder, 'digest'), 'utf8');
  } finally {
    for (const each of [folder, `${folder}-store`]) rmSync(each, { recursive: true, force: true });
  }
}

for (const compression of ['gzip', 'zstd'])
  test(`an image of the same files has the same digest on other days, in another order, on another file system (${compression})`, () => {
    const first = digestOf(tmpdir(), names, '2001-02-03T04:05:06.789Z', compression);
    assert.match(first, /^sha256:[0-9a-f]{64}$/);
    assert.equal(digestOf(tmpdir(), names.toReversed(), '2031-12-30T23:59:59Z', compression), first);
    if (existsSync('/dev/shm')) assert.equal(digestOf('/dev/shm', names.toSorted(), '2026-01-01T00:00:00Z', compression), first);
  });
