import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrownMap } from '../../src/grown-map.ts';

test('GrownMap shows each state as it was, however it was added to since', () => {
  const first = GrownMap.with(new Map([['a', 1]]), [['b', 2]]);
  const second = GrownMap.with(first, [
    ['a', 3],
    ['c', 4],
    ['c', 5],
  ]);
  const other = GrownMap.with(first, [['d', 6]]);
  assert.deepEqual(
    [...first],
    [
      ['a', 1],
      ['b', 2],
    ],
  );
  assert.deepEqual(
    [...second],
    [
      ['a', 3],
      ['b', 2],
      ['c', 5],
    ],
  );
  assert.deepEqual(
    [...other],
    [
      ['a', 1],
      ['b', 2],
      ['d', 6],
    ],
  );
  assert.deepEqual(
    [first, second, other].map((map) => [map.size, map.get('a'), map.has('c'), [...map.keys()].length]),
    [
      [2, 1, false, 2],
      [3, 3, true, 3],
      [3, 1, false, 3],
    ],
  );
});

test('GrownMap reads no earlier state again to make the next one', (context) => {
  const reading = context.mock.method(GrownMap.prototype, 'entries');
  let map = GrownMap.with(new Map<string, number>(), []);
  for (let key = 0; key < 20_000; key++) map = GrownMap.with(map, [[String(key), key]]);
  assert.deepEqual([map.size, reading.mock.callCount()], [20_000, 0]);
});
