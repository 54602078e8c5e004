import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIdMap, readPossibleOwner } from '../../../src/linux/owners.ts';

test('parseIdMap() reads the whole machine, one id, and ranges', () => {
  assert.deepEqual(parseIdMap('         0          0 4294967295\n'), [{ first: 0, last: 4_294_967_294 }]);
  assert.deepEqual(parseIdMap('         0       1000          1\n'), [{ first: 0, last: 0 }]);
  assert.deepEqual(parseIdMap('0 1000 1\n1 300000 65536\n'), [
    { first: 0, last: 0 },
    { first: 1, last: 65_536 },
  ]);
  assert.deepEqual(parseIdMap(''), []);
});

test('readPossibleOwner() leaves us our own files', () => {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  assert.deepEqual(readPossibleOwner()({ uid, gid }), { uid, gid });
});
