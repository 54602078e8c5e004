import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../../../src/bytes.ts';
import { ContentNotes, digestOf } from '../../../src/rootfs/content-notes.ts';
import { randomFrom } from '../../support/random.ts';

const none = new Map<string, Buffer>();

test('notes keep what was noted once of each of many paths', () => {
  const notes = new ContentNotes();
  const paths = Array.from({ length: 5000 }, (_, number) => `usr/share/${number}` as ByteString); // ASCII
  for (const path of paths) notes.note(path, digestOf(none, path));
  assert.deepEqual(
    paths.filter((path) => notes.get(path)?.equals(digestOf(none, path).subarray(0, 16)) !== true),
    [],
  );
});

test('notes say of each of many paths what was noted last, and nothing of others', () => {
  const random = randomFrom(5);
  const notes = new ContentNotes();
  const expected = new Map<string, string>();
  const pathOf = (number: number): ByteString => `srv/${number % 70}/${number}` as ByteString; // ASCII
  for (let count = 0; count < 30_000; count++) {
    const [path, other] = [pathOf(random(5000)), pathOf(random(5000))];
    const digest = digestOf(none, String(random(100)));
    if (count % 5 === 0) {
      notes.forget(path);
      expected.delete(path);
    } else if (count % 7 === 0) {
      notes.noteSame(path, other);
      const known = expected.get(other);
      if (known === undefined) expected.delete(path);
      else expected.set(path, known);
    } else {
      notes.note(path, digest);
      expected.set(path, digest.subarray(0, 16).toString('hex'));
    }
  }
  for (let number = 0; number < 6000; number++) assert.equal(notes.get(pathOf(number))?.toString('hex'), expected.get(pathOf(number)));
});
