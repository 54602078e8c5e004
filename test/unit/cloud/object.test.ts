import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { type StoredObject, openStored } from '../../../src/cloud/object.ts';
import type { Response } from '../../../src/registry/response.ts';
import { TransientError, defaultRetryPolicy } from '../../../src/registry/retry.ts';

const { signal } = new AbortController();
const clock = { now: () => 0, sleep: async () => await Promise.resolve(), random: () => 0 };
const retry = { policy: defaultRetryPolicy, clock };
const url = new URL('https://store.test/object');

/** A store that breaks off after four bytes, and then has the object of `etag`, whatever If-Match says. */
function storeWith(etag: string, knowsRanges: boolean): StoredObject {
  let asked = 0;
  const answer = (status: number, headers: Readonly<Record<string, string>>, body: Iterable<Buffer>): Response => ({
    status,
    headers: new Map(Object.entries(headers).map(([name, value]) => [name, [value]])),
    body: Readable.from(body),
    url,
    method: 'GET',
  });
  const broken = function* (): Generator<Buffer> {
    yield Buffer.from('0123');
    throw new TransientError('it broke off', { method: 'GET', url: url.href });
  };
  const request = (): Response => {
    if (asked++ === 0) return answer(200, { etag: '"1"', 'content-length': '8' }, broken());
    return knowsRanges
      ? answer(206, { etag, 'content-range': 'bytes 4-7/8' }, [Buffer.from('4567')])
      : answer(200, { etag, 'content-length': '8' }, [Buffer.from('01234567')]);
  };
  return { name: 's3://b/o', request: async () => await Promise.resolve(request()), hint: () => '' };
}

for (const knowsRanges of [true, false]) {
  test(`an object goes on ${knowsRanges ? 'from a range' : 'in a whole answer'}, but not in another one of its size`, async () => {
    const same = await openStored(storeWith('"1"', knowsRanges), retry, signal);
    assert.equal(Buffer.concat(await Array.fromAsync(same.body)).toString(), '01234567');
    const other = await openStored(storeWith('"2"', knowsRanges), retry, signal);
    await assert.rejects(Array.fromAsync(other.body), { code: 'ERR_CONTEXT', message: /it has become another object/ });
  });
}
