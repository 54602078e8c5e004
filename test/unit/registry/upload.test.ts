// What an upload does with its source, its session and its chunks.
import assert from 'node:assert/strict';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { BuilderError } from '../../../src/errors.ts';
import type { Layer } from '../../../src/oci/image.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { type Fault, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { growingLayer, storedOf, layerOf, someBytes } from '../../support/image.ts';
import { passwordFor, testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const at = freshRegistry();

/** A layer that keeps every stream it gave out. */
function watched(content: Buffer): { readonly layer: Layer; readonly streams: Readable[] } {
  const streams: Readable[] = [];
  const layer = layerOf(content);
  const open = (): Readable => {
    const stream = layer.open(signal);
    streams.push(stream);
    return stream;
  };
  return { streams, layer: { ...layer, open } };
}

test('the sources of an upload that is redirected are all closed, whole and in chunks', async () => {
  for (const inChunks of [false, true]) {
    const content = someBytes(3_000_000);
    const { layer, streams } = watched(content);
    const whole = new RegExp(digestOf(content).slice(7));
    const path = inChunks ? /uploads/ : whole;
    at.registry.inject({
      method: inChunks ? 'PATCH' : 'PUT',
      path,
      act: (request, response) =>
        answer(307, 'MOVED', { location: request.url ?? '' })(request, response, async () => await Promise.resolve()),
    });
    if (inChunks) at.registry.inject({ method: 'PUT', path: whole, act: answer(413) });
    await at.client.pushImage(storedOf(layer), [at.named(`app/moved-${inChunks}:v1`)], { chunkBytes: 1_000_000 }, signal);
    assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
    assert.ok(streams.length >= 2);
    assert.deepEqual(
      streams.map((stream) => stream.destroyed),
      streams.map(() => true),
    );
  }
});

test('an upload that is stopped takes back its session, whole and in chunks', async () => {
  for (const inChunks of [false, true]) {
    const stop = new AbortController();
    const layer = layerOf(someBytes(3_000_000));
    const whole = new RegExp(layer.descriptor.digest.slice(7));
    if (inChunks) at.registry.inject({ method: 'PUT', path: whole, act: answer(413) });
    at.registry.inject({
      method: inChunks ? 'PATCH' : 'PUT',
      path: inChunks ? /uploads/ : whole,
      act: () => stop.abort(new BuilderError('ERR_ABORTED', 'SIGTERM')),
    });
    const before = at.registry.requests.length;
    const push = at.client.pushImage(storedOf(layer), [at.named(`app/stopped-${inChunks}:v1`)], { chunkBytes: 1_000_000 }, stop.signal);
    await assert.rejects(push, /SIGTERM/);
    const deleted = at.registry.requests.slice(before).filter(({ method, path }) => method === 'DELETE' && /uploads\/./.test(path));
    assert.ok(deleted.length > 0);
  }
});

test('a client that is told so sends nothing in a larger request than one chunk, a layer that is being written neither', async () => {
  const registry = await startFakeRegistry();
  await using client = testClient({ chunkBytes: 100_000 });
  try {
    const reference = parseReference(`${registry.host}/app/chunked:v1`);
    const [small, large, growing] = [layerOf(someBytes(100_000)), layerOf(someBytes(250_001)), growingLayer()];
    growing.write(someBytes(150_000));
    const sending = client.pushGrowing(growing, [reference], signal);
    growing.write(someBytes(150_000));
    const grown = growing.end();
    await sending;
    await client.pushImage(storedOf(small, large, grown), [reference], {}, signal);
    const bytesOf = (method: string): readonly number[] =>
      registry.requests.filter((item) => item.method === method && item.path.includes('uploads')).map(({ bodyBytes }) => bodyBytes);
    assert.deepEqual(
      bytesOf('PATCH').toSorted((a, b) => a - b),
      [50_001, 100_000, 100_000, 100_000, 100_000, 100_000],
    );
    assert.ok(bytesOf('PUT').every((bytes) => bytes <= 100_000));
    for (const { descriptor } of [small, large, grown]) assert.equal(registry.blobs.get(descriptor.digest)?.length, descriptor.size);
  } finally {
    await registry.stop();
  }
});

test('chunks that are larger than what is let through become smaller', async () => {
  const content = someBytes(5_000_000);
  const act: Fault['act'] = async (request, response, proceed) =>
    Number(request.headers['content-length']) > 1_100_000 ? await answer(413)(request, response, proceed) : await proceed();
  for (const method of ['PUT', 'PATCH']) at.registry.inject({ method, path: /uploads/, times: 100, act });
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/limited:v1')], {}, signal);
  assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
  assert.deepEqual(at.client.waits, []);
});

test('the sources of an upload whose token has expired are all closed', async () => {
  const guarded = await startFakeRegistry({ auth: { kind: 'token', user: 'me', password: 'secret' } });
  await using user = testClient({ credentials: passwordFor('me', 'secret') });
  try {
    const { layer, streams } = watched(someBytes(3_000_000));
    guarded.inject({
      method: 'PUT',
      path: /uploads/,
      act: async (_request, _response, proceed) => {
        guarded.expireTokens();
        await proceed();
      },
    });
    await user.pushImage(storedOf(layer), [parseReference(`${guarded.host}/app/image:v1`)], {}, signal);
    assert.ok(streams.length >= 1);
    assert.deepEqual(
      streams.map((stream) => stream.destroyed),
      streams.map(() => true),
    );
  } finally {
    await guarded.stop();
  }
});

test('chunks are no smaller than the registry wants them, the last one excepted', async () => {
  const content = someBytes(500_000);
  at.registry.inject({ method: 'PUT', path: new RegExp(digestOf(content).slice(7)), act: answer(413) });
  at.registry.inject({
    method: 'POST',
    path: /uploads/,
    times: 10,
    act: async (_request, response, proceed) => {
      response.setHeader('OCI-Chunk-Min-Length', '200000');
      await proceed();
    },
  });
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/chunks:v1')], { chunkBytes: 100_000 }, signal);
  const chunks = at.registry.requests.filter((item) => item.method === 'PATCH').map((item) => item.headers['content-range']);
  assert.deepEqual(chunks, ['0-199999', '200000-399999', '400000-499999']);
  assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
});

test('a push whose early bird is called off goes on with the upload that is under way', async () => {
  const layer = layerOf(someBytes(1000));
  const held = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  at.registry.inject({
    method: 'PUT',
    path: new RegExp(layer.descriptor.digest.slice(7)),
    act: async (_request, _response, proceed) => {
      arrived.resolve();
      await held.promise;
      await proceed();
    },
  });
  const early = new AbortController();
  const ahead = at.client.pushLayer(layer, [at.named('app/image:v1')], early.signal);
  await arrived.promise;
  const pushing = at.client.pushImage(storedOf(layer), [at.named('app/image:v1')], {}, signal);
  await new Promise((resolve) => setTimeout(resolve, 50));
  early.abort(new Error('called off'));
  await assert.rejects(ahead, /called off/);
  held.resolve();
  await pushing;
  assert.equal(
    at.registry.requests.filter((item) => item.method === 'PUT' && item.path.includes(layer.descriptor.digest.slice(7))).length,
    1,
  );
});
