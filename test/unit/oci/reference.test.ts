import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Reference,
  dockerHub,
  formatReference,
  formatRepository,
  parseReference,
  withDefaultTag,
} from '../../../src/oci/reference.ts';

const digest = `sha256:${'a'.repeat(64)}` as const;

const read: readonly (readonly [text: string, expected: Reference])[] = [
  ['alpine', { registry: dockerHub, repository: 'library/alpine' }],
  ['alpine:3.20', { registry: dockerHub, repository: 'library/alpine', tag: '3.20' }],
  ['docker.io/me/app', { registry: dockerHub, repository: 'me/app' }],
  ['registry.hub.docker.com/alpine', { registry: dockerHub, repository: 'library/alpine' }],
  ['localhost/app', { registry: 'localhost', repository: 'app' }],
  ['reg.test:5000/a/b-c__d.e:v1', { registry: 'reg.test:5000', repository: 'a/b-c__d.e', tag: 'v1' }],
  ['[::1]:5000/app', { registry: '[::1]:5000', repository: 'app' }],
  ['Reg/app', { registry: 'Reg', repository: 'app' }],
  [`app@${digest}`, { registry: dockerHub, repository: 'library/app', digest }],
  [`reg.test/app:v1@${digest}`, { registry: 'reg.test', repository: 'app', tag: 'v1', digest }],
];
for (const [text, expected] of read) {
  test(`parseReference(${JSON.stringify(text)}) finds its parts, and formatReference() gives them back`, () => {
    assert.deepEqual(parseReference(text), expected);
    assert.deepEqual(parseReference(formatReference(expected)), expected);
  });
}

const refused: readonly (readonly [text: string, message: RegExp])[] = [
  ['', /it is empty$/],
  ['https://reg.test/app', /an image name has no scheme$/],
  ['reg.test/App', /a repository name must be lower case$/],
  ['reg.test/a//b', /"a\/\/b" is not a repository name$/],
  ['reg.test/../a', /is not a repository name$/],
  ['reg.test/app:', /"" is not a tag$/],
  ['reg.test/app:.v1', /"\.v1" is not a tag$/],
  [`reg.test/app:${'a'.repeat(129)}`, /is not a tag$/],
  ['reg.test:99999999/app', /is not a registry host$/],
  ['app@sha256:abc', /^Cannot use digest/],
];
for (const [text, message] of refused) {
  test(`parseReference(${JSON.stringify(text.slice(0, 40))}) is refused`, () => {
    assert.throws(() => parseReference(text), { code: 'ERR_REFERENCE', message });
  });
}

test('withDefaultTag() adds "latest" only where there is neither tag nor digest', () => {
  assert.equal(formatReference(withDefaultTag(parseReference('reg.test/app'))), 'reg.test/app:latest');
  for (const text of ['reg.test/app:v1', `reg.test/app@${digest}`])
    assert.equal(formatReference(withDefaultTag(parseReference(text))), text);
});

test('formatRepository() has neither tag nor digest', () => {
  assert.equal(formatRepository(parseReference(`reg.test/app:v1@${digest}`)), 'reg.test/app');
});
