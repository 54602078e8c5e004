// Several destinations of a push, several places of a pull: one that fails takes nothing from the others.
import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { afterEach, test } from 'node:test';
import { RegistryError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { type FakeRegistry, type Fault, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const at = freshRegistry();
const started: FakeRegistry[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map(async (registry) => await registry.stop()));
});
async function another(): Promise<FakeRegistry> {
  const registry = await startFakeRegistry();
  started.push(registry);
  return registry;
}

for (const { name, act } of [
  { name: 'refuses uploads', act: answer(403, 'DENIED', {}, 'no') },
  { name: 'breaks off every time', act: (request) => void request.socket.destroy() },
] satisfies readonly { readonly name: string; readonly act: Fault['act'] }[])
  test(`a registry that ${name} keeps no other from getting the image, and the error lists both`, async () => {
    const broken = await another();
    broken.inject({ method: 'POST', path: /uploads/, times: 100, act });
    const names = [at.named('app/image:v1'), { ...at.named('app/image:v1'), registry: broken.host }, at.named('app/image:v2')];
    const pushed: string[] = [];
    const onPushed = ({ reference }: { readonly reference: { readonly tag?: string } }): unknown => pushed.push(reference.tag ?? '');
    await assert.rejects(at.client.pushImage(storedOf(layerOf(someBytes(100_000))), names, { onPushed }, signal), (error) => {
      assert.ok(error instanceof RegistryError);
      const [good, bad] = [`${at.registry.host}/app/image`, `${broken.host}/app/image`];
      assert.ok(error.message.startsWith('Cannot '), error.message);
      assert.ok(error.message.endsWith(`; pushed: ${good}:v1, ${good}:v2; not pushed: ${bad}:v1`), error.message);
      return true;
    });
    assert.deepEqual(pushed, ['v1', 'v2']);
    assert.ok(at.registry.manifests.has('app/image:v1') && at.registry.manifests.has('app/image:v2'));
    assert.equal(broken.manifests.size, 0);
  });

test('a name that comes twice is pushed, and its blobs are sent once', async () => {
  const name = at.named('app/image:v1');
  const pushed = await at.client.pushImage(storedOf(layerOf(someBytes(100_000))), [name, name], {}, signal);
  assert.equal(pushed.length, 2);
  assert.equal(at.count('PUT', /uploads/), 2);
});

const lies: readonly { readonly name: string; readonly fault: Fault; readonly says: RegExp }[] = [
  { name: 'is broken', fault: { path: /manifests/, act: answer(500) }, says: /answered 500 .*; trying the next place$/ },
  { name: 'wants a password', fault: { path: /manifests/, act: answer(401) }, says: /answered 401 .*; trying the next place$/ },
  { name: 'refuses us', fault: { path: /manifests/, act: answer(403) }, says: /answered 403 .*; trying the next place$/ },
  {
    name: 'is a page for people',
    fault: { path: /manifests/, act: (_request, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>') },
    says: /an HTML page came from .*; trying the next place$/,
  },
  {
    name: 'has lost the layers',
    fault: { path: /blobs/, act: answer(404, 'BLOB_UNKNOWN') },
    says: /answered 404 BLOB_UNKNOWN.*; trying the next place$/,
  },
  {
    name: 'has another manifest by that digest',
    fault: { path: /manifests/, act: (_request, response) => void response.end('{"schemaVersion":2}') },
    says: /the registry sent sha256:.*; trying the next place$/,
  },
];
for (const { name, fault, says } of lies)
  test(`a mirror that ${name} is told of, and the image comes from the registry itself`, async () => {
    const mirror = await another();
    const image = storedOf(layerOf(someBytes(5000)));
    const names = [at.registry, mirror].map(({ host }) => ({ ...at.named('app/image:v1'), registry: host }));
    await at.client.pushImage(image, names, {}, signal);
    await using client = testClient({ mirrors: { mirrors: new Map([[at.registry.host, [mirror.host]]]) } });
    mirror.inject({ ...fault, method: 'GET', times: 100 });
    const pulled = await client.pullImage({ ...at.named('app/image'), digest: image.manifest.digest }, platform, signal);
    assert.equal(pulled.digest, image.manifest.digest);
    assert.ok(
      client.lines().some((line) => says.test(line)),
      client.lines().join('\n'),
    );
  });

test('a mirror whose layer has other bytes is passed over by the next try', async () => {
  const mirror = await another();
  const content = someBytes(5000);
  const names = [at.registry, mirror].map(({ host }) => ({ ...at.named('app/image:v1'), registry: host }));
  await at.client.pushImage(storedOf(layerOf(content)), names, {}, signal);
  await using client = testClient({ mirrors: { mirrors: new Map([[at.registry.host, [mirror.host]]]) } });
  const act: Fault['act'] = (_request, response) => void response.end(Buffer.alloc(5000));
  mirror.inject({ method: 'GET', path: new RegExp(digestOf(content)), times: 100, act });
  const [layer] = (await client.pullImage(at.named('app/image:v1'), platform, signal)).image.layers;
  assert.ok(layer !== undefined);
  await assert.rejects(buffer(layer.open(signal)), { code: 'ERR_DIGEST_MISMATCH', message: new RegExp(mirror.host) });
  assert.deepEqual(await buffer(layer.open(signal)), content);
});

test('a cache that refuses connections is asked once, and a base six times', async () => {
  const gone = await another();
  await gone.stop();
  await using client = testClient();
  const name = { ...at.named('app/cache:key'), registry: gone.host };
  await assert.rejects(client.findImage(name, platform, signal), /refused/);
  await assert.rejects(client.pushImage(storedOf(layerOf(someBytes(10))), [name], { isHelp: true }, signal), /refused/);
  assert.deepEqual(client.waits, []);
  await assert.rejects(client.pullImage(name, platform, signal), /\(tried 6 times\)/);
  assert.equal(client.waits.length, 5);
});
