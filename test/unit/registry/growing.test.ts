// Layers that leave while they are written, at registries that don't take them like that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { parseReference } from '../../../src/oci/reference.ts';
import { type Fault, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { growingLayer, someBytes, storedOf } from '../../support/image.ts';
import { testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const uploads = /blobs\/uploads\//;

const breaking: Fault['act'] = (request) => {
  request.once('data', () => request.socket.destroy()).resume();
};

for (const { title, fault, second } of [
  { title: 'PATCH is not allowed', fault: { method: 'PATCH', act: answer(405, 'UNSUPPORTED') }, second: false },
  { title: 'a length is wanted', fault: { method: 'PATCH', act: answer(411) }, second: false },
  { title: 'the connection breaks', fault: { method: 'PATCH', act: breaking }, second: false },
  { title: 'no upload begins', fault: { method: 'POST', act: answer(503) }, second: true },
  { title: 'the digest is refused', fault: { method: 'PUT', act: answer(400, 'DIGEST_INVALID') }, second: true },
]) {
  test(`where ${title}, a growing layer is sent when it is there, and its image goes out`, async () => {
    const registry = await startFakeRegistry();
    try {
      registry.inject({ path: uploads, ...fault });
      await using client = testClient();
      const reference = parseReference(`${registry.host}/growing:v1`);
      for (const isSecond of [false, true]) {
        const growing = growingLayer();
        growing.write(someBytes(200_000));
        const sending = client.pushGrowing(growing, [reference], signal);
        await setImmediate();
        growing.write(someBytes(200_000));
        const layer = growing.end();
        await sending;
        assert.equal(registry.blobs.get(layer.descriptor.digest)?.length, 400_000);
        await client.pushImage(storedOf(layer), [reference], {}, signal);
        const patches = registry.requests.filter(({ method, headers }) => method === 'PATCH' && headers['content-range'] === undefined);
        // Whoever did not take one is not given another.
        if (isSecond) assert.equal(patches.length, fault.method === 'POST' ? 1 : second ? 2 : 1);
      }
    } finally {
      await registry.stop();
    }
  });
}

test('where nothing comes of a layer, its upload is given up, and the failure is the writer’s', async () => {
  const registry = await startFakeRegistry();
  try {
    await using client = testClient();
    const growing = growingLayer();
    growing.write(someBytes(200_000));
    const sending = client.pushGrowing(growing, [parseReference(`${registry.host}/growing:v1`)], signal);
    await setImmediate();
    growing.fail(new Error('the disk is full'));
    await assert.rejects(sending, /the disk is full/);
    assert.equal(registry.blobs.size, 0);
  } finally {
    await registry.stop();
  }
});

test('who stops leaves nothing behind that goes on sending', async () => {
  const registry = await startFakeRegistry();
  try {
    await using client = testClient();
    const stop = new AbortController();
    const growing = growingLayer();
    growing.write(someBytes(200_000));
    const sending = client.pushGrowing(growing, [parseReference(`${registry.host}/growing:v1`)], stop.signal);
    await setImmediate();
    stop.abort(new Error('stopped'));
    growing.fail(new Error('stopped'));
    await assert.rejects(sending, /stopped/);
    assert.equal(registry.blobs.size, 0);
  } finally {
    await registry.stop();
  }
});
