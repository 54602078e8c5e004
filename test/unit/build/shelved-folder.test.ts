// Folders that hold nothing but contexts: which they are, and that they come back.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ShelvedFolder, findShelvable, recoverShelf } from '../../../src/build/shelved-folder.ts';
import { bytesFromText } from '../../../src/bytes.ts';
import { MovedFolders } from '../../../src/files/moved-folders.ts';
import { temporaryFolder, tree } from '../../support/tree.ts';

const shared = new Set(['home', 'opt', 'var']);

const rows = [
  { title: 'the folder around a context', contexts: ['/workspace/source'], mounts: ['/workspace/source'], found: ['/workspace'] },
  { title: 'the outermost of several', contexts: ['/builds/group/app'], mounts: ['/builds/group/app'], found: ['/builds'] },
  { title: 'none where the context is mounted in the root itself', contexts: ['/workspace'], mounts: ['/workspace'], found: [] },
  { title: 'none that every image has', contexts: ['/opt/context'], mounts: ['/opt/context'], found: [] },
  { title: 'what is below one that every image has', contexts: ['/home/ci/agent'], mounts: ['/home/ci/agent'], found: ['/home/ci'] },
  { title: 'the folder of a mount that the context is deep in', contexts: ['/w/v/a/b'], mounts: ['/w/v'], found: ['/w'] },
  {
    title: 'none with something else in it',
    contexts: ['/workspace/source'],
    mounts: ['/workspace/source', '/workspace/credentials'],
    found: [],
  },
  { title: 'nothing of a context that is no mount', contexts: ['/ci/app'], mounts: [], found: [] },
];
for (const row of rows) {
  test(`findShelvable() gives ${row.title}`, () => {
    const covered = row.mounts.map((mount) => bytesFromText(mount.slice(1)));
    const found = findShelvable(bytesFromText('/'), row.contexts.map(bytesFromText), {
      mounts: row.mounts.map(bytesFromText),
      covered,
      shared,
    });
    assert.deepEqual(
      found.map(({ folder }) => folder),
      row.found,
    );
  });
}

test('a shelved folder leaves its place to the image, and comes back as the very folder, with what is in it', (context) => {
  const folder = temporaryFolder(context);
  tree(folder, { 'workspace/source/file': 'mine', 'own/x': '' });
  const place = join(folder, 'workspace');
  const { ino } = statSync(place);
  const moved = new MovedFolders();
  const source = bytesFromText(join(place, 'source'));
  const shelved = ShelvedFolder.shelve({ folder: bytesFromText(place), mounts: [source] }, join(folder, 'own'), moved);
  assert.ok(shelved !== undefined);
  assert.ok(!existsSync(place));
  assert.equal(readFileSync(join(moved.placeOf(source), 'file'), 'utf8'), 'mine');
  tree(folder, { 'workspace/manager': "the image's" });
  shelved.giveBack();
  assert.deepEqual(readdirSync(place), ['source']);
  assert.equal(statSync(place).ino, ino);
  assert.equal(moved.placeOf(source), source);
  assert.deepEqual(readdirSync(join(folder, 'own/shelf')), []);
});

test('what a killed build left on the shelf is put back at the next start', (context) => {
  const folder = temporaryFolder(context);
  tree(folder, { 'workspace/source/file': 'mine', own: { dir: {} } });
  const place = bytesFromText(join(folder, 'workspace'));
  assert.ok(ShelvedFolder.shelve({ folder: place, mounts: [] }, join(folder, 'own'), new MovedFolders()) !== undefined);
  tree(folder, { 'workspace/manager': "the image's" });
  recoverShelf(join(folder, 'own'));
  assert.deepEqual(readdirSync(place), ['source']);
  recoverShelf(join(folder, 'own'));
  assert.deepEqual(readdirSync(join(folder, 'own/shelf')), []);
});

test('a folder on another filesystem than the builder stays where it is', { skip: !existsSync('/dev/shm') && 'no /dev/shm' }, (context) => {
  const folder = temporaryFolder(context);
  const moved = new MovedFolders();
  assert.equal(ShelvedFolder.shelve({ folder: bytesFromText('/dev/shm'), mounts: [] }, join(folder, 'own'), moved), undefined);
  assert.deepEqual(readdirSync(join(folder, 'own/shelf')), []);
});
