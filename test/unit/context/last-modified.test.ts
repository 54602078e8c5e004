import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modifiedSeconds } from '../../../src/context/last-modified.ts';

for (const text of ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'])
  test(`modifiedSeconds() reads ${text} wherever it is read`, () => {
    const before = process.env['TZ'];
    process.env['TZ'] = 'Asia/Tokyo';
    try {
      assert.equal(modifiedSeconds({ lastModified: text }), 784_111_777);
    } finally {
      if (before === undefined) delete process.env['TZ'];
      else process.env['TZ'] = before;
    }
  });

for (const text of [
  '',
  'Fri, 31 Dec 99999 23:59:59 GMT',
  'Sun, 06 Nov 1994 08:49:37',
  '1994',
  'Sun, 99 Nov 1994 08:49:37 GMT',
  'Sun, 06 Nov 1994 08:49:37 GMT+9',
])
  test(`modifiedSeconds() takes ${JSON.stringify(text)} for no date, as BuildKit does`, () => {
    assert.equal(modifiedSeconds({ lastModified: text }), undefined);
  });
