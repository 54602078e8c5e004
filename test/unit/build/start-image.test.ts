import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asBase } from '../../../src/build/start-image.ts';
import { emptyImageConfig } from '../../../src/oci/image-config.ts';

const config = emptyImageConfig({ os: 'linux', architecture: 'amd64' });

for (const [given, expected] of [
  ['app', '/app'],
  ['./a/../b', '/b'],
  ['/a/../b/', '/a/../b/'],
  [undefined, undefined],
] as const) {
  test(`a base that works in ${given ?? 'no folder'} works in ${expected ?? 'none'}`, () => {
    const run = { ...config.config, ...(given === undefined ? {} : { workingDir: given }) };
    assert.equal(asBase({ config: { ...config, config: run } }).config.config.workingDir, expected);
  });
}
