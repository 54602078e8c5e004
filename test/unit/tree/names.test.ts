import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../../../src/bytes.ts';
import { Names } from '../../../src/tree/names.ts';

const texts = ['', 'a', 'a-b', 'ab', 'a\u00ff', 'x'.repeat(254), 'x'.repeat(255), 'x'.repeat(70_000), 'y\0z'] as ByteString[]; // bytes

test('names come back as they were added, by text or by bytes, whatever their length', () => {
  const names = new Names();
  const numbers = texts.map((text) => names.addText(text));
  const copied = texts.map((text) => names.add(Buffer.from(`/${text}/`, 'latin1'), 1, text.length + 1));
  for (const [index, text] of [...texts, ...texts].entries())
    assert.ok(names.get([...numbers, ...copied][index] ?? -1) === text, `name ${index}`);
  assert.deepEqual(
    numbers.map((number, index) =>
      texts.map((text, other) => names.is(number, text, 0, text.length) === (other === index)).includes(false),
    ),
    texts.map(() => false),
  );
  assert.ok(names.is(numbers[2] ?? -1, '/a-b/' as ByteString, 1, 4)); // ASCII
});

test('names compare by byte, also with those of others', () => {
  const [names, others] = [new Names(), new Names()];
  others.addText('first' as ByteString); // ASCII
  const pairs = texts.map((text) => ({ text, here: names.addText(text), there: others.addText(text) }));
  for (const a of pairs)
    for (const b of pairs)
      assert.equal(Math.sign(names.compare(a.here, others, b.there)), a.text === b.text ? 0 : a.text < b.text ? -1 : 1);
});
