// What is removed from a folder that was lent to an image, when a removal was killed half way.
import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { removeOurs } from '../../../src/rootfs/strangers.ts';
import { temporaryFolder } from '../../support/tree.ts';

test('removeOurs() goes on where it was killed: no directory of the image stays, and all that others made does', async (context) => {
  const folder = temporaryFolder(context);
  const changeTime = (path: string): bigint => lstatSync(join(folder, path), { bigint: true }).ctimeNs;
  mkdirSync(join(folder, 'before'));
  // The clock that stamps files stands still for up to 10 ms.
  await sleep(20);
  mkdirSync(join(folder, 'image'));
  const start = changeTime('image');
  mkdirSync(join(folder, 'image/deep'));
  for (const name of ['1', '2']) writeFileSync(join(folder, 'image/deep', name), 'image');
  mkdirSync(join(folder, 'shared'));
  const work = [{ start, end: changeTime('shared') }];
  if (lstatSync(join(folder, 'image')).birthtimeMs === 0) return context.skip('this filesystem does not know when a directory was made');
  await sleep(20);
  rmSync(join(folder, 'image/deep/1')); // as far as the one that was killed came
  writeFileSync(join(folder, 'shared/mine'), 'mine');
  mkdirSync(join(folder, 'afterwards'));
  const problem = removeOurs({
    folder: bytesFromText(folder),
    place: bytesFromText(folder),
    isKept: () => false,
    work,
    isImages: () => false,
  });
  assert.equal(problem, undefined);
  assert.deepEqual(readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted(), [
    'afterwards',
    'before',
    'shared',
    'shared/mine',
  ]);
});
