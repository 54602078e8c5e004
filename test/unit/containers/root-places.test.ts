import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { textFromBytes } from '../../../src/bytes.ts';
import { findPlace, makePlaces, removePlaces } from '../../../src/containers/root-places.ts';
import { temporaryFolder } from '../../support/tree.ts';

test('places that a command led elsewhere by a link are neither made nor removed there', (context) => {
  const folder = temporaryFolder(context);
  const [root, canary] = [join(folder, 'root'), join(folder, 'canary')];
  mkdirSync(root);
  mkdirSync(canary);
  const wanted = { path: '/run/.containerenv', kind: 'file' } as const;
  const places = [{ ...wanted, ...findPlace(root, wanted) }];
  const made = places.flatMap(({ missing }) => missing.map(textFromBytes));
  makePlaces(root, places);
  assert.deepEqual(readdirSync(join(root, 'run')), ['.containerenv']);
  removePlaces(root, made);
  assert.deepEqual(readdirSync(root), []);
  makePlaces(root, places);
  writeFileSync(join(canary, '.containerenv'), '');
  renameSync(join(root, 'run'), join(root, 'moved'));
  symlinkSync(canary, join(root, 'run'));
  removePlaces(root, made);
  assert.deepEqual(readdirSync(canary), ['.containerenv']);
  const other = { path: '/run/.other', kind: 'file' } as const;
  assert.throws(() => makePlaces(root, [{ ...other, ...findPlace(root, wanted), missing: places[0]?.missing ?? [] }]), {
    code: 'ERR_TAMPERED',
  });
});
