// A peer that falls silent or only drips, in the middle of a GET or a PUT: the connection is given up in time, the reason is told, and the
// transfer goes on.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { type PaceLimits, defaultPaceLimits, paced, pacedUpload } from '../../../src/registry/pace.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';

const { signal } = new AbortController();
const limits: PaceLimits = { stallTimeoutMs: 200, slowWindowMs: 400, slowBytesPerSecond: 1024 };
const at = freshRegistry(limits);

test('the limits are 30 s without a byte, and 60 s below 1 KiB/s', () => {
  assert.deepEqual(defaultPaceLimits, { stallTimeoutMs: 30_000, slowWindowMs: 60_000, slowBytesPerSecond: 1024 });
});

for (const { name, afterBytes } of [
  { name: 'before its first byte', afterBytes: 0 },
  { name: 'in the middle', afterBytes: 70_000 },
])
  test(`a GET that stalls ${name} goes on from where it was, and says so`, async () => {
    const content = someBytes(100_000);
    await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/image:v1')], {}, signal);
    const { image } = await at.client.pullImage(at.named('app/image:v1'), platform, signal);
    const path = new RegExp(digestOf(content));
    at.registry.inject({
      method: 'GET',
      path,
      act: (_request, response) => {
        response.writeHead(200, { 'content-length': content.length });
        response.flushHeaders();
        if (afterBytes > 0) response.write(content.subarray(0, afterBytes));
      },
    });
    assert.deepEqual(await buffer(image.layers[0]?.open(signal) ?? assert.fail()), content);
    assert.match(at.client.lines().join('\n'), /^Cannot reach .*: the answer stalled; trying again in 1 s \(2 of 6\)$/);
    const ranges = at.registry.requests.filter((item) => item.method === 'GET' && path.test(item.path)).map((item) => item.headers.range);
    assert.deepEqual(ranges, [undefined, afterBytes === 0 ? undefined : `bytes=${afterBytes}-`]);
  });

test('a GET without any answer is given up in time', async () => {
  await at.client.pushImage(storedOf(layerOf(someBytes(10))), [at.named('app/image:v1')], {}, signal);
  at.registry.inject({ method: 'GET', path: /manifests/, act: () => undefined });
  const startedMs = performance.now();
  await at.client.pullImage(at.named('app/image:v1'), platform, signal);
  assert.ok(performance.now() - startedMs < 2000);
  assert.match(at.client.lines().join('\n'), /no answer in time; trying again/);
});

test('a GET that drips is given up, though it is never silent', async () => {
  const content = someBytes(10_000);
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/image:v1')], {}, signal);
  const { image } = await at.client.pullImage(at.named('app/image:v1'), platform, signal);
  at.registry.inject({
    method: 'GET',
    path: new RegExp(digestOf(content)),
    act: async (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      for (let sent = 0; sent < content.length && !response.destroyed; sent++) {
        response.write(content.subarray(sent, sent + 1));
        await delay(50);
      }
    },
  });
  assert.deepEqual(await buffer(image.layers[0]?.open(signal) ?? assert.fail()), content);
  assert.match(at.client.lines().join('\n'), /it sent less than 1024 bytes a second for 0\.4 s; trying again/);
});

test('a PUT that stalls in the middle is given up and sent anew, and says so', async () => {
  const content = someBytes(12_000_000);
  at.registry.inject({ method: 'PUT', path: /uploads/, act: (request) => void request.pause() });
  const startedMs = performance.now();
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/image:v1')], {}, signal);
  assert.ok(performance.now() - startedMs < 8000);
  assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
  assert.match(at.client.lines().join('\n'), /^Cannot reach .*: it took no byte for 0\.2 s; trying again in 1 s \(2 of 6\)$/);
});

test('a small PUT that is taken and never answered is given up as well', async () => {
  const content = someBytes(1000);
  at.registry.inject({ method: 'PUT', path: new RegExp(digestOf(content).slice(7)), act: (request) => void request.resume() });
  const startedMs = performance.now();
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/image:v1')], {}, signal);
  assert.ok(performance.now() - startedMs < 3000);
  assert.match(at.client.lines().join('\n'), /no answer in time; trying again/);
});

test('a registry is given a second more for each MiB that it has to put in its place', async () => {
  const content = someBytes(2 * 1024 * 1024);
  at.registry.inject({
    method: 'PUT',
    path: new RegExp(digestOf(content).slice(7)),
    act: async (_request, _response, proceed) => {
      await delay(1200);
      await proceed();
    },
  });
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/image:v1')], {}, signal);
  assert.equal(at.client.lines().join('\n'), '');
});

test('a chunk that stalls goes on after what the registry has', async () => {
  const content = someBytes(24_000_000);
  at.registry.inject({ method: 'PUT', path: /uploads/, times: 2, act: (request) => void request.socket.destroy() });
  at.registry.inject({ method: 'PATCH', path: /uploads/, act: (request) => void request.pause() });
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/image:v1')], { chunkBytes: 12_000_000 }, signal);
  assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
});

test('paced() does not count the time of whoever reads', async () => {
  const fail = (): Error => new Error('too slow');
  let seen = 0;
  for await (const chunk of paced(
    Readable.from([Buffer.alloc(1), Buffer.alloc(1), Buffer.alloc(1)], { objectMode: false }),
    limits,
    fail,
  )) {
    seen += chunk.length;
    await delay(300);
  }
  assert.equal(seen, 3);
});

test('pacedUpload() does not count the time of a source that is slow to read', async () => {
  const slow = async function* (): AsyncGenerator<Buffer> {
    for (let count = 0; count < 3; count++) {
      await delay(300);
      yield Buffer.alloc(1);
    }
  };
  const told: string[] = [];
  const bytes = await buffer(pacedUpload(slow(), limits, (why) => told.push(why)));
  assert.deepEqual([bytes.length, told], [3, []]);
});

test('pacedUpload() hears of a taker that only sips', async () => {
  const told: string[] = [];
  const out = pacedUpload(
    Readable.from([Buffer.alloc(400_000)], { objectMode: false }),
    { ...limits, slowBytesPerSecond: 10_000_000 },
    (why) => told.push(why),
  );
  for await (const chunk of out) {
    void chunk;
    await delay(150);
  }
  assert.match(told[0] ?? '', /^it took less than 10000000 bytes a second for 0\.4 s$/);
});
