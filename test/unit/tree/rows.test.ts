import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rows } from '../../../src/tree/rows.ts';
import { randomFrom } from '../../support/random.ts';

const far = 2 ** 53 - 1;

function contentOf(rows: Rows, width: number): readonly (readonly number[])[] {
  return Array.from({ length: rows.count }, (_, row) => Array.from({ length: width }, (__, field) => rows.get(row, field)));
}

test('rows keep every whole number, own or shared, whatever else is in them', () => {
  const random = randomFrom(8);
  const values = [0, 1, -1, 0xffffffff, 2 ** 32, -(2 ** 32), far, -far, 7, 7];
  const expected = Array.from({ length: 5000 }, () => Array.from({ length: 4 }, () => values[random(values.length)] ?? 0));
  const rows = new Rows(4, [1, 3]);
  for (const row of expected) rows.add(row);
  for (let count = 0; count < 500; count++) {
    const [row, field, value] = [random(expected.length), random(4), random(1000) - 500];
    rows.set(row, field, value);
    (expected[row] ?? [])[field] = value;
  }
  assert.deepEqual(contentOf(rows, 4), expected);
});

test('a clone of rows has its own', () => {
  const rows = new Rows(2, [0]);
  rows.add([1, 2]);
  const copy = rows.clone();
  rows.set(0, 1, 9);
  copy.set(0, 0, 8);
  for (let count = 0; count < 600; count++) copy.add([count, count % 3]);
  assert.deepEqual([contentOf(rows, 2), copy.get(0, 0), copy.get(0, 1), copy.get(600, 0)], [[[1, 9]], 8, 2, 599]);
});

test('rows of tables that share are the same where all their numbers are', () => {
  const rows = new Rows(3, [2]);
  const others = new Rows(3, [2], rows.shared);
  const row = rows.add([1, 2, 3]);
  const is = (numbers: readonly number[]): boolean => rows.isSame(row, others, others.add(numbers));
  assert.deepEqual([is([1, 2, 3]), is([1, 2, 4]), is([1, 5, 3]), is([1, 2, 3 + 2 ** 32])], [true, false, false, false]);
  others.clear();
  const added = rows.addFrom(others, others.add([-4, 5, -6]));
  assert.deepEqual(contentOf(rows, 3)[added], [-4, 5, -6]);
});
