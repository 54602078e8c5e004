// When something that expires is asked for anew.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Renewed } from '../../../src/cloud/renewed.ts';

test('Renewed() asks again in time; where that fails, not for every caller, and up to the end of the old value', async () => {
  const { signal } = new AbortController();
  let nowMs = 0;
  let asked = 0;
  let isDown = false;
  const renewed = new Renewed({ now: () => nowMs }, async () => {
    asked += 1;
    if (isDown) throw new Error('down');
    return await Promise.resolve({ value: asked, lifeMs: 3_600_000 });
  });
  const at = async (ms: number): Promise<unknown> => {
    nowMs = ms;
    return (await renewed.get(signal)).value;
  };
  assert.deepEqual([await at(0), await at(3_299_999), asked], [1, 1, 1]);
  isDown = true;
  assert.deepEqual([await at(3_300_000), await at(3_300_000), await at(3_329_999), asked], [1, 1, 1, 2]);
  assert.deepEqual([await at(3_330_000), asked], [1, 3]);
  assert.deepEqual([await at(3_599_000), asked], [1, 4]);
  await assert.rejects(at(3_600_000), /down/);
  isDown = false;
  assert.equal(await at(3_600_001), 6);
});
