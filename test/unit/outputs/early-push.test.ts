import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEarlyPush } from '../../../src/outputs/early-push.ts';
import { RegistryError } from '../../../src/errors.ts';
import type { BuildEvent } from '../../../src/events.ts';
import type { Layer } from '../../../src/oci/image.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { layerOf } from '../../support/image.ts';

const destinations = [parseReference('registry.example/a:1')];
const { signal } = new AbortController();
const layer = layerOf(Buffer.from('x'));
const pushGrowing = async (): Promise<void> => await Promise.resolve();

test('send() sends layers of the image only, and only to somewhere', async () => {
  const sent: string[] = [];
  const registry = {
    pushGrowing,
    pushLayer: async ({ descriptor }: Layer) => {
      sent.push(descriptor.digest);
      await Promise.resolve();
    },
  };
  await using earlyPush = openEarlyPush({ registry, destinations, emit: () => undefined, signal });
  earlyPush.send(layer);
  earlyPush.startStage(false);
  earlyPush.send(layer);
  assert.deepEqual(sent, []);
  earlyPush.startStage(true);
  earlyPush.send(layer);
  assert.deepEqual(sent, [layer.descriptor.digest]);
  await using closed = openEarlyPush({ registry, destinations: [], emit: () => undefined, signal });
  closed.startStage(true);
  closed.send(layer);
  assert.equal(sent.length, 1);
});

test('a layer that could not be sent early is a note, not a failure', async () => {
  const events: BuildEvent[] = [];
  const failed = Promise.withResolvers<void>();
  const registry = {
    pushGrowing,
    pushLayer: async () =>
      await Promise.reject(new RegistryError('Cannot push: the registry is asleep', { method: 'PUT', url: 'http://registry.example/' })),
  };
  {
    await using earlyPush = openEarlyPush({ registry, destinations, emit: (event) => (events.push(event), failed.resolve()), signal });
    earlyPush.startStage(true);
    earlyPush.send(layer);
    await failed.promise;
  }
  assert.deepEqual(events, [
    {
      kind: 'note',
      level: 'debug',
      message: `${layer.descriptor.digest} could not be sent early: Cannot push: the registry is asleep`,
    },
  ]);
});

test('disposing of an earlyPush stops what is under way, waits for its end, and tells nothing', async () => {
  const events: BuildEvent[] = [];
  let isStopped = false;
  const registry = {
    pushGrowing,
    pushLayer: async (_layer: Layer, _destinations: unknown, inner: AbortSignal) => {
      const stopped = Promise.withResolvers<void>();
      inner.addEventListener('abort', () => setTimeout(stopped.resolve, 20));
      await stopped.promise;
      isStopped = true;
      throw new Error('stopped');
    },
  };
  {
    await using earlyPush = openEarlyPush({ registry, destinations, emit: (event) => events.push(event), signal });
    earlyPush.startStage(true);
    earlyPush.send(layer);
  }
  assert.deepEqual([isStopped, events], [true, []]);
});
