import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { BackgroundHash } from '../../../src/linux/background-hash.ts';

for (const algorithm of ['sha256', 'sha512'] as const) {
  test(`${algorithm} of large and small pieces, several hashes at once, is what Node says it is`, async () => {
    const pieces = [0, 1, 65_535, 65_536, 3, 1_000_000].map((size, number) => Buffer.alloc(size, number + 1));
    const digests = [0, 1, 2, 3].map(async (skipped) => {
      using hash = new BackgroundHash(algorithm);
      for (const piece of pieces.slice(skipped)) await hash.update(piece);
      return hash.digest();
    });
    const expected = [0, 1, 2, 3].map((skipped) =>
      createHash(algorithm)
        .update(Buffer.concat(pieces.slice(skipped)))
        .digest('hex'),
    );
    assert.deepEqual(await Promise.all(digests), expected);
  });
}
