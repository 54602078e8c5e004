// How the client bears a registry that misbehaves. Each fault is one that a real registry was seen with.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { BuilderError, RegistryError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { Layer } from '../../../src/oci/image.ts';
import { type Fault, answer, cut, startFakeRegistry } from '../../support/fake-registry.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { testClient } from '../../support/registry-client.ts';
import { listen } from '../../support/listen.ts';

const { signal } = new AbortController();
const at = freshRegistry();

/** Pushes content as a one-layer image, and gives the layer as pulled. */
async function stored(content: Buffer, name = 'app/image:v1', client = at.client): Promise<Layer> {
  await client.pushImage(storedOf(layerOf(content)), [at.named(name)], {}, signal);
  const { image } = await client.pullImage(at.named(name), platform, signal);
  const [layer] = image.layers;
  assert.ok(layer !== undefined);
  return layer;
}

test('a blob whose connection breaks is resumed where it broke', async () => {
  const content = someBytes(400_000);
  const layer = await stored(content);
  at.registry.inject({ method: 'GET', path: new RegExp(digestOf(content)), times: 2, act: cut(content, 150_000) });
  assert.deepEqual(await buffer(layer.open(signal)), content);
  const ranges = at.registry.requests
    .filter((item) => item.method === 'GET' && item.path.endsWith(digestOf(content)))
    .map((item) => item.headers.range);
  assert.equal(ranges.length, 3);
  assert.ok(ranges[1]?.startsWith('bytes=') === true && ranges[2] !== ranges[1]);
});

test('a blob whose registry ignores ranges is read from the start, without a byte twice', async () => {
  const content = someBytes(400_000);
  const layer = await stored(content);
  const path = new RegExp(digestOf(content));
  at.registry.inject({ method: 'GET', path, act: cut(content, 150_000) });
  at.registry.inject({
    method: 'GET',
    path,
    act: (_request, response) => void response.writeHead(200, { 'content-length': content.length }).end(content),
  });
  assert.deepEqual(await buffer(layer.open(signal)), content);
});

test('a blob that breaks off again and again without progress is given up', async () => {
  const content = someBytes(10_000);
  const layer = await stored(content);
  at.registry.inject({ method: 'GET', path: new RegExp(digestOf(content)), times: 100, act: cut(content, 0) });
  await assert.rejects(buffer(layer.open(signal)), { code: 'ERR_REGISTRY' });
  assert.equal(at.client.waits.length, 5);
});

test('a blob with other bytes than its digest says never ends well', async () => {
  const content = someBytes(100_000);
  const layer = await stored(content);
  const wrong = Buffer.from(content);
  wrong[50_000] = (wrong[50_000] ?? 0) ^ 1;
  at.registry.inject({ method: 'GET', path: new RegExp(digestOf(content)), act: (_request, response) => void response.end(wrong) });
  await assert.rejects(buffer(layer.open(signal)), { code: 'ERR_DIGEST_MISMATCH' });
});

test('a blob that is longer than its descriptor is stopped at once', async () => {
  const content = someBytes(100_000);
  const layer = await stored(content);
  at.registry.inject({
    method: 'GET',
    path: new RegExp(digestOf(content)),
    act: (_request, response) => {
      response.write(content);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
    },
  });
  await assert.rejects(buffer(layer.open(signal)), { code: 'ERR_DIGEST_MISMATCH', message: /longer than/ });
});

test('a manifest by digest with other bytes is refused', async () => {
  await stored(someBytes(10));
  const { digest } = await at.client.pullImage(at.named('app/image:v1'), platform, signal);
  at.registry.inject({ method: 'GET', path: /manifests/, act: (_request, response) => void response.end('{"schemaVersion":2}') });
  await assert.rejects(at.client.pullImage({ ...at.named('app/image'), digest }, platform, signal), { code: 'ERR_DIGEST_MISMATCH' });
});

test('an endless manifest is cut off', async () => {
  at.registry.inject({
    path: /manifests/,
    times: 10,
    act: (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1024 * 1024, 0x20)));
      };
      response.on('drain', more);
      more();
    },
  });
  await assert.rejects(at.client.pullImage(at.named('app/huge:v1'), platform, signal), {
    code: 'ERR_REGISTRY',
    message: /more than \d+ bytes/,
  });
});

test('a list of tags without end is cut off, however its pages are', async () => {
  const page = '{"tags":["v1"]}'.padEnd(4 * 1024 * 1024);
  let pages = 0;
  at.registry.inject({
    path: /tags\/list/,
    times: 1000,
    act: (_, response) => void response.writeHead(200, { link: `</v2/app/image/tags/list?last=${pages++}>; rel="next"` }).end(page),
  });
  await assert.rejects(at.client.listTags(at.named('app/image'), signal), { code: 'ERR_REGISTRY', message: /sends pages without end/ });
  assert.ok(at.registry.requests.length < 20, String(at.registry.requests.length));
});

for (const length of [1, 2, 3, 7])
  test(`pages that lead in a circle of ${length} are left before long`, async () => {
    let pages = 0;
    const act: Fault['act'] = (_, response) =>
      void response.writeHead(200, { link: `<?page=${Math.max(2, (pages += 1)) % length}>; rel="next"` }).end('{"tags":["v1"]}');
    at.registry.inject({ path: /tags\/list/, times: 1000, act });
    await assert.rejects(at.client.listTags(at.named('app/image'), signal), {
      code: 'ERR_REGISTRY',
      message: /leads from page to page in a circle$/,
    });
    assert.ok(pages <= 4 * length + 2, String(pages));
  });

test('a busy registry is tried again, as late as it asks', async () => {
  await stored(someBytes(10));
  at.registry.inject({ method: 'GET', path: /manifests/, times: 2, act: answer(503, 'UNAVAILABLE') });
  at.registry.inject({ method: 'GET', path: /manifests/, act: answer(429, 'TOOMANYREQUESTS', { 'retry-after': '120' }) });
  await at.client.pullImage(at.named('app/image:v1'), platform, signal);
  assert.deepEqual(at.client.waits, [1000, 2000, 120_000]);
});

test('a registry that stays broken is reported with its status after six tries', async () => {
  at.registry.inject({ method: 'GET', path: /manifests/, times: 100, act: answer(500, 'UNKNOWN', {}, 'disk full\u001b[31m') });
  await assert.rejects(at.client.pullImage(at.named('app/image:v1'), platform, signal), (error) => {
    assert.ok(error instanceof RegistryError);
    assert.equal(error.status, 500);
    assert.match(error.message, /answered 500 UNKNOWN: disk full \[31m \(tried 6 times\)$/);
    return true;
  });
  assert.equal(at.count('GET', /manifests/), 6);
});

test('an upload that is cut off begins anew, and in chunks when that happens twice', async () => {
  const content = someBytes(300_000);
  const path = new RegExp(digestOf(content).slice(7));
  at.registry.inject({ method: 'PUT', path, times: 2, act: (request) => void request.socket.destroy() });
  await stored(content);
  assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
  assert.ok(at.count('PATCH', /uploads/) > 0);
});

test('a chunk that was received in part goes on where the registry stopped', async () => {
  const content = someBytes(300_000);
  at.registry.inject({ method: 'PUT', path: /uploads/, act: answer(413, 'SIZE_INVALID') });
  at.registry.inject({ method: 'PATCH', path: /uploads/, act: (request) => void request.socket.destroy() });
  const image = storedOf(layerOf(content));
  await at.client.pushImage(image, [at.named('app/chunks:v1')], { chunkBytes: 100_000 }, signal);
  assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
});

test('a chunk that breaks off every time is given up after as many tries as anything else', async () => {
  at.registry.inject({ method: 'PUT', path: /uploads/, act: answer(413, 'SIZE_INVALID') });
  const act: Fault['act'] = async (request, _response, proceed) =>
    request.headers['content-range']?.startsWith('0-') === true ? await proceed() : void request.socket.destroy();
  at.registry.inject({ method: 'PATCH', path: /uploads/, times: 100, act });
  const pushing = at.client.pushImage(storedOf(layerOf(someBytes(300_000))), [at.named('app/chunks:v1')], { chunkBytes: 100_000 }, signal);
  await assert.rejects(pushing, /Cannot push to \S+app\/chunks:v1: cannot reach/);
  assert.deepEqual(at.client.waits, [1000, 2000, 4000, 8000, 16_000]);
  assert.equal(at.count('PATCH', /uploads/), 7);
});

test('an upload in chunks that gets on between its failures is not given up, and sends nothing twice', async () => {
  const content = someBytes(8 * 1024 * 1024);
  at.registry.inject({ method: 'PUT', path: new RegExp(digestOf(content).slice(7)), act: answer(413, 'SIZE_INVALID') });
  const broken = new Set<string>();
  const act: Fault['act'] = async (request, _response, proceed) => {
    const range = request.headers['content-range'] ?? '';
    if (range.startsWith('0-') || broken.has(range)) return await proceed();
    broken.add(range);
    request.socket.destroy();
  };
  at.registry.inject({ method: 'PATCH', path: /uploads/, times: 100, act });
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/chunks:v1')], { chunkBytes: 1024 * 1024 }, signal);
  assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
  assert.equal(broken.size, 7);
  assert.deepEqual(
    at.client.waits,
    Array.from(broken, () => 1000),
  );
  assert.equal(at.count('PATCH', /uploads/), 8 + 7);
});

test('a lost upload session is replaced by a new one', async () => {
  at.registry.inject({ method: 'PUT', path: /uploads/, act: answer(404, 'BLOB_UPLOAD_UNKNOWN') });
  await stored(someBytes(1000));
  assert.equal(at.count('POST', /uploads/), 3);
});

test('an early refusal is reported as what it is, not as a broken pipe', async () => {
  const content = Buffer.alloc(20_000_000, 1);
  at.registry.inject({
    method: 'PUT',
    path: /uploads/,
    times: 10,
    act: (_request, response) => {
      response.writeHead(403, { connection: 'close' }).end('{"errors":[{"code":"DENIED","message":"quota exceeded"}]}');
    },
  });
  await assert.rejects(
    at.client.pushImage(storedOf(layerOf(content)), [at.named('app/denied:v1')], {}, signal),
    /403 DENIED: quota exceeded/,
  );
  assert.equal(at.count('PUT', /manifests/), 0);
});

test('HEAD for blobs may be missing: the blob is sent all the same', async () => {
  at.registry.inject({ method: 'HEAD', path: /blobs/, times: 10, act: (_request, response) => void response.writeHead(405).end() });
  const content = someBytes(1000);
  await stored(content);
  assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
});

test('HEAD for manifests may be missing: GET tells the digest', async () => {
  await stored(someBytes(10));
  at.registry.inject({ method: 'HEAD', path: /manifests/, act: (_request, response) => void response.writeHead(405).end() });
  const { digest } = await at.client.pullImage(at.named('app/image:v1'), platform, signal);
  assert.equal(await at.client.resolve(at.named('app/image:v1'), signal), digest);
});

test('a mount that is refused becomes an upload, and one that is answered 202 uses its session', async () => {
  const layer = await stored(someBytes(1000));
  const image = storedOf(layer);
  at.registry.inject({ method: 'POST', path: /mount=/, act: answer(403, 'DENIED') });
  await at.client.pushImage(image, [at.named('other/one:v1')], {}, signal);
  const before = at.count('POST', /other\/two/);
  at.registry.links.delete(`app/image@${layer.descriptor.digest}`);
  at.registry.links.delete(`other/one@${layer.descriptor.digest}`);
  await assert.rejects(at.client.pushImage(image, [at.named('other/two:v1')], {}, signal), /404 BLOB_UNKNOWN/);
  assert.equal(before, 0);
  // one for the mount, whose session took the layer, one for the config
  assert.equal(at.count('POST', /other\/two/), 2);
});

test('a server that accepts anything is not taken for a registry', async () => {
  at.registry.inject({
    method: 'PUT',
    path: /manifests/,
    act: (request, response) => void (request.resume(), response.writeHead(200).end()),
  });
  await assert.rejects(at.client.pushImage(storedOf(layerOf(someBytes(10))), [at.named('app/web:v1')], {}, signal), {
    code: 'ERR_DIGEST_MISMATCH',
  });
});

test('a manifest is pushed only when every blob is there', async () => {
  at.registry.inject({ method: 'PUT', path: /uploads/, times: 100, act: answer(400, 'NAME_INVALID') });
  await assert.rejects(at.client.pushImage(storedOf(layerOf(someBytes(10))), [at.named('app/order:v1')], {}, signal), RegistryError);
  assert.equal(at.count('PUT', /manifests/), 0);
});

test('an immutable tag is a failure, or a warning with both digests where that was asked for', async () => {
  await stored(someBytes(10));
  const fault = {
    method: 'PUT',
    path: /manifests/,
    times: 2,
    act: answer(400, 'TAG_INVALID', {}, 'The image tag v1 cannot be overwritten because the tag is immutable'),
  };
  at.registry.inject(fault);
  const image = storedOf(layerOf(someBytes(20)));
  await assert.rejects(at.client.pushImage(image, [at.named('app/image:v1')], {}, signal), /immutable/);
  const [pushed] = await at.client.pushImage(image, [at.named('app/image:v1')], { ignoreImmutableTags: true }, signal);
  assert.equal(pushed?.digest, await at.client.resolve(at.named('app/image:v1'), signal));
  assert.ok(at.client.events.some((event) => event.kind === 'warning' && event.code === 'immutable-tag'));
});

test('an abort ends a stalled download with its own reason', async () => {
  const content = someBytes(100_000);
  const layer = await stored(content);
  at.registry.inject({
    method: 'GET',
    path: new RegExp(digestOf(content)),
    act: (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 1000));
    },
  });
  const controller = new AbortController();
  const reason = new BuilderError('ERR_ABORTED', 'enough');
  const reading = buffer(layer.open(controller.signal));
  setTimeout(() => controller.abort(reason), 50);
  await assert.rejects(reading, (error) => error === reason);
});

test('a stalled download is broken off and resumed', async () => {
  await using client = testClient({ stallTimeoutMs: 300 });
  const content = someBytes(100_000);
  const layer = await stored(content, 'app/image:v1', client);
  at.registry.inject({
    method: 'GET',
    path: new RegExp(digestOf(content)),
    act: (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 1000));
    },
  });
  assert.deepEqual(await buffer(layer.open(signal)), content);
});

test('a blob that is kept elsewhere is fetched there, without our credentials', async () => {
  const content = someBytes(1000);
  const layer = await stored(content);
  const seen: (string | undefined)[] = [];
  const elsewhere = createServer((request, response) => {
    seen.push(request.headers.authorization);
    response.end(content);
  });
  const port = await listen(elsewhere);
  at.registry.inject({
    method: 'GET',
    path: new RegExp(digestOf(content)),
    act: answer(307, 'MOVED', { location: `http://127.0.0.1:${port}/x?signature=secret` }),
  });
  try {
    assert.deepEqual(await buffer(layer.open(signal)), content);
    assert.deepEqual(seen, [undefined]);
  } finally {
    elsewhere.closeAllConnections();
    elsewhere.close();
  }
});

test('a redirect loop ends with its chain, and secrets of URLs are not shown', async () => {
  at.registry.inject({
    method: 'GET',
    path: /manifests/,
    times: 100,
    act: answer(307, 'LOOP', { location: '/v2/app/loop/manifests/v1?token=secret' }),
  });
  await assert.rejects(at.client.pullImage(at.named('app/loop:v1'), platform, signal), (error) => {
    assert.ok(error instanceof RegistryError);
    assert.match(error.message, /too many redirects/);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
});

test('a Location on a metadata address gets no connection', async () => {
  at.registry.inject({ method: 'POST', path: /uploads/, act: answer(202, 'OK', { location: 'http://169.254.169.254/latest' }) });
  await assert.rejects(at.client.checkPush(at.named('app/ssrf'), signal), /private address/);
});

test('warnings of a registry are told once', async () => {
  await stored(someBytes(10));
  for (let round = 0; round < 2; round++) {
    at.registry.inject({
      method: 'GET',
      path: /manifests/,
      act: async (_request, response, proceed) => {
        response.setHeader('warning', '299 - "this registry closes\\" soon"');
        await proceed();
      },
    });
    await at.client.pullImage(at.named('app/image:v1'), platform, signal);
  }
  const told = at.client.events.flatMap((event) => (event.kind === 'warning' && event.code === 'registry' ? [event.message] : []));
  assert.deepEqual(told, [`${at.registry.host} says: this registry closes" soon`]);
});

test('mirrors are asked first, and what they lack comes from the registry itself', async () => {
  await stored(someBytes(5000));
  const mirror = await startFakeRegistry();
  await using mirrored = testClient({ mirrors: { mirrors: new Map([[at.registry.host, [`${mirror.host}/cache`]]]) } });
  try {
    const { image } = await mirrored.pullImage(at.named('app/image:v1'), platform, signal);
    assert.equal(image.layers.length, 1);
    assert.equal(mirror.requests.filter((item) => item.path.startsWith('/v2/cache/app/image/manifests/')).length, 1);
  } finally {
    await mirror.stop();
  }
});
