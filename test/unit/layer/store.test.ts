// Blobs on disk: what is given back and when, and what becomes of one that is damaged, cut off or not wanted any more.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { type BlobStore, type StoredBlob, openBlobStore } from '../../../src/layer/store.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { Layer } from '../../../src/oci/image.ts';
import { temporaryFolder } from '../../support/tree.ts';

const { signal } = new AbortController();

/** The files of this process that were made below a folder and have no name any more. */
function unnamedIn(folder: string): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${folder}/`) ? [`/proc/self/fd/${fd}`] : [];
    } catch {
      return []; // the one that listed the directory
    }
  });
}

async function keep(store: BlobStore, ...parts: readonly (string | Buffer)[]): Promise<StoredBlob> {
  const blob = await store.create();
  for (const part of parts) await blob.write(Buffer.from(part));
  return await blob.finish();
}

function layerOf(content: Buffer, pieces: readonly Buffer[] = [content]): Layer {
  const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(content), size: content.length };
  return { descriptor, diffId: descriptor.digest, open: () => Readable.from(pieces, { objectMode: false }) };
}

function opened(context: TestContext): { readonly folder: string; readonly store: BlobStore } {
  const folder = temporaryFolder(context);
  const store = openBlobStore(folder);
  context.after(() => store.close());
  return { folder, store };
}

const large = Buffer.alloc(700_000, 'a blob of more than one read ');
const blobs: readonly (readonly [what: string, parts: readonly (string | Buffer)[]])[] = [
  ['nothing', []],
  ['empty pieces', ['', '']],
  ['one piece', ['abc']],
  ['several pieces', ['a', '', 'bc', 'def']],
  ['more than is read at once', [large, 'end']],
];
for (const [what, parts] of blobs) {
  test(`openBlobStore() keeps ${what}, tells digest and size, and gives it out as often as wanted`, async (context) => {
    const { store } = opened(context);
    const whole = Buffer.concat(parts.map((part) => Buffer.from(part)));
    const { digest, size, open } = await keep(store, ...parts);
    assert.deepEqual({ digest, size }, { digest: digestOf(whole), size: whole.length });
    for (let time = 0; time < 2; time++) assert.ok((await buffer(open(signal))).equals(whole));
    const [one, other] = await Promise.all([buffer(open(signal)), buffer(open(signal))]);
    assert.ok(one.equals(whole) && other.equals(whole), 'two readers at once');
  });
}

test('openBlobStore() keeps each blob in a file of its own that only its owner may read', async (context) => {
  const { folder, store } = opened(context);
  await keep(store, 'one');
  await keep(store, 'two');
  const files = unnamedIn(folder);
  assert.deepEqual(files.map((path) => readFileSync(path, 'latin1')).toSorted(), ['one', 'two']);
  assert.deepEqual(
    files.map((path) => statSync(path).mode & 0o777),
    [0o600, 0o600],
  );
  assert.deepEqual(readdirSync(folder), []);
});

const damages: readonly (readonly [what: string, harm: (file: string) => void, message: RegExp])[] = [
  ['has another byte', (file) => writeFileSync(file, 'x', { flag: 'r+' }), /^Cannot use stored blob sha256:\w+: its digest is sha256:/],
  ['is cut off', (file) => truncateSync(file, 5), /^Cannot use stored blob sha256:\w+: it has 5 of 7 bytes$/],
  ['is empty', (file) => truncateSync(file, 0), /^Cannot use stored blob sha256:\w+: it has 0 of 7 bytes$/],
];
for (const [what, harm, message] of damages) {
  test(`openBlobStore() gives no whole blob out of a file that ${what}`, async (context) => {
    const { folder, store } = opened(context);
    const { open } = await keep(store, 'content');
    const [file] = unnamedIn(folder);
    assert.ok(file !== undefined);
    harm(file);
    await assert.rejects(buffer(open(signal)), { code: 'ERR_DIGEST_MISMATCH', message });
  });
}

test('openBlobStore() does not give out what stands behind a blob in its file', async (context) => {
  const { folder, store } = opened(context);
  const { open } = await keep(store, 'content');
  writeFileSync(unnamedIn(folder)[0] ?? '', ' and more', { flag: 'a' });
  assert.equal((await buffer(open(signal))).toString(), 'content');
});

test('discard() gives the space back, and does no harm twice or after the end', async (context) => {
  const { folder, store } = opened(context);
  const blob = await store.create();
  await blob.write(Buffer.from('abc'));
  assert.equal(unnamedIn(folder).length, 1);
  await blob.discard();
  assert.deepEqual(unnamedIn(folder), []);
  await blob.discard();
  await store.close();
  await blob.discard();
});

test('release() gives back the space of one layer, and leaves the others alone', async (context) => {
  const { folder, store } = opened(context);
  const [one, two] = [await store.receive(layerOf(Buffer.from('one')), signal), await store.receive(layerOf(Buffer.from('two')), signal)];
  await store.release(layerOf(Buffer.from('one')));
  assert.equal(unnamedIn(folder).length, 2, 'a layer from elsewhere, though of the same bytes, is none of the store');
  await store.release(one);
  await store.release(one);
  assert.deepEqual(
    unnamedIn(folder).map((path) => readFileSync(path, 'latin1')),
    ['two'],
  );
  assert.equal((await buffer(two.open(signal))).toString(), 'two');
  await assert.rejects(buffer(one.open(signal)), 'what was given back can not be read');
});

test('release() of one store leaves the layers of another alone', async (context) => {
  const [mine, other] = [opened(context), opened(context)];
  const layer = await other.store.receive(layerOf(Buffer.from('abc')), signal);
  await mine.store.release(layer);
  assert.equal((await buffer(layer.open(signal))).toString(), 'abc');
});

test('close() gives back all space, finished or not, and may be called again', async (context) => {
  const { folder, store } = opened(context);
  await keep(store, 'finished');
  await (await store.create()).write(Buffer.from('unfinished'));
  assert.equal(unnamedIn(folder).length, 2);
  await store.close();
  assert.deepEqual(unnamedIn(folder), []);
  await store.close();
});

test('openBlobStore() names the folder where no file can be made', async (context) => {
  const folder = `${temporaryFolder(context)}/not-there`;
  await assert.rejects(openBlobStore(folder).create(), {
    code: 'ERR_ROOTFS',
    message: `Cannot store a blob in ${folder}: no file can be made there`,
  });
});

test('openBlobStore() says how far it came where writing fails', async (context) => {
  const { folder, store } = opened(context);
  const blob = await store.create();
  await blob.write(Buffer.from('abc'));
  await blob.discard();
  await assert.rejects(blob.write(Buffer.from('d')), {
    code: 'ERR_ROOTFS',
    message: `Cannot store a blob in ${folder}: writing failed after 3 bytes`,
  });
});

test('receive() gives the same layer, read from disk, and asks its first source only once', async (context) => {
  const { store } = opened(context);
  let asked = 0;
  const layer = layerOf(large, [large.subarray(0, 1), large.subarray(1, 500_000), large.subarray(500_000)]);
  const counted: Layer = {
    ...layer,
    open: (aborted) => {
      asked++;
      return layer.open(aborted);
    },
  };
  const kept = await store.receive(counted, signal);
  assert.deepEqual({ ...kept, open: undefined, chunks: undefined }, { ...layer, open: undefined, chunks: undefined });
  for (let time = 0; time < 2; time++) assert.ok((await buffer(kept.open(signal))).equals(large));
  assert.equal(asked, 1);
});

const failures: readonly (readonly [what: string, open: Layer['open'], error: object])[] = [
  [
    'ends too early',
    () => Readable.from([Buffer.from('ab')], { objectMode: false }),
    { code: 'ERR_DIGEST_MISMATCH', message: /: it has 2 of 3 bytes$/ },
  ],
  [
    'is too long',
    () => Readable.from([Buffer.from('abcd')], { objectMode: false }),
    { code: 'ERR_DIGEST_MISMATCH', message: /: it has 4 of 3 bytes$/ },
  ],
  ['is not of bytes', () => Readable.from(['abc']), { code: 'ERR_INTERNAL', message: 'Cannot store a layer: the stream is not of bytes' }],
  [
    'fails on the way',
    () =>
      Readable.from(
        (async function* () {
          yield await Promise.resolve(Buffer.from('a'));
          throw new Error('the network is down');
        })(),
        { objectMode: false },
      ),
    { message: 'the network is down' },
  ],
];
for (const [what, open, error] of failures) {
  test(`receive() keeps nothing of a layer whose stream ${what}`, async (context) => {
    const { folder, store } = opened(context);
    await assert.rejects(store.receive({ ...layerOf(Buffer.from('abc')), open }, signal), error);
    assert.deepEqual(unnamedIn(folder), []);
  });
}

test('receive() stops at an abort and keeps nothing', async (context) => {
  const { folder, store } = opened(context);
  const controller = new AbortController();
  const endless = async function* (): AsyncGenerator<Buffer> {
    for (let count = 0; ; count++) {
      if (count === 3) controller.abort(new Error('enough'));
      yield await Promise.resolve(Buffer.from('abc'));
    }
  };
  const layer = { ...layerOf(large), open: () => Readable.from(endless(), { objectMode: false }) };
  await assert.rejects(store.receive(layer, controller.signal), /^Error: enough$/);
  assert.deepEqual(unnamedIn(folder), []);
});

test('openBlobStore() stops reading at an abort', async (context) => {
  const { store } = opened(context);
  const { open } = await keep(store, large);
  const controller = new AbortController();
  controller.abort(new Error('enough'));
  await assert.rejects(buffer(open(controller.signal)), /^Error: enough$/);
});

test('receive() lets a layer be read while it comes, to an end that is only there once all of it is', async (context) => {
  const { store } = opened(context);
  const rest = Promise.withResolvers<void>();
  const coming = async function* (): AsyncGenerator<Buffer> {
    yield large.subarray(0, 500_000);
    await rest.promise;
    yield large.subarray(500_000);
  };
  const layer = { ...layerOf(large), open: () => Readable.from(coming(), { objectMode: false }) };
  const begun = Promise.withResolvers<Layer>();
  const receiving = store.receive(layer, signal, begun.resolve);
  const arriving = await begun.promise;
  const read: Buffer[] = [];
  for await (const chunk of arriving.chunks?.(signal) ?? []) {
    read.push(Buffer.from(chunk));
    if (Buffer.concat(read).length === 500_000) rest.resolve();
  }
  assert.ok(Buffer.concat(read).equals(large));
  assert.equal(await receiving, arriving);
});

test('receive() fails who reads a layer that comes to nothing, with what it fails with itself', async (context) => {
  const { folder, store } = opened(context);
  const coming = async function* (): AsyncGenerator<Buffer> {
    yield await Promise.resolve(Buffer.from('ab'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    throw new Error('the network is down');
  };
  const layer = { ...layerOf(Buffer.from('abc')), open: () => Readable.from(coming(), { objectMode: false }) };
  const begun = Promise.withResolvers<Layer>();
  const receiving = store.receive(layer, signal, begun.resolve);
  const arriving = await begun.promise;
  const readings = [receiving, buffer(arriving.open(signal)), Array.fromAsync(arriving.chunks?.(signal) ?? [])];
  const reasons = (await Promise.allSettled<unknown>(readings)).map((each) =>
    String(each.status === 'rejected' ? each.reason : each.value),
  );
  assert.deepEqual(new Set(reasons), new Set(['Error: the network is down']));
  assert.deepEqual(unnamedIn(folder), []);
});
