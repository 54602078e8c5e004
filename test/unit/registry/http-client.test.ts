import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkError } from '../../../src/registry/network-error.ts';
import { TransientError } from '../../../src/registry/retry.ts';

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
