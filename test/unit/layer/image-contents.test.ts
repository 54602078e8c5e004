import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import type { Entry } from '../../../src/layer/entry.ts';
import { FolderSizes } from '../../../src/layer/folder-sizes.ts';
import { ImageTally } from '../../../src/layer/image-contents.ts';

function entry(path: string, size = 0, type: Entry['type'] = 'file'): Entry {
  return { type, path: bytesFromText(path), mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: new Map(), size };
}

/** `path size` each; a path alone is a whiteout or a folder. */
function tallyOf(...layers: readonly (readonly string[])[]): {
  readonly tally: ImageTally;
  readonly told: ReturnType<ImageTally['endLayer']>[];
} {
  const tally = new ImageTally();
  const told = layers.map((lines, number) => {
    tally.beginLayer(number);
    for (const line of lines) {
      const [path = '', size] = line.split(' ');
      tally.add(entry(path, Number(size ?? 0), path.endsWith('/') ? 'directory' : 'file'));
    }
    return tally.endLayer(layers.length);
  });
  return { tally, told };
}

test('a layer is its folders, the largest first, each before what is in it', () => {
  const { told } = tallyOf(['usr/', 'usr/bin/', 'usr/bin/a 10', 'usr/bin/b 30', 'etc/passwd 5']);
  assert.deepEqual(told[0]?.folders, [
    { path: 'usr/', bytes: 40, files: 2 },
    { path: 'usr/bin/', bytes: 40, files: 2 },
    { path: 'usr/bin/b', bytes: 30, files: 1 },
    { path: 'usr/bin/a', bytes: 10, files: 1 },
    { path: 'etc/', bytes: 5, files: 1 },
    { path: 'etc/passwd', bytes: 5, files: 1 },
  ]);
});

test('what a whiteout hides is told by its path, with all that was below it, and what the layer itself brings stays', () => {
  const { told, tally } = tallyOf(['lists/a 10', 'lists/deep/b 20', 'kept 1'], ['.wh.lists', 'lists/new 7']);
  assert.deepEqual(told[1]?.hidden, [
    {
      layer: 0,
      how: 'removed',
      bytes: 30,
      files: 2,
      places: [
        { path: 'lists', bytes: 20, files: 1 },
        { path: 'lists', bytes: 10, files: 1 },
      ],
    },
  ]);
  // dive: Σ smallest / Σ all, where what is removed counts twice.
  assert.deepEqual([tally.idealBytes, tally.storedBytes], [38, 68]);
});

test('an opaque folder hides what is in it, and nothing beside it', () => {
  const { told } = tallyOf(['d/a 10', 'e/b 20'], ['d/.wh..wh..opq', 'd/c 1']);
  assert.deepEqual(
    told[1]?.hidden.map(({ how, bytes }) => [how, bytes]),
    [['removed', 10]],
  );
});

test('content of the same size at the same path is stored again, other content replaces', () => {
  const { told, tally } = tallyOf(['a 100', 'b 10'], ['a 100', 'b 30'], ['b 5']);
  assert.deepEqual(told[1]?.hidden.map(({ layer, how, bytes }) => [layer, how, bytes]), [[0, 'again', 100], [0, 'replaced', 10]]); // prettier-ignore
  assert.deepEqual(
    told[2]?.hidden.map(({ layer, how, bytes }) => [layer, how, bytes]),
    [[1, 'replaced', 30]],
  );
  assert.deepEqual([tally.idealBytes, tally.storedBytes], [105, 245]);
});

test('a file that comes back after it was removed hides nothing', () => {
  const { told } = tallyOf(['a 10'], ['.wh.a'], ['a 20']);
  assert.deepEqual(told[2]?.hidden, []);
});

test('half a million files come to a short list whose sums are exact, in little memory', () => {
  const sizes = new FolderSizes();
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  for (let number = 0; number < 500_000; number++) sizes.add(bytesFromText(`d${number % 50}/e${number % 20_000}/f${number}`), 3);
  sizes.add(bytesFromText('big/one'), 1_000_000);
  assert.ok(process.memoryUsage().heapUsed - before < 150_000_000, String(process.memoryUsage().heapUsed - before));
  const list = sizes.list(60);
  assert.deepEqual(list.slice(0, 2), [{ path: 'big/', bytes: 1_000_000, files: 1 }, { path: 'big/one', bytes: 1_000_000, files: 1 }]); // prettier-ignore
  assert.equal(list.length, 52); // the others are in the sums
  assert.deepEqual(list.filter(({ path }) => path.split('/').length === 2 && path !== 'big/one' && path !== 'big/').map(({ bytes }) => bytes), Array(50).fill(30_000)); // prettier-ignore
  assert.deepEqual([sizes.bytes, sizes.files], [2_500_000, 500_001]);
});
