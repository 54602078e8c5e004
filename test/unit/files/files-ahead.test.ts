import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FilesAhead } from '../../../src/files/files-ahead.ts';
import { bytes } from '../../support/tar.ts';

test('start() lets eight files be made at once, and has() knows which', async () => {
  const ahead = new FilesAhead();
  let [now, most, done] = [0, 0, 0];
  for (let index = 0; index < 50; index++) {
    await ahead.start(bytes(`f${index}`), async () => {
      now++;
      most = Math.max(most, now);
      await sleep(1);
      now--;
      done++;
    });
    if (done === index) assert.equal(ahead.has(bytes(`f${index}`)), true);
  }
  await ahead.settle();
  assert.deepEqual([most, done, ahead.has(bytes('f49'))], [8, 50, false]);
});

test('a file that could not be made fails what comes after it, with its own error, and nothing is left under way', async () => {
  const ahead = new FilesAhead();
  let isOtherDone = false;
  await ahead.start(bytes('good'), async () => {
    await sleep(20);
    isOtherDone = true;
  });
  await ahead.start(bytes('bad'), async () => await Promise.reject(new Error('disk full')));
  await assert.rejects(ahead.settle(), /disk full/);
  assert.equal(isOtherDone, true);
  await assert.rejects(
    ahead.start(bytes('next'), async () => await Promise.resolve()),
    /disk full/,
  );
  await ahead.stop();
});
