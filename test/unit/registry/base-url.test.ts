// Where a registry answers, with answers that come in a given order: what a network can't be made to do on demand.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { findBaseUrl } from '../../../src/registry/base-url.ts';
import type { Response } from '../../../src/registry/response.ts';
import { TransientError, defaultRetryPolicy } from '../../../src/registry/retry.ts';
import type { Transport } from '../../../src/registry/transport.ts';

const { signal } = new AbortController();
const clock = { now: () => 0, sleep: async () => await Promise.resolve(), random: () => 0 };
const retry = { policy: { ...defaultRetryPolicy, tries: 2 }, clock };
const response = (url: URL, status: number): Response => ({ method: 'GET', url, status, headers: new Map(), body: Readable.from([]) });
const broken = (url: URL): TransientError => new TransientError(`Cannot reach ${url.host}: broken`, { method: 'GET', url: url.href });

const find = async (attempt: Transport['attempt'], outer = signal): Promise<string> =>
  (await findBaseUrl('reg.example', true, { attempt, retry }, outer)).href;

test('HTTPS is taken where it answers, however much later', async () => {
  const asked = find(async ({ url }) => {
    if (url.protocol === 'https:') await delay(50);
    return response(url, 401);
  });
  assert.equal(await asked, 'https://reg.example/');
});

test('HTTPS is taken where HTTP only leads to it, although it did not answer at first', async () => {
  const asked = find(async ({ url }) => {
    if (url.protocol === 'https:') throw broken(url);
    return await Promise.resolve(response(new URL('/v2/', 'https://reg.example/'), 401));
  });
  assert.equal(await asked, 'https://reg.example/');
});

test('what breaks over HTTP while HTTPS is waited for is nobody’s unhandled rejection', async () => {
  const asked = find(async ({ url }) => {
    if (url.protocol === 'http:') throw new Error('no network error');
    await delay(50);
    return response(url, 200);
  });
  assert.equal(await asked, 'https://reg.example/');
});

test('an abort ends both, with its own reason', async () => {
  const controller = new AbortController();
  const ended: string[] = [];
  const asked = find(async ({ url }, inner) => {
    // One of them hears of it a turn of the event loop earlier.
    await delay(5000, undefined, { signal: inner }).catch(() => undefined);
    if (url.protocol === 'https:') await delay(20);
    ended.push(url.protocol);
    throw inner.reason;
  }, controller.signal);
  controller.abort(new Error('stopped'));
  await assert.rejects(asked, /^Error: stopped$/);
  assert.deepEqual(ended, ['http:', 'https:']);
});
