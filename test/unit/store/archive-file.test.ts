// Archives on disk that were compressed as a whole, as `docker save | gzip` makes them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { openArchiveFile } from '../../../src/store/archive-file.ts';
import { tar } from '../../support/tar.ts';
import { temporaryFolder } from '../../support/tree.ts';

const { signal } = new AbortController();

for (const [what, compress] of [
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
] as const) {
  test(`openArchiveFile() gives a large file out of an archive in ${what} as it was, and leaves nothing behind`, async (context) => {
    const folder = temporaryFolder(context);
    const temporary = join(folder, 'temporary');
    mkdirSync(temporary);
    const content = randomBytes(6 * 1024 * 1024);
    const path = join(folder, 'image.tar');
    writeFileSync(path, compress(tar([{ path: 'layer.tar', content }])));
    await using archive = await openArchiveFile(path, temporary, signal);
    const found = archive.find('layer.tar');
    assert.ok(found !== undefined);
    assert.ok((await buffer(archive.read(found, signal))).equals(content));
    assert.deepEqual(readdirSync(temporary), []);
  });
}

test('openArchiveFile() names the archive that ends too early, or is none', async (context) => {
  const folder = temporaryFolder(context);
  const whole = tar([{ path: 'layer.tar', content: randomBytes(3000) }]);
  for (const [name, bytes, state] of [
    ['cut.tar', whole.subarray(0, 2000), 'it ends too early'],
    ['text', Buffer.alloc(1024, 'text '), 'its checksum is not an octal number'],
  ] as const) {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    await assert.rejects(openArchiveFile(path, folder, signal), { code: 'ERR_LAYER', message: `Cannot read archive ${path}: ${state}` });
  }
});
