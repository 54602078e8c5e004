import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epochOf, secondsOf } from '../../../../src/cli/requests/time-setting.ts';

const rows: readonly (readonly [text: string, seconds: number])[] = [
  ['0', 0],
  ['@1700000000', 1_700_000_000],
  ['1970-01-01T00:00:00Z', 0],
  ['2026-11-26T12:00:00.9Z', 1_795_694_400],
  ['2026-11-26T13:00:00+01:00', 1_795_694_400],
];
for (const [text, seconds] of rows) test(`secondsOf() reads ${text}`, () => assert.equal(secondsOf('mtime', text), seconds));

for (const text of ['soon', '-1', '2026-11-26', '2026-13-40T00:00:00Z', '1969-12-31T23:59:59Z', '253402300800', ''])
  test(`secondsOf() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => secondsOf('mtime', text), { code: 'ERR_USAGE', message: `Cannot use --mtime ${text}: it is no time` });
  });

test('epochOf() is nothing where SOURCE_DATE_EPOCH is not set or empty', () => {
  assert.deepEqual([epochOf({}), epochOf({ SOURCE_DATE_EPOCH: '' }), epochOf({ SOURCE_DATE_EPOCH: '7' })], [undefined, undefined, 7]);
  assert.throws(() => epochOf({ SOURCE_DATE_EPOCH: 'x' }), { message: 'Cannot use SOURCE_DATE_EPOCH x: it is no time' });
});
