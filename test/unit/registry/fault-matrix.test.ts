// Every request of a push and a pull, with every fault that may pass, once: the image arrives, and says so by its digest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { digestOf } from '../../../src/oci/digest.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { type FakeRegistry, type Fault, answer, cut, startFakeRegistry } from '../../support/fake-registry.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { type TestClient, passwordFor, testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const auth = { kind: 'token', user: 'me', password: 'secret' } as const;

const requests: readonly { readonly name: string; readonly method: string; readonly path: RegExp }[] = [
  { name: 'the request for a token', method: 'GET', path: /^\/token/ },
  { name: 'HEAD for a blob', method: 'HEAD', path: /blobs/ },
  { name: 'the beginning of an upload', method: 'POST', path: /uploads/ },
  { name: 'the PUT of a blob', method: 'PUT', path: /uploads/ },
  { name: 'the PUT of the manifest', method: 'PUT', path: /manifests/ },
  { name: 'the GET of the manifest', method: 'GET', path: /manifests/ },
  { name: 'the GET of a blob', method: 'GET', path: /blobs/ },
];
const faults: readonly { readonly name: string; readonly act: (registry: FakeRegistry) => Fault['act']; readonly notFor?: RegExp }[] = [
  { name: 'a reset', act: () => (request) => void request.socket.destroy() },
  { name: 'an end without an answer', act: () => (request) => void request.socket.end() },
  ...[408, 429, 500, 502, 503, 504, 522].map((status) => ({ name: `${status}`, act: () => answer(status) })),
  { name: '429 with a wait', act: () => answer(429, 'TOOMANYREQUESTS', { 'retry-after': '2' }) },
  {
    name: 'a token that has expired',
    notFor: /token/,
    act: (registry) => async (_request, _response, proceed) => {
      registry.expireTokens();
      await proceed();
    },
  },
];

async function pushAndPull(registry: FakeRegistry, client: TestClient): Promise<void> {
  const content = someBytes(20_000);
  const image = storedOf(layerOf(content));
  const reference = parseReference(`${registry.host}/app/image:v1`);
  const [pushed] = await client.pushImage(image, [reference], {}, signal);
  assert.equal(pushed?.digest, image.manifest.digest);
  const pulled = await client.pullImage(reference, platform, signal);
  assert.equal(pulled.digest, image.manifest.digest);
  assert.deepEqual(await buffer(pulled.image.layers[0]?.open(signal) ?? assert.fail()), content);
}

for (const { name, method, path } of requests)
  test(`${name} bears any fault that passes`, async () => {
    for (const { name: fault, act, notFor } of faults) {
      if (notFor?.test(name) === true) continue;
      for (const times of /expired/.test(fault) ? [1] : [1, 3]) {
        const registry = await startFakeRegistry({ auth });
        await using client = testClient({ credentials: passwordFor('me', 'secret'), ...(/expired/.test(fault) ? { parallel: 1 } : {}) });
        try {
          registry.inject({ method, path, times, act: act(registry) });
          await pushAndPull(registry, client);
          const waits = /expired/.test(fault) ? 0 : 1;
          assert.ok(client.waits.length >= waits || times === 1, `${fault}: ${client.waits.join()}`);
          if (/with a wait/.test(fault))
            assert.ok(
              client.waits.every((wait) => wait >= 2000),
              client.waits.join(),
            );
        } catch (error) {
          throw new Error(`${times} × ${fault}`, { cause: error });
        } finally {
          await registry.stop();
        }
      }
    }
  });

test('a token that is good for three requests is renewed as often as it takes, and no blob is sent more than twice', async () => {
  const registry = await startFakeRegistry({ auth });
  await using client = testClient({ credentials: passwordFor('me', 'secret'), parallel: 1 });
  try {
    let seen = 0;
    const act: Fault['act'] = async (_request, _response, proceed) => {
      if (++seen % 3 === 0) registry.expireTokens();
      await proceed();
    };
    registry.inject({ path: /^\/v2\//, times: 1000, act });
    const layers = Array.from({ length: 8 }, () => layerOf(someBytes(5000)));
    await client.pushImage(storedOf(...layers), [parseReference(`${registry.host}/app/image:v1`)], {}, signal);
    assert.deepEqual(client.waits, []);
    for (const { descriptor } of layers) {
      const puts = registry.requests.filter((item) => item.method === 'PUT' && item.path.endsWith(descriptor.digest.slice(7)));
      assert.ok(puts.length <= 2, `${puts.length} PUTs`);
    }
  } finally {
    await registry.stop();
  }
});

const at = freshRegistry();
const content = someBytes(200_000);
for (const { where, after } of [
  { where: 'before its first byte', after: 0 },
  { where: 'after its first byte', after: 1 },
  { where: 'in the middle', after: 100_000 },
  { where: 'before its last byte', after: 199_999 },
])
  test(`a blob that breaks off ${where} comes after one or three tries more, and is given up after six`, async () => {
    await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/image:v1')], {}, signal);
    const { image } = await at.client.pullImage(at.named('app/image:v1'), platform, signal);
    const [layer] = image.layers;
    assert.ok(layer !== undefined);
    const path = new RegExp(digestOf(content));
    for (const times of [1, 3]) {
      at.registry.inject({ method: 'GET', path, times, act: cut(content, after) });
      assert.deepEqual(await buffer(layer.open(signal)), content);
    }
    const waited = at.client.waits.length;
    at.registry.inject({ method: 'GET', path, times: 100, act: (request) => void request.socket.destroy() });
    const failed = new RegExp(`Cannot reach ${at.registry.host}: the connection closed early`);
    await assert.rejects(buffer(layer.open(signal)), failed);
    // Half a minute in all: what lasts that long is told of, and nothing else is waited for.
    assert.deepEqual(at.client.waits.slice(waited), [1000, 2000, 4000, 8000, 16_000]);
  });

for (const { name, act } of [
  { name: 'begins elsewhere', act: answer(206, '', { 'content-range': 'bytes 5-199999/200000' }) },
  { name: 'has no range', act: answer(206) },
  { name: 'is that there are fewer bytes', act: answer(416) },
])
  test(`a blob is read from its start where the answer to its rest ${name}, and no byte comes twice`, async () => {
    await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/image:v1')], {}, signal);
    const { image } = await at.client.pullImage(at.named('app/image:v1'), platform, signal);
    const path = new RegExp(digestOf(content));
    at.registry.inject({ method: 'GET', path, act: cut(content, 100_000) });
    at.registry.inject({ method: 'GET', path, act });
    assert.deepEqual(await buffer(image.layers[0]?.open(signal) ?? assert.fail()), content);
    const ranges = at.registry.requests.filter((item) => item.method === 'GET' && path.test(item.path)).map((item) => item.headers.range);
    assert.deepEqual([ranges[0], ranges[2]], [undefined, undefined]);
  });
