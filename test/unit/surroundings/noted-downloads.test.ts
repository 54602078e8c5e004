// What was fetched, and with which digest, is noted without what only the fetcher may know.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { Materials } from '../../../src/attest/materials.ts';
import { notingObjects } from '../../../src/surroundings/noted-downloads.ts';

test('an object of a store is told without what signs for it', async () => {
  const materials = new Materials();
  const open = notingObjects(async () => await Promise.resolve({ body: Readable.from([Buffer.from('x')]), lastModified: '' }), materials);
  for (const place of ['s3://bucket/a/context.tar.gz', 'https://me.blob.core.windows.net/c/x.tar?sig=hush']) {
    const opened = await open(place, new AbortController().signal);
    assert.equal((await buffer(opened?.body ?? assert.fail())).toString(), 'x');
  }
  assert.deepEqual(
    materials.list().map(({ uri, hex: found }) => [uri, found === createHash('sha256').update('x').digest('hex')]),
    [
      ['https://me.blob.core.windows.net/c/x.tar?sig=…', true],
      ['s3://bucket/a/context.tar.gz', true],
    ],
  );
});
