// Mirrors, and what a place speaks: a place is opened when its turn comes, and an answer settles what it speaks.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { type Reference, parseReference } from '../../../src/oci/reference.ts';
import { checkMirror, mirrorOf } from '../../../src/registry/mirror.ts';
import { namesFromTable } from '../../../src/registry/names.ts';
import type { RegistryClientOptions } from '../../../src/registry/client.ts';
import { type FakeRegistry, answer, cut, startFakeRegistry } from '../../support/fake-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { type TestClient, testClient } from '../../support/registry-client.ts';
import { freePort } from '../../support/listen.ts';

const { signal } = new AbortController();
const names = namesFromTable(
  new Map(
    ['mymirror', 'away.test', 'registry-1.docker.io', 'plain.test'].map((name) => [name, [{ address: '127.0.0.1', family: 4 as const }]]),
  ),
);
const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

async function start(): Promise<FakeRegistry> {
  const registry = await startFakeRegistry();
  opened.push(registry.stop);
  return registry;
}
function clientOf(mirrors: Readonly<Record<string, readonly string[]>>, options: Partial<RegistryClientOptions> = {}): TestClient {
  const client = testClient({
    names,
    mirrors: { mirrors: new Map(Object.entries(mirrors)) },
    hostRules: () => ({ insecure: true }),
    ...options,
  });
  opened.push(client.close);
  return client;
}
const store = async (registry: FakeRegistry, repository: string): Promise<void> => {
  await using client = testClient();
  await client.pushImage(storedOf(layerOf(someBytes(5000))), [parseReference(`${registry.host}/${repository}:v1`)], {}, signal);
};

const rows: readonly (readonly [mirror: string, registry: string, repository: string])[] = [
  ['mymirror', 'mymirror', 'library/busybox'],
  ['mymirror/cache', 'mymirror', 'cache/library/busybox'],
  ['mymirror:5000', 'mymirror:5000', 'library/busybox'],
  ['mirror.gcr.io/', 'mirror.gcr.io', 'library/busybox'],
  ['10.0.0.1:5000/a/b', '10.0.0.1:5000', 'a/b/library/busybox'],
  ['localhost', 'localhost', 'library/busybox'],
];
for (const [mirror, registry, repository] of rows) {
  test(`mirrorOf() finds busybox of Docker Hub at ${mirror} in ${registry}/${repository}`, () => {
    assert.deepEqual(mirrorOf(parseReference('busybox'), mirror), { registry, repository });
  });
}
for (const mirror of ['', '/', 'https://mirror.example', 'mirror.example/Upper', 'a b', 'user:pass@mirror.example']) {
  test(`checkMirror() refuses ${JSON.stringify(mirror)}`, () => {
    assert.throws(() => checkMirror(mirror), { code: 'ERR_REFERENCE', message: /^Cannot use mirror / });
  });
}

test('a mirror is asked although the registry itself is out of reach, which is not even looked at', async () => {
  const mirror = await start();
  await store(mirror, 'library/busybox');
  const client = clientOf({ 'index.docker.io': [mirror.host] }, { names: namesFromTable(new Map()) });
  const { image } = await client.pullImage(parseReference('busybox:v1'), platform, signal);
  assert.equal(image.layers.length, 1);
  assert.deepEqual([client.lines(), client.waits], [[], []]);
});

test('a mirror without a dot in its name is a host', async () => {
  const mirror = await start();
  await store(mirror, 'library/busybox');
  const asked: string[] = [];
  const client = clientOf(
    { 'index.docker.io': ['mymirror', mirror.host] },
    {
      names: {
        resolve: async (host) => {
          asked.push(host);
          return await namesFromTable(new Map()).resolve(host);
        },
      },
    },
  );
  await client.pullImage(parseReference('busybox:v1'), platform, signal);
  assert.equal(asked[0], 'mymirror');
});

test('a mirror that has no such image is named before the next place is asked', async () => {
  const [mirror, origin] = [await start(), await start()];
  await store(origin, 'app/image');
  const client = clientOf({ [origin.host]: [`${mirror.host}/hub`] });
  await client.pullImage(parseReference(`${origin.host}/app/image:v1`), platform, signal);
  assert.deepEqual(client.lines(), [`${mirror.host}/hub/app/image has no such image; trying the next place`]);
});

test('where one mirror fails and the last place has no such image, the error is the former and the latter is told', async () => {
  const mirror = await start();
  const port = await freePort();
  const mirrors = new Map([['origin.test:5000', [`127.0.0.1:${port}`, mirror.host]]]);
  const client = clientOf({}, { mirrors: { mirrors, onlyMirrors: true } });
  await assert.rejects(
    client.pullImage(parseReference('origin.test:5000/a:1'), platform, signal),
    /Cannot reach 127\.0\.0\.1:\d+: connection refused/,
  );
  assert.deepEqual(client.lines(), [
    `Cannot reach 127.0.0.1:${port}: connection refused; trying the next place`,
    `${mirror.host}/a has no such image`,
  ]);
});

test('a mirror that refuses connections is left for the next place at once, with a word', async () => {
  const origin = await start();
  await store(origin, 'app/image');
  const port = await freePort();
  const client = clientOf({ [origin.host]: [`127.0.0.1:${port}`, `away.test:${port}`] });
  await client.pullImage(parseReference(`${origin.host}/app/image:v1`), platform, signal);
  assert.deepEqual(client.waits, []);
  assert.deepEqual(client.lines(), [
    `Cannot reach 127.0.0.1:${port}: connection refused; trying the next place`,
    `Cannot reach away.test:${port}: connection refused; trying the next place`,
  ]);
});

test('a registry that refuses connections is tried again, and each try is told with the reason and the wait', async () => {
  const port = await freePort();
  const client = clientOf({});
  await assert.rejects(
    client.pullImage(parseReference(`127.0.0.1:${port}/app/image:v1`), platform, signal),
    /connection refused \(tried 6 times\)$/,
  );
  assert.deepEqual(
    client.lines(),
    [1, 2, 4, 8, 16].map(
      (wait, index) => `Cannot reach 127.0.0.1:${port}: connection refused; trying again in ${wait} s (${index + 2} of 6)`,
    ),
  );
});

test('a layer goes on at the next place where its mirror died in the middle', async () => {
  const [mirror, origin] = [await start(), await start()];
  const content = someBytes(400_000);
  await using pusher = testClient();
  const image = storedOf(layerOf(content));
  await pusher.pushImage(
    image,
    [mirror, origin].map(({ host }) => parseReference(`${host}/app/image:v1`)),
    {},
    signal,
  );
  const client = clientOf({ [origin.host]: [mirror.host] });
  const [layer] = (await client.pullImage(parseReference(`${origin.host}/app/image:v1`), platform, signal)).image.layers;
  assert.ok(layer !== undefined);
  mirror.inject({ method: 'GET', path: new RegExp(layer.descriptor.digest), act: cut(content, 150_000) });
  mirror.inject({ method: 'GET', path: new RegExp(layer.descriptor.digest), times: 100, act: (request) => void request.socket.destroy() });
  assert.deepEqual(await buffer(layer.open(signal)), content);
  const ranges = origin.requests.filter((item) => item.method === 'GET' && item.path.endsWith(layer.descriptor.digest));
  assert.match(ranges[0]?.headers.range ?? '', /^bytes=\d+-$/);
});

test('a registry without TLS whose answer is reset once is asked again, and not called to account for TLS', async () => {
  const registry = await start();
  await store(registry, 'app/image');
  registry.inject({ path: /^\/v2\/$/, act: (request) => void request.socket.destroy() });
  const client = clientOf({});
  const reference: Reference = parseReference(`${registry.host}/app/image:v1`);
  await client.pullImage(reference, platform, signal);
  assert.deepEqual(client.waits, [1000]);
  registry.inject({ path: /manifests/, act: (request) => void request.socket.destroy() });
  await client.pullImage(reference, platform, signal);
  // One of them by the client that stored the image.
  assert.equal(registry.requests.filter((item) => item.path === '/v2/').length, 3);
});

test('a proxy that answers 502 for a registry does not settle what it speaks', async () => {
  const registry = await start();
  registry.inject({ path: /^\/v2\/$/, times: 2, act: answer(502) });
  const client = clientOf({});
  assert.equal(await client.resolve(parseReference(`${registry.host}/app/image:v1`), signal), undefined);
  assert.deepEqual(client.waits, [1000, 2000]);
});

test('400 to plain HTTP is no answer of a registry: both reasons are told', async () => {
  const registry = await start();
  registry.inject({ path: /^\/v2\/$/, times: 10, act: answer(400) });
  const client = clientOf({});
  await assert.rejects(
    client.resolve(parseReference(`${registry.host}/app/image:v1`), signal),
    /^RegistryError: Cannot reach 127\.0\.0\.1:\d+: over HTTPS it does not speak TLS; over HTTP answered 400 UNKNOWN: on demand$/,
  );
  assert.deepEqual(client.waits, []);
});
