// What layers hold, noted in passing.
import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { readContents } from '../../../src/layer/image-contents.ts';
import { LayerListing, LayerListings } from '../../../src/layer/layer-listings.ts';
import { openEntries } from '../../../src/layer/open-entries.ts';
import { openBlobStore } from '../../../src/layer/store.ts';
import { writeLayer } from '../../../src/layer/write.ts';
import type { LocalEntry } from '../../../src/layer/entry.ts';
import { type Image, type Layer, appendLayer } from '../../../src/oci/image.ts';
import { emptyImageConfig } from '../../../src/oci/image-config.ts';

const { signal } = new AbortController();

function file(path: string, content: string, type: LocalEntry['type'] = 'file'): LocalEntry {
  const metadata = { mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: new Map() };
  return { ...metadata, type, path: bytesFromText(path), size: content.length, content: [Buffer.from(content)] };
}

test('LayerListing keeps paths and sizes of all but folders', () => {
  const listed = [
    ['usr/bin/env', 127],
    ['usr/bin/envsubst', 128],
    ['usr/bin', 2 ** 40 + 5],
    ['etc/zwölf', 0],
    ['', 16_383],
    [`long/${'n'.repeat(5000)}`, 16_384],
    [`long/${'n'.repeat(5000)}x`, Number.MAX_SAFE_INTEGER],
  ] as const;
  const listing = new LayerListing();
  listing.add({ path: bytesFromText('usr'), type: 'directory', size: 0 });
  for (const [path, size] of listed) listing.add({ path: bytesFromText(path), type: 'file', size });
  listing.add({ path: bytesFromText('usr/link'), type: 'symlink', size: 7 });
  assert.deepEqual(
    Array.from(listing.entries(), ({ path, size }) => [path, size]),
    [...listed.map(([path, size]) => [bytesFromText(path), size]), ['usr/link', 0]],
  );
});

test('readContents() tells the same of layers that were written and read as they do themselves, and reads none of them again', async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'yadokari-listings-'));
  await using store = openBlobStore(place.path);
  const layers: readonly (readonly LocalEntry[])[] = [
    [file('usr', '', 'directory'), file('usr/a', 'aaaa'), file('usr/b', 'bb'), file('etc/c', 'c')],
    [file('usr/.wh.a', ''), file('usr/b', 'xx'), file('etc/.wh..wh..opq', ''), file('new', 'n'.repeat(300))],
  ];
  const listings = new LayerListings();
  let plain: Image = {
    config: emptyImageConfig({ os: 'linux', architecture: 'amd64' }),
    layers: [],
    family: 'oci',
    annotations: new Map(),
  };
  const [base, own] = layers;
  for (const [entries, kept] of [
    [base ?? [], {}],
    [own ?? [], { listings }],
  ] as const)
    plain = appendLayer(plain, (await writeLayer(entries, { compression: 'gzip', family: 'oci', store, ...kept }, signal)).layer, {});
  const [read] = plain.layers;
  assert.ok(read !== undefined);
  const told = await readContents(plain, { baseLayers: 1 }, signal);
  // As whoever unpacks a base does: the second one needs no watch.
  let watches = 0;
  const watched: Layer = { ...read, watch: () => (watches++, listings.watch(read.diffId)) };
  for await (const entry of openEntries(watched, signal)) void entry;
  assert.equal(listings.watch(read.diffId), undefined);
  const never = (): never => assert.fail('a layer was read again');
  const shut = { ...plain, layers: plain.layers.map((layer) => ({ ...layer, open: never, chunks: never })) };
  assert.deepEqual(await readContents(shut, { baseLayers: 1, isHere: () => false, listings }, signal), told);
  assert.equal(watches, 1);
});

test('a layer that turns out to be another one is not listed', async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'yadokari-listings-'));
  await using store = openBlobStore(place.path);
  const listings = new LayerListings();
  const options = { compression: 'none', family: 'oci', store } as const;
  const { layer } = await writeLayer([file('a', 'a')], options, signal);
  const diffId = `sha256:${'0'.repeat(64)}` as const;
  const other: Layer = { ...layer, diffId, watch: () => listings.watch(diffId) };
  await assert.rejects(Array.fromAsync(openEntries(other, signal)), { code: 'ERR_DIGEST_MISMATCH' });
  assert.equal(listings.get(diffId), undefined);
});
