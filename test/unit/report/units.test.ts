import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatDuration, formatAge } from '../../../src/report/units.ts';

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

// As go-units' HumanDuration has them, which podman and buildah print.
for (const [seconds, expected] of [
  [0, 'Less than a second ago'],
  [1, '1 second ago'],
  [59, '59 seconds ago'],
  [60, 'About a minute ago'],
  [150, '2 minutes ago'],
  [3600, 'About an hour ago'],
  [47 * 3600, '47 hours ago'],
  [72 * 3600, '3 days ago'],
  [20 * 86_400, '2 weeks ago'],
  [100 * 86_400, '3 months ago'],
  [800 * 86_400, '2 years ago'],
] as const)
  test(`formatAge() of ${seconds} seconds is ${expected}`, () => assert.equal(formatAge(seconds * 1000), expected));
