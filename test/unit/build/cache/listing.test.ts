// What people are shown of a cache, and what is taken away of it.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { entryImage } from '../../../../src/build/cache/entry.ts';
import { type ListedEntry, chooseStale, listEntries } from '../../../../src/build/cache/listing.ts';
import { recordImage } from '../../../../src/build/cache/record.ts';
import { openPlace } from '../../../../src/outputs/entry-place.ts';
import { imageOf, layerOf, platform } from '../../../support/image.ts';
import { testClient } from '../../../support/registry-client.ts';

const { signal } = new AbortController();

function entry(tag: string, storedMs: number, sizeBytes: number, kind: ListedEntry['kind'] = 'step'): ListedEntry {
  return { tag, kind, text: '', sizeBytes, ...(kind === 'foreign' ? {} : { storedMs }) };
}

test('listEntries() tells steps, records and what is foreign, broken or half written apart, the oldest first', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'yadokari-listing-'));
  await using client = testClient();
  const place = openPlace({ kind: 'layout', folder: folder.path }, client, platform);
  assert.deepEqual(await listEntries(openPlace({ kind: 'layout', folder: join(folder.path, 'none') }, client, platform), signal), []);
  const layer = layerOf(Buffer.alloc(1000));
  const [key, arm] = ['a'.repeat(64), 'b'.repeat(64)];
  const made = { layer, created: '2026-01-01T00:00:00Z', madeOn: ['-'], step: 'RUN make' };
  await place.put(key, entryImage({ ...made, key, stored: '2026-01-02T00:00:00Z' }, platform), signal);
  await place.put(arm, entryImage({ ...made, key: arm, stored: '2026-01-01T00:00:00Z' }, { os: 'linux', architecture: 'arm64' }), signal);
  await place.put('record-1', recordImage([], platform, '2026-01-03T00:00:00Z'), signal);
  await place.put('latest', imageOf(layer), signal);
  mkdirSync(join(folder.path, 'broken'));
  writeFileSync(join(folder.path, 'broken/index.json'), '{');
  mkdirSync(join(folder.path, '.x.tmp'));
  const listed = await listEntries(place, signal);
  assert.deepEqual(
    listed.map(({ tag, kind, sizeBytes }) => [tag.slice(0, 8), kind, sizeBytes]),
    [
      ['broken', 'foreign', 0],
      ['latest', 'foreign', 1000],
      ['bbbbbbbb', 'step', 1000],
      ['aaaaaaaa', 'step', 1000],
      ['record-1', 'record', 0],
    ],
  );
  await place.remove(key, signal);
  assert.equal(await place.find(key, signal), undefined);
});

const entries = [entry('f', 0, 500, 'foreign'), entry('a', 1000, 10), entry('b', 2000, 20), entry('c', 3000, 30)];
const rows: readonly (readonly [name: string, rules: Parameters<typeof chooseStale>[1], tags: readonly string[]])[] = [
  ['what is older', { olderThanMs: 1500, nowMs: 3000 }, ['a']],
  ['nothing that is as old as it may be', { olderThanMs: 2000, nowMs: 3000 }, []],
  ['the oldest of what is too much', { olderThanMs: 9000, nowMs: 3000, mostBytes: 50 }, ['a']],
  ['all but what is foreign where nothing may stay', { olderThanMs: 9000, nowMs: 3000, mostBytes: 0 }, ['a', 'b', 'c']],
];
for (const [name, rules, tags] of rows) {
  test(`chooseStale() takes ${name}`, () => {
    assert.deepEqual(
      chooseStale(entries, rules).map(({ tag }) => tag),
      tags,
    );
  });
}
