// A registry and a client of it in a network of their own, which goes away while they work; tells how each time ended, as JSON.
// usage, as root: unshare --net node partition-probe.ts
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { BuilderError } from '../../src/errors.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { type RetryPolicy, systemClock } from '../../src/registry/retry.ts';
import { startFakeRegistry } from './fake-registry.ts';
import { layerOf, platform, someBytes, storedOf } from './image.ts';
import { testClient } from './registry-client.ts';

const { signal } = new AbortController();
const network = (state: 'up' | 'down'): unknown => execFileSync('/usr/sbin/ip', ['link', 'set', 'lo', state]);
/** Away for so long that a connection which falls silent is given up meanwhile. */
async function away(lastsMs: number): Promise<void> {
  network('down');
  await delay(lastsMs);
  network('up');
}
async function endOf(work: () => Promise<void>): Promise<string> {
  try {
    await work();
    return 'well';
  } catch (error) {
    if (!(error instanceof BuilderError)) throw error;
    return error.message;
  }
}

network('up');
const registry = await startFakeRegistry();
const retryPolicy: RetryPolicy = { tries: 6, firstDelayMs: 100, longestDelayMs: 1000, budgetMs: 10_000, longestRetryAfterMs: 1000 };
const client = testClient({ clock: systemClock, retryPolicy, stallTimeoutMs: 400, connectTimeoutMs: 400 });
const named = (name: string): ReturnType<typeof parseReference> => parseReference(`${registry.host}/app/${name}:v1`);
const content = someBytes(4_000_000);
function beginBlob(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': content.length });
  response.write(content.subarray(0, 1_000_000));
}
await client.pushImage(storedOf(layerOf(content)), [named('base')], {}, signal);
/** Takes the network away in the middle of the next such request; gives what waits until it is back. */
function awayDuring(
  method: string,
  path: RegExp,
  begin: (request: IncomingMessage, response: ServerResponse) => void,
): () => Promise<void> {
  let isAway: Promise<void> | undefined;
  const act = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    begin(request, response);
    isAway = away(900);
    await isAway;
  };
  registry.inject({ method, path, act });
  return async () => await isAway;
}

const pull = await endOf(async () => {
  const { image } = await client.pullImage(named('base'), platform, signal);
  const isBack = awayDuring('GET', /blobs/, (_request, response) => beginBlob(response));
  assert.deepEqual(await buffer(image.layers[0]?.open(signal) ?? assert.fail()), content);
  await isBack();
});
const push = await endOf(async () => {
  const isBack = awayDuring('PUT', /uploads/, (request) => void request.pause());
  await client.pushImage(storedOf(layerOf(someBytes(20_000_000))), [named('pushed')], {}, signal);
  await isBack();
});
const run = await endOf(async () => {
  await away(900);
  await client.pushImage(storedOf(layerOf(someBytes(1000))), [named('after')], {}, signal);
});
// With the limits that users have: a pull and a push stand still for half a minute in the middle of a body, and go on.
const patient = testClient({ clock: systemClock });
const halfAMinute = await endOf(async () => {
  const { image } = await patient.pullImage(named('base'), platform, signal);
  const [isPulling, isPushing] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const rest = Promise.all([isPulling.promise, isPushing.promise]).then(async () => await away(30_000));
  registry.inject({
    method: 'GET',
    path: /blobs/,
    act: async (_request, response) => {
      beginBlob(response);
      isPulling.resolve();
      await rest;
      response.end(content.subarray(1_000_000));
    },
  });
  registry.inject({
    method: 'PUT',
    path: /uploads/,
    act: async (request, _response, proceed) => {
      isPushing.resolve();
      await rest;
      request.resume();
      await proceed();
    },
  });
  const pulling = buffer(image.layers[0]?.open(signal) ?? assert.fail());
  await Promise.all([pulling, patient.pushImage(storedOf(layerOf(someBytes(20_000_000))), [named('patient')], {}, signal)]);
  assert.deepEqual(await pulling, content);
});
network('down');
const forEver = await endOf(async () => void (await client.pushImage(storedOf(layerOf(someBytes(1000))), [named('never')], {}, signal)));
assert.ok(!registry.manifests.has('app/never:v1'));
process.stdout.write(JSON.stringify({ pull, push, run, 'half a minute': halfAMinute, 'for ever': forEver }));
process.exit(0);
