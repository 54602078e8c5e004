import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEpoch } from '../../../src/build/epoch.ts';
import { bytesFromText } from '../../../src/bytes.ts';
import type { SourceTree } from '../../../src/context/tree.ts';
import { diskView } from '../../../src/files/disk-view.ts';
import { BuilderError } from '../../../src/errors.ts';

const withArg = (value?: string, reproducible = false): Parameters<typeof readEpoch>[0] => ({
  buildArgs: new Map(value === undefined ? [] : [['SOURCE_DATE_EPOCH', value]]),
  reproducible,
  namedContexts: [
    { name: 'Source', place: 'https://h.example/a.git' },
    { name: 'image', place: 'docker-image://a' },
  ],
});
const tree = (timeSeconds?: number): SourceTree => ({
  files: diskView(bytesFromText('/nowhere')),
  label: 'a context',
  keepsOwners: false,
  ...(timeSeconds === undefined ? {} : { timeSeconds }),
});
const ports = { context: tree(), namedFolders: new Map([['source', tree(20)]]) };

test("readEpoch() takes --build-arg before the Dockerfile's ARG before --reproducible", () => {
  assert.equal(readEpoch(withArg('5', true), '7', ports), 5);
  assert.equal(readEpoch(withArg(undefined, true), '7', ports), 7);
  assert.equal(readEpoch(withArg(undefined, true), undefined, ports), 0);
});

test('readEpoch() leaves the clock alone where nobody asks', () => {
  assert.equal(readEpoch(withArg(), undefined, ports), undefined);
  assert.equal(readEpoch(withArg(''), undefined, ports), undefined);
});

for (const value of ['-1', '1.5', '1e3', 'now', '253402300800', ' 1'])
  test(`readEpoch() refuses ${JSON.stringify(value)}`, () => {
    assert.throws(
      () => readEpoch(withArg(value), undefined, ports),
      (error) => error instanceof BuilderError && error.code === 'ERR_USAGE' && error.message.includes(value),
    );
  });

test('readEpoch() takes the time of the context, or of a named one', () => {
  assert.equal(readEpoch(withArg('context'), undefined, { ...ports, context: tree(10) }), 10);
  assert.equal(readEpoch(withArg(), 'context', { ...ports, context: tree(10) }), 10);
  assert.equal(readEpoch(withArg('source'), undefined, ports), 20);
});

for (const [value, why] of [
  ['context', /a folder has no time/],
  ['image', /an image has no time/],
] as const)
  test(`readEpoch() refuses ${value} where it has no time`, () => {
    assert.throws(
      () => readEpoch(withArg(value), undefined, ports),
      (error) => error instanceof BuilderError && error.code === 'ERR_UNSUPPORTED' && why.test(error.message),
    );
  });
