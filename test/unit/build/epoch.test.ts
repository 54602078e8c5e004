import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEpoch } from '../../../src/build/epoch.ts';
import { BuilderError } from '../../../src/errors.ts';

const withArg = (value?: string, reproducible = false): Parameters<typeof readEpoch>[0] => ({
  buildArgs: new Map(value === undefined ? [] : [['SOURCE_DATE_EPOCH', value]]),
  reproducible,
});

test("readEpoch() takes --build-arg before the Dockerfile's ARG before --reproducible", () => {
  assert.equal(readEpoch(withArg('5', true), '7'), 5);
  assert.equal(readEpoch(withArg(undefined, true), '7'), 7);
  assert.equal(readEpoch(withArg(undefined, true), undefined), 0);
});

test('readEpoch() leaves the clock alone where nobody asks', () => {
  assert.equal(readEpoch(withArg(), undefined), undefined);
  assert.equal(readEpoch(withArg(''), undefined), undefined);
});

for (const value of ['-1', '1.5', '1e3', 'now', '253402300800', ' 1'])
  test(`readEpoch() refuses ${JSON.stringify(value)}`, () => {
    assert.throws(
      () => readEpoch(withArg(value), undefined),
      (error) => error instanceof BuilderError && error.code === 'ERR_USAGE' && error.message.includes(value),
    );
  });
