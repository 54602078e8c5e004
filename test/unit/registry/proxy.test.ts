import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { parseReference } from '../../../src/oci/reference.ts';
import { bypassFrom, proxiesFrom, proxyFor } from '../../../src/registry/proxy.ts';
import { startFakeRegistry } from '../../support/fake-registry.ts';
import { testClient } from '../../support/registry-client.ts';
import { namesFromTable } from '../../../src/registry/names.ts';
import { listen } from '../../support/listen.ts';

const rows: readonly (readonly [list: string, url: string, direct: boolean])[] = [
  ['', 'https://registry.example/', false],
  ['', 'http://localhost:5000/', true],
  ['', 'http://127.1.2.3/', true],
  ['', 'http://[::1]:5000/', true],
  ['registry.example', 'https://registry.example/', true],
  ['registry.example', 'https://sub.registry.example/', true],
  ['.example', 'https://registry.example/', true],
  ['.registry.example', 'https://registry.example/', false],
  ['*.example', 'https://registry.example/', true],
  ['example', 'https://notexample/', false],
  ['registry.example:5000', 'https://registry.example/', false],
  ['registry.example:5000', 'https://registry.example:5000/', true],
  ['*', 'https://anything/', true],
  ['10.0.0.0/8', 'http://10.20.30.40/', true],
  ['10.0.0.0/8', 'http://11.20.30.40/', false],
  ['fd00::/8', 'http://[fd12::1]/', true],
  ['10.0.0.1', 'http://[::ffff:10.0.0.1]/', true],
  ['a, b.example  c', 'https://b.example/', true],
];

for (const [list, url, direct] of rows) {
  test(`NO_PROXY=${JSON.stringify(list)} fetches ${url} ${direct ? 'directly' : 'through the proxy'}`, () => {
    assert.equal(bypassFrom(list)(new URL(url)), direct);
  });
}

test('proxiesFrom() prefers the special over the general, and lower case', () => {
  const settings = proxiesFrom({ https_proxy: 'http://low:1', HTTPS_PROXY: 'http://up:1', ALL_PROXY: 'all:3' });
  assert.equal(proxyFor(new URL('https://x/'), settings)?.host, 'low:1');
  assert.equal(proxyFor(new URL('http://x/'), settings)?.host, 'all:3');
});

test('proxiesFrom() refuses what is no proxy without showing it', () => {
  assert.throws(
    () => proxiesFrom({ HTTP_PROXY: 'ftp://user:secret@x' }),
    (error) => error instanceof Error && /ftp/.test(error.message) && !/secret/.test(error.message),
  );
});

test('a registry behind a proxy is reached through it, and the proxy gets its own credentials', async () => {
  const registry = await startFakeRegistry();
  const seen: (string | undefined)[] = [];
  const proxy = createServer((request, response) => {
    seen.push(request.headers['proxy-authorization']);
    const target = new URL(request.url ?? '');
    void fetch(new URL(`${target.pathname}${target.search}`, registry.url), { method: request.method ?? 'GET' }).then((answer) => {
      response.writeHead(answer.status, { location: answer.headers.get('location') ?? '' });
      return response.end();
    });
  });
  const port = await listen(proxy);
  const proxies = proxiesFrom({ HTTP_PROXY: `http://user:pass@127.0.0.1:${port}` });
  await using client = testClient({ proxies, names: namesFromTable(new Map()), hostRules: () => ({ insecure: true }) });
  try {
    await client.checkPush(parseReference('registry.invalid/app/image'), new AbortController().signal);
    assert.deepEqual([...new Set(seen)], [`Basic ${Buffer.from('user:pass').toString('base64')}`]);
  } finally {
    proxy.closeAllConnections();
    proxy.close();
    await registry.stop();
  }
});
