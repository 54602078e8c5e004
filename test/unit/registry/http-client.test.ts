import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { warmUpHttp } from '../../../src/registry/http-client.ts';
import { networkError } from '../../../src/registry/network-error.ts';
import { TransientError } from '../../../src/registry/retry.ts';

const { cache } = createRequire(import.meta.url);
const hasParser = (): boolean => Object.keys(cache).some((path) => /undici.*llhttp.*wasm/.test(path));

test('warmUpHttp() loads the HTTP parser, so that nothing is read from disk later', async () => {
  assert.equal(hasParser(), false);
  await warmUpHttp();
  assert.equal(hasParser(), true);
});

const url = new URL('https://reg.test/v2/?secret=x');
const withCode = (code: string): Error => Object.assign(new Error(`${code} 10.0.0.1`), { code });

test('networkError() finds the reason in causes and aggregates, and knows what may pass', () => {
  const nested = new Error('outer', { cause: new AggregateError([withCode('ECONNREFUSED')]) });
  const error = networkError(nested, { method: 'GET', url });
  assert.ok(error instanceof TransientError);
  assert.equal(error.message, 'Cannot reach reg.test: connection refused');
  assert.equal(error.url, 'https://reg.test/v2/?secret=…');
  assert.equal(networkError(withCode('ENOTFOUND'), { method: 'GET', url }) instanceof TransientError, false);
});
