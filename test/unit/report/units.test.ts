import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatDuration } from '../../../src/report/units.ts';

for (const [bytes, text] of [
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [9949, '9.9 kB'],
  [999_499, '999 kB'],
  [999_500, '1.0 MB'],
  [47_000_000, '47 MB'],
  [3.2e15, '3200 TB'],
] as const)
  test(`formatBytes() writes ${bytes} as ${text}`, () => assert.equal(formatBytes(bytes), text));

for (const [ms, text] of [
  [0, '0.0s'],
  [59_940, '59.9s'],
  [59_960, '1m00s'],
  [65_000, '1m05s'],
  [3_599_600, '1h00m'],
  [3_725_000, '1h02m'],
] as const)
  test(`formatDuration() writes ${ms} ms as ${text}`, () => assert.equal(formatDuration(ms), text));
