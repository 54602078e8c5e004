import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../../src/oci/digest.ts';
import { openFolderSink } from '../../src/store/image-folder.ts';
import { makeFolder, makeNamedFolder } from '../../src/folders.ts';
import { openLayoutSink } from '../../src/store/oci-layout.ts';
import { storedManifest } from '../../src/oci/manifest.ts';
import { MediaType } from '../../src/oci/media-type.ts';
import { temporaryFolder } from '../support/tree.ts';

const { signal } = new AbortController();

test('makeFolder() makes what is missing, leaves what is there, and says where a file is in the way', (context) => {
  const folder = temporaryFolder(context);
  makeFolder(join(folder, 'a/b/c'), 0o700);
  makeFolder(join(folder, 'a/b/c'));
  assert.equal(statSync(join(folder, 'a/b')).mode & 0o777, 0o700);
  writeFileSync(join(folder, 'file'), '');
  assert.throws(() => makeFolder(join(folder, 'file')), { code: 'EEXIST' });
  assert.throws(() => makeFolder(join(folder, 'file/below')), { code: 'ENOTDIR' });
});

test('places below /proc, which has no room for folders, are refused and not waited for', { timeout: 10_000 }, async () => {
  assert.throws(() => makeFolder('/proc/none/a/b'), { code: 'ENOENT' });
  await assert.rejects(openFolderSink('/proc/none'));
  const config = { mediaType: MediaType.ociConfig, digest: digestOf(Buffer.from('{}')), size: 2 };
  const root = storedManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: [] })), MediaType.ociManifest);
  await assert.rejects(openLayoutSink({ folder: '/proc/none' }).writeRoot(root, signal), {
    code: 'ERR_USAGE',
    message: 'Cannot write an image to /proc/none: no folder can be made there (no such file or directory)',
  });
});

test('makeNamedFolder() says which folder of whose it could not make', () => {
  assert.throws(() => makeNamedFolder('/proc/none', 'the folder for temporary files'), {
    code: 'ERR_USAGE',
    message: 'Cannot make the folder for temporary files /proc/none: no such file or directory',
  });
});
