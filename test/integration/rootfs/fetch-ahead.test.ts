import assert from 'node:assert/strict';
import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt } from '../../../src/linux/libc.ts';
import { FetchAhead } from '../../../src/rootfs/fetch-ahead.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import type { Change } from '../../../src/rootfs/scanned-tree.ts';
import { statOf } from '../../../src/rootfs/read-entry.ts';
import { must } from '../../support/command.ts';
import { bytes } from '../../support/tar.ts';
import { temporaryFolder } from '../../support/tree.ts';

/** Bytes of each file that are in memory. */
async function inMemory(paths: readonly string[]): Promise<readonly number[]> {
  const stdout = await must(['fincore', '--noheadings', '--bytes', '--output', 'RES', ...paths]);
  return stdout.trim().split('\n').map(Number);
}

function drop(path: string): void {
  const fd = openSync(path, 'r+');
  fsyncSync(fd);
  attempt('fadvise64', fd, 0, 0, 4); // POSIX_FADV_DONTNEED
  closeSync(fd);
}

test(
  'files to come are fetched where two in a row had to be waited for, whatever else is among the changes',
  { timeout: 30_000 },
  async (context) => {
    const folder = temporaryFolder(context);
    const root = { path: bytes(folder), protection: createProtection([]) };
    const names = Array.from({ length: 10 }, (_, index) => `f${index}`);
    const paths = names.map((name) => join(folder, name));
    for (const path of paths) writeFileSync(path, 'content');
    mkdirSync(join(folder, 'd'));
    writeFileSync(join(folder, 'empty'), '');
    const changes = [...names, 'd', 'empty'].map((name): Change => {
      const entry = statOf(root, bytes(name));
      assert.ok(entry !== undefined);
      return { kind: 'added', path: bytes(name === 'f5' ? 'gone' : name), entry };
    });
    changes.splice(3, 0, { kind: 'deleted', path: bytes('x') });
    for (const path of paths) drop(path);
    if (Math.max(...(await inMemory(paths))) > 0) return context.skip('this file system keeps all files in memory');
    const ahead = new FetchAhead(root, changes);
    ahead.noteRead(1, 5);
    ahead.noteRead(2, 0.01);
    ahead.noteRead(3, 5);
    assert.equal(Math.max(...(await inMemory(paths))), 0, 'one that was slow alone');
    ahead.noteRead(4, 5); // f0 to f2, the deletion
    while (Math.min(...(await inMemory(paths.filter((path) => /f[346789]$/.test(path))))) === 0) await sleep(5);
    assert.equal(Math.max(...(await inMemory(paths.slice(0, 3)))), 0, 'what was read already');
  },
);
