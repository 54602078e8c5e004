import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layerCompression } from '../../../src/build/layer-compression.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { hasIsal } from '../../../src/linux/isal.ts';

const rows = [
  {
    name: 'a level that was asked for',
    asked: { compression: 'gzip', compressionLevel: 7 },
    epoch: 0,
    expected: { compression: 'gzip', level: 7 },
  },
  { name: 'level 0', asked: { compression: 'gzip', compressionLevel: 0 }, epoch: undefined, expected: { compression: 'gzip', level: 0 } },
  { name: 'zlib in a reproducible build', asked: { compression: 'gzip' }, epoch: 0, expected: { compression: 'gzip', level: 4 } },
  { name: 'zstd as it is', asked: { compression: 'zstd' }, epoch: 0, expected: { compression: 'zstd' } },
] as const;

for (const { name, asked, epoch, expected } of rows) {
  test(`layerCompression() takes ${name}, without a word`, () => {
    const events: BuildEvent[] = [];
    assert.deepEqual(
      layerCompression(asked, epoch, (event) => events.push(event)),
      expected,
    );
    assert.deepEqual(events, []);
  });
}

test('layerCompression() leaves the level to gzip() otherwise, and says where ISA-L is not there', () => {
  const notes: string[] = [];
  const taken = layerCompression({ compression: 'gzip' }, undefined, (event) => event.kind === 'note' && notes.push(event.message));
  assert.deepEqual(taken, { compression: 'gzip' });
  assert.equal(notes.filter((note) => note.includes('ISA-L')).length, hasIsal() ? 0 : 1);
});
