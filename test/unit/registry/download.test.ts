import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { type FakeRegistry, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
let server: FakeRegistry;
beforeEach(async () => {
  server = await startFakeRegistry();
});
afterEach(async () => {
  await server.stop();
});

test('download() follows redirects, and tells what the server said of the file', async () => {
  server.inject({ path: /^\/old/, act: answer(302, 'MOVED', { location: '/new/file.txt?x=1' }) });
  server.inject({
    path: /^\/new/,
    act: (_request, response) => {
      response.writeHead(200, { 'last-modified': 'Sat, 21 Nov 2026 10:00:00 GMT', 'content-length': 5 }).end('hello');
    },
  });
  await using client = testClient();
  const { body, ...rest } = await client.download(new URL(`${server.url}/old`), { signal });
  assert.equal(await text(body), 'hello');
  assert.deepEqual(rest, {
    lastModified: 'Sat, 21 Nov 2026 10:00:00 GMT',
    sizeBytes: 5,
  });
});

test('download() sends the credentials of a URL as a header, and shows them nowhere', async () => {
  server.inject({ path: /^\/file/, act: answer(404) });
  await using client = testClient();
  const url = new URL(`http://user:s%40cret@${server.host}/file?key=hidden`);
  await assert.rejects(client.download(url, { signal }), (error) => {
    assert.ok(error instanceof Error);
    assert.match(error.message, /^Cannot download http:\/\/127\.0\.0\.1:\d+\/file\?key=…: .* answered 404$/);
    return true;
  });
  assert.equal(server.requests[0]?.headers.authorization, `Basic ${Buffer.from('user:s@cret').toString('base64')}`);
});

test('download() takes a percent sign in a password that is no escape for itself', async () => {
  server.inject({ path: /^\/file/, act: answer(404) });
  await using client = testClient();
  await assert.rejects(client.download(new URL(`http://user:50%off@${server.host}/file`), { signal }), { code: 'ERR_CONTEXT' });
  assert.equal(server.requests[0]?.headers.authorization, `Basic ${Buffer.from('user:50%off').toString('base64')}`);
});

for (const status of [204, 206, 304]) {
  test(`download() takes ${status}, which nobody asked for, for no file`, async () => {
    server.inject({ path: /^\/file/, act: (_request, response) => void response.writeHead(status).end() });
    await using client = testClient();
    const message = `Cannot download ${server.url}/file: ${server.host} answered ${status}`;
    await assert.rejects(client.download(new URL(`${server.url}/file`), { signal }), { code: 'ERR_CONTEXT', message });
  });
}

test('download() refuses other schemes, and a redirect to one', async () => {
  server.inject({ path: /^\/file/, act: answer(302, 'MOVED', { location: 'file:///etc/shadow' }) });
  await using client = testClient();
  await assert.rejects(client.download(new URL('file:///etc/passwd'), { signal }), { code: 'ERR_CONTEXT' });
  await assert.rejects(client.download(new URL(`${server.url}/file`), { signal }), /redirects to file:/);
});

test('a download that breaks off fails while it is read', async () => {
  server.inject({
    path: /^\/file/,
    act: (_request, response) => {
      response.writeHead(200, { 'content-length': 100_000 });
      response.write('some', () => setImmediate(() => response.socket?.destroy()));
    },
  });
  await using client = testClient();
  const { body } = await client.download(new URL(`${server.url}/file`), { signal });
  await assert.rejects(text(body), { code: 'ERR_REGISTRY', message: /Cannot reach/ });
});
