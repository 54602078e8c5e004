import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTime } from '../../../src/oci/time.ts';

// What time.Time's MarshalJSON makes of them, as buildah's and BuildKit's configs have it.
for (const [ms, text] of [
  [0, '1970-01-01T00:00:00Z'],
  [1500, '1970-01-01T00:00:01.5Z'],
  [1980, '1970-01-01T00:00:01.98Z'],
  [2001, '1970-01-01T00:00:02.001Z'],
  [600_010, '1970-01-01T00:10:00.01Z'],
  [-1, '1969-12-31T23:59:59.999Z'],
] as const)
  test(`formatTime(${ms}) is ${text}`, () => assert.equal(formatTime(ms), text));
