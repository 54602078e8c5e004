// What may go wrong between the first byte of a blob and its last, wherever a registry keeps it.
import assert from 'node:assert/strict';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { afterEach, test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { BuilderError, RegistryError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { Layer } from '../../../src/oci/image.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { type Fault, answer, cut } from '../../support/fake-registry.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { listen } from '../../support/listen.ts';

const { signal } = new AbortController();
const at = freshRegistry({ stallTimeoutMs: 300, connectTimeoutMs: 300 });
const content = someBytes(100_000);
const path = new RegExp(`blobs/${digestOf(content)}`);

/** The layer with that content, as pulled. */
async function stored(): Promise<Layer> {
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/image:v1')], {}, signal);
  const [layer] = (await at.client.pullImage(at.named('app/image:v1'), platform, signal)).image.layers;
  return layer ?? assert.fail();
}

const started: (() => void)[] = [];
afterEach(() => {
  for (const stop of started.splice(0)) stop();
});
/** Another host, as far as origins go. */
async function elsewhere(act: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<string> {
  const server = createServer((request, response) => void act(request, response));
  const port = await listen(server);
  started.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${port}`;
}
const redirect = (location: string, status = 307): Fault['act'] => answer(status, 'MOVED', { location });

const passing: readonly { readonly name: string; readonly acts: readonly Fault['act'][]; readonly waits?: number }[] = [
  {
    name: 'that ends in good order before its length',
    acts: [
      (_request, response) => {
        response.strictContentLength = false;
        response.writeHead(200, { 'content-length': content.length });
        response.write(content.subarray(0, 500), () => setImmediate(() => response.socket?.end()));
      },
    ],
  },
  {
    name: 'in chunks whose last one never comes',
    acts: [(_request, response) => void response.write(content.subarray(0, 500), () => setImmediate(() => response.socket?.end()))],
  },
  { name: 'that goes on elsewhere with another ETag and the same bytes', acts: [cut(content, 50_000), cutTagged('"other"')] },
  { name: 'whose headers never come', acts: [() => undefined] },
];
function cutTagged(etag: string): Fault['act'] {
  return async (_request, response, proceed) => {
    response.setHeader('etag', etag);
    await proceed();
  };
}
for (const { name, acts } of passing)
  test(`a blob ${name} is asked for again, and arrives`, async () => {
    const layer = await stored();
    for (const act of acts) at.registry.inject({ method: 'GET', path, act });
    assert.deepEqual(await buffer(layer.open(signal)), content);
  });

test('a blob whose rest is of another one by then fails, and arrives with the next try', async () => {
  const layer = await stored();
  at.registry.inject({ method: 'GET', path, act: cut(content, 50_000) });
  const rest = someBytes(content.length);
  at.registry.inject({
    method: 'GET',
    path,
    act: (request, response) => {
      const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0]);
      response.writeHead(206, { etag: '"other"', 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` });
      response.end(rest.subarray(from));
    },
  });
  await assert.rejects(buffer(layer.open(signal)), { code: 'ERR_DIGEST_MISMATCH', message: /its bytes have another digest$/ });
  assert.deepEqual(await buffer(layer.open(signal)), content);
});

test('a blob that always breaks off is named, with the number of tries', async () => {
  const layer = await stored();
  at.registry.inject({ method: 'GET', path, times: 100, act: (request) => void request.socket.destroy() });
  await assert.rejects(buffer(layer.open(signal)), (error) => {
    assert.ok(error instanceof RegistryError);
    const blob = `blob ${digestOf(content)} from ${at.registry.host}/app/image`;
    assert.equal(error.message, `Cannot pull ${blob}: Cannot reach ${at.registry.host}: the connection closed early (tried 6 times)`);
    return true;
  });
});

test('a presigned address that has run out is asked for again at the registry, and not where it led', async () => {
  const layer = await stored();
  const asked: string[] = [];
  const storage = await elsewhere((request, response) => {
    asked.push(request.url ?? '');
    // Good for one request, as if the time were over by the second.
    if (request.url === '/expired' || asked.filter((url) => url === request.url).length > 1) return response.writeHead(403).end();
    return response.writeHead(206, { 'content-range': `bytes 50000-99999/100000` }).end(content.subarray(50_000));
  });
  at.registry.inject({ method: 'GET', path, act: cut(content, 50_000) });
  at.registry.inject({ method: 'GET', path, act: redirect(`${storage}/expired`) });
  at.registry.inject({ method: 'GET', path, act: redirect(`${storage}/fresh`) });
  assert.deepEqual(await buffer(layer.open(signal)), content);
  assert.deepEqual(asked, ['/expired', '/fresh']);
});

test('a storage that refuses every address is told by its name, soon', async () => {
  const layer = await stored();
  const storage = await elsewhere((_request, response) => response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>'));
  at.registry.inject({ method: 'GET', path, times: 100, act: redirect(`${storage}/x?X-Amz-Signature=secret`) });
  await assert.rejects(buffer(layer.open(signal)), (error) => {
    assert.ok(error instanceof BuilderError);
    assert.ok(error.message.includes(`${new URL(storage).host} answered 403`), error.message);
    assert.doesNotMatch(`${error.message} ${error.hint ?? ''}`, /secret/);
    return true;
  });
  assert.equal(at.count('GET', path), 2);
});

test('ten redirects are followed, and an eleventh is too many', async () => {
  const layer = await stored();
  for (const [hops, arrives] of [
    [10, true],
    [11, false],
  ] as const) {
    for (let hop = 1; hop <= hops; hop++)
      at.registry.inject({
        path: hop === 1 ? path : new RegExp(`hop-${hop - 1}$`),
        act: redirect(`/hop-${hop}`, [301, 302, 303, 307, 308][hop % 5]),
      });
    if (arrives) at.registry.inject({ path: new RegExp(`hop-${hops}$`), act: (_request, response) => void response.end(content) });
    const reading = buffer(layer.open(signal));
    if (arrives) assert.deepEqual(await reading, content);
    else await assert.rejects(reading, /too many redirects \(.*hop-11\)$/);
  }
});

for (const { to, says } of [
  { to: 'http://169.254.169.254/latest/meta-data/', says: /sends us to 169\.254\.169\.254, which is a private address/ },
  { to: 'http://[fd00:ec2::254]/latest/', says: /which is a private address/ },
  { to: 'file:///etc/shadow', says: /redirects to file:$/ },
  { to: 'ftp://store.test/x', says: /redirects to ftp:$/ },
  { to: 'http://user:pass@store.test/x', says: /redirects to a URL with credentials in it$/ },
  { to: 'http://[', says: /redirects to something that is no URL$/ },
])
  test(`a blob is not fetched from ${to}, however the registry asks`, async () => {
    const layer = await stored();
    at.registry.inject({ method: 'GET', path, act: redirect(to) });
    await assert.rejects(buffer(layer.open(signal)), { code: 'ERR_REGISTRY', message: says });
    assert.deepEqual(at.client.waits, []);
  });

for (const url of [
  'file:///etc/passwd',
  'ftp://store.test/x',
  'http://169.254.169.254/latest/meta-data/',
  'HERE/needs-a-password',
  'HERE/to-metadata',
])
  test(`a layer that is said to be at ${url} is refused by its digest, and nobody is asked`, async () => {
    let asked = 0;
    const here = await elsewhere((_request, response) => {
      asked += 1;
      return response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    });
    const away = layerOf(someBytes(10));
    const descriptor = { ...away.descriptor, mediaType: MediaType.dockerForeignLayerGzip, urls: [url.replace('HERE', here)] };
    await at.client.pushImage(storedOf({ ...away, descriptor }), [at.named('app/away:v1')], {}, signal);
    const [layer] = (await at.client.pullImage(at.named('app/away:v1'), platform, signal)).image.layers;
    const message = `Cannot pull layer ${descriptor.digest}: its content is kept outside of the registry`;
    assert.throws(() => layer?.open(signal), { code: 'ERR_UNSUPPORTED', message });
    assert.equal(asked, 0);
  });
