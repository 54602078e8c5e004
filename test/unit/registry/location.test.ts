import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { locationOf } from '../../../src/registry/location.ts';
import type { Response } from '../../../src/registry/response.ts';

function responseAt(url: string, location: string | undefined): Response {
  const headers = new Map(location === undefined ? [] : [['location', [location]] as const]);
  return { status: 202, headers, body: Readable.from([]), method: 'POST', url: new URL(url) };
}

const from = 'https://reg.test:5000/v2/a/blobs/uploads/';
const taken: readonly (readonly [location: string, expected: string])[] = [
  ['/v2/a/blobs/uploads/1?_state=a%2Fb&digest=sha256%3Ax', 'https://reg.test:5000/v2/a/blobs/uploads/1?_state=a%2Fb&digest=sha256%3Ax'],
  ['1', 'https://reg.test:5000/v2/a/blobs/uploads/1'],
  ['//store.test/1', 'https://store.test/1'],
  ['https://store.test/1#part', 'https://store.test/1'],
  ['http://reg.test/v2/x', 'https://reg.test:5000/v2/x'],
];
for (const [location, expected] of taken) {
  test(`locationOf() takes ${location}`, () => {
    assert.equal(locationOf(responseAt(from, location), 'push').href, expected);
  });
}

const refused: readonly (readonly [location: string | undefined, message: RegExp])[] = [
  [undefined, /without a Location/],
  ['', /without a Location/],
  ['http://[', /no URL/],
  ['https://user:pass@reg.test/', /holds credentials/],
  ['file:///etc/passwd', /a file: Location/],
  ['http://store.test/1', /without TLS/],
  ['https://10.0.0.1/1', /private address/],
  ['https://169.254.169.254/1', /private address/],
  ['https://[fd00:ec2::254]/1', /private address/],
];
for (const [location, message] of refused) {
  test(`locationOf() refuses ${location ?? 'nothing'}`, () => {
    assert.throws(() => locationOf(responseAt(from, location), 'push'), message);
  });
}

test('locationOf() lets a registry on a private address send us to another one', () => {
  assert.equal(locationOf(responseAt('http://10.0.0.1:5000/v2/', 'http://10.0.0.2:9000/x'), 'push').host, '10.0.0.2:9000');
});
