import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyImageConfig, formatImageConfig, parseImageConfig } from '../../../src/oci/image-config.ts';

const minimal = { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [] }, history: [] };

test('a config survives reading and writing with unknown members and exact numbers', () => {
  const text =
    '{"architecture":"amd64","os":"linux","config":{"Env":["A=b"],"Memory":9007199254740993},"rootfs":{"type":"layers","diff_ids":[]},"history":[],"x":{"y":[1,null,true]}}';
  assert.equal(formatImageConfig(parseImageConfig(text)), text);
});

test('labels named like members of Object.prototype are only labels', () => {
  const parsed = parseImageConfig(
    '{"architecture":"a","os":"b","config":{"Labels":{"__proto__":"1","constructor":"2"}},"rootfs":{"diff_ids":[]}}',
  );
  assert.equal(parsed.config.labels.get('__proto__'), '1');
  assert.match(formatImageConfig(parsed), /"Labels":\{"__proto__":"1","constructor":"2"\}/);
});

test('a label that is null is empty, as Go reads it', () => {
  const parsed = parseImageConfig('{"architecture":"a","os":"b","config":{"Labels":{"x":null}},"rootfs":{"diff_ids":[]}}');
  assert.match(formatImageConfig(parsed), /"Labels":\{"x":""\}/);
});

test("what the classic builder left of the base's own container is dropped", () => {
  const parsed = parseImageConfig(
    JSON.stringify({ ...minimal, container: 'x', docker_version: '1', config: { Hostname: 'h', Image: 'sha256:x' } }),
  );
  assert.equal(
    formatImageConfig(parsed),
    '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]},"history":[]}',
  );
});

test('the same value gives the same bytes whatever the order of labels', () => {
  const config = emptyImageConfig({ os: 'linux', architecture: 'amd64' });
  const one = formatImageConfig({
    ...config,
    config: {
      ...config.config,
      labels: new Map([
        ['b', '1'],
        ['a', '2'],
      ]),
    },
  });
  const two = formatImageConfig({
    ...config,
    config: {
      ...config.config,
      labels: new Map([
        ['a', '2'],
        ['b', '1'],
      ]),
    },
  });
  assert.equal(one, two);
});

const broken: readonly (readonly [string, string])[] = [
  ['[]', 'the document'],
  ['{"config":[]}', 'config'],
  ['{"config":{"Env":[1]}}', 'Env'],
  ['{"config":{"Labels":{"a":1}}}', 'Labels'],
  ['{"config":{"Healthcheck":{"Retries":"x"}}}', 'Retries'],
  ['{"rootfs":{"diff_ids":["sha256:../../x"]}}', 'diff_ids'],
  ['{"history":[1]}', 'history'],
  ['{', 'JSON'],
];
for (const [text, member] of broken) {
  test(`parseImageConfig() names what is wrong in ${text}`, () => {
    assert.throws(
      () => parseImageConfig(text),
      (error: { code?: string; message?: string }) => error.code === 'ERR_LAYER' && (error.message ?? '').includes(member),
    );
  });
}
