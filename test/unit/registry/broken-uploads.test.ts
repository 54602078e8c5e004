// What may go wrong between the beginning of an upload and its tag: an image arrives, or one error says why and no tag has moved.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { RegistryError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { type FakeRegistry, type Fault, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { passwordFor, testClient } from '../../support/registry-client.ts';
import { listen } from '../../support/listen.ts';

const { signal } = new AbortController();
const at = freshRegistry({ stallTimeoutMs: 300, connectTimeoutMs: 300 });
const name = 'app/image:v1';
const push = async (content: Buffer, options = {}): Promise<string | undefined> =>
  (await at.client.pushImage(storedOf(layerOf(content)), [at.named(name)], options, signal))[0]?.digest;
const whole = (content: Buffer): RegExp => new RegExp(`uploads/.*${digestOf(content).slice(7)}`);
/** Makes the content go in chunks of 100,000 bytes. */
async function pushInChunks(content: Buffer): Promise<void> {
  at.registry.inject({ method: 'PUT', path: whole(content), act: answer(413, 'SIZE_INVALID') });
  await push(content, { chunkBytes: 100_000 });
  assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
  assert.ok(at.count('PATCH', /uploads/) > 0);
}

const waits: readonly (readonly [retryAfter: string | undefined, expected: number | 'error'])[] = [
  ['2', 2000],
  ['0', 1000],
  ['-1', 1000],
  [undefined, 1000],
  ['99999', 'error'],
];
for (const [retryAfter, expected] of waits)
  test(`429 with Retry-After ${retryAfter ?? 'left out'} ${expected === 'error' ? 'is told with its wait' : `is waited for ${expected} ms`}`, async () => {
    const dated = (seconds: number): string => new Date(Date.parse('Sat, 21 Nov 2026 10:00:00 GMT') + seconds * 1000).toUTCString();
    for (const header of retryAfter === undefined ? [undefined] : [retryAfter, dated(Number(retryAfter))])
      for (const [method, path] of [
        ['POST', /uploads/],
        ['PUT', /uploads/],
        ['PUT', /manifests/],
        ['GET', /manifests/],
      ] as const) {
        const registry = await startFakeRegistry();
        await using client = testClient();
        try {
          const headers = { date: dated(0), ...(header === undefined ? {} : { 'retry-after': header }) };
          registry.inject({ method, path, act: answer(429, 'TOOMANYREQUESTS', headers) });
          const to = { ...at.named(name), registry: registry.host };
          const working = async (): Promise<unknown> => {
            await client.pushImage(storedOf(layerOf(someBytes(100_000))), [to], {}, signal);
            return await client.pullImage(to, platform, signal);
          };
          if (expected === 'error') await assert.rejects(working(), /429 TOOMANYREQUESTS.* and asks to be left alone for 1667 minutes$/);
          else await working();
          assert.deepEqual(client.waits, expected === 'error' ? [] : [expected]);
        } finally {
          await registry.stop();
        }
      }
  });

const endpoints: readonly { readonly what: string; readonly method: string; readonly path: RegExp; readonly inChunks?: true }[] = [
  { what: 'the token', method: 'GET', path: /^\/token/ },
  { what: 'the beginning of an upload', method: 'POST', path: /uploads/ },
  { what: 'the PUT of a blob', method: 'PUT', path: /uploads/ },
  { what: 'the PATCH of a chunk', method: 'PATCH', path: /uploads/, inChunks: true },
  { what: 'the PUT of the manifest', method: 'PUT', path: /manifests/ },
];
async function guarded(use: (registry: FakeRegistry) => Promise<void>): Promise<void> {
  const registry = await startFakeRegistry({ auth: { kind: 'token', user: 'me', password: 's3cret' } });
  try {
    await use(registry);
  } finally {
    await registry.stop();
  }
}
for (const { what, method, path, inChunks } of endpoints)
  test(`${what} that is answered 499 or 5xx for ever is one error that names it, and no tag moves`, async () => {
    for (const status of [499, 500, 502, 503, 504, 522])
      await guarded(async (registry) => {
        await using client = testClient({ credentials: passwordFor('me', 's3cret'), parallel: 1 });
        const content = someBytes(300_000);
        if (inChunks === true) registry.inject({ method: 'PUT', path: whole(content), times: 100, act: answer(413) });
        registry.inject({ method, path, times: 1000, act: answer(status, 'UNKNOWN', {}, 'bad day') });
        const pushing = client.pushImage(
          storedOf(layerOf(content)),
          [{ ...at.named(name), registry: registry.host }],
          { chunkBytes: 100_000 },
          signal,
        );
        await assert.rejects(pushing, (error) => {
          assert.ok(error instanceof RegistryError);
          assert.match(error.message, new RegExp(`^Cannot [^\\n]*: ${registry.host} answered ${status} UNKNOWN: bad day`));
          assert.doesNotMatch(error.message, /s3cret/);
          return true;
        });
        assert.deepEqual([registry.manifests.size, client.waits.length], [0, 5]);
      });
  });

for (const { fault, act } of [
  { fault: '429', act: answer(429, 'TOOMANYREQUESTS', { 'retry-after': '2' }) },
  { fault: '499', act: answer(499) },
  { fault: '503', act: answer(503) },
] satisfies readonly { readonly fault: string; readonly act: Fault['act'] }[])
  test(`a chunk that is answered ${fault} once or three times arrives`, async () => {
    for (const times of [1, 3]) {
      at.registry.inject({ method: 'PATCH', path: /uploads/, times, act });
      await pushInChunks(someBytes(300_000));
    }
  });

test('a token that runs out before a chunk is renewed, and the chunk sent again', async () => {
  await guarded(async (registry) => {
    await using client = testClient({ credentials: passwordFor('me', 's3cret'), parallel: 1 });
    const content = someBytes(300_000);
    registry.inject({ method: 'PUT', path: whole(content), act: answer(413) });
    const act: Fault['act'] = async (_request, _response, proceed) => {
      registry.expireTokens();
      await proceed();
    };
    registry.inject({ method: 'PATCH', path: /uploads/, act });
    await client.pushImage(storedOf(layerOf(content)), [{ ...at.named(name), registry: registry.host }], { chunkBytes: 100_000 }, signal);
    assert.deepEqual(registry.blobs.get(digestOf(content)), content);
    assert.deepEqual(client.waits, []);
    assert.equal(registry.requests.filter((item) => item.method === 'PATCH').length, 4);
  });
});

for (const { status, code, says } of [
  { status: 401, code: 'ERR_AUTH', says: /answered 401 UNAUTHORIZED: go away/ },
  { status: 413, code: 'ERR_REGISTRY', says: /answered 413 UNAUTHORIZED: go away/ },
])
  test(`${status} that comes while a gigabyte is still being sent is told as what it is`, async () => {
    const large = { ...layerOf(someBytes(10)), descriptor: { ...layerOf(someBytes(10)).descriptor, size: 1 << 30 } };
    let sent = 0;
    const endless = {
      ...large,
      open: () => {
        const piece = Buffer.alloc(1 << 20);
        return readableOf(() => ((sent += piece.length) <= 1 << 30 ? piece : null));
      },
    };
    const act: Fault['act'] = (_request, response) => {
      response.writeHead(status, { connection: 'close' }).end('{"errors":[{"code":"UNAUTHORIZED","message":"go away"}]}');
    };
    for (const method of ['PUT', 'PATCH']) at.registry.inject({ method, path: /uploads/, times: 100, act });
    await assert.rejects(at.client.pushImage(storedOf(endless), [at.named(name)], {}, signal), { code, message: says });
    assert.ok(sent < 1 << 29, `${sent} bytes were sent all the same`);
    assert.equal(at.count('PUT', /manifests/), 0);
  });
function readableOf(read: () => Buffer | null): Readable {
  return new Readable({
    read() {
      this.push(read());
    },
  });
}

test('an upload goes on at another host, with a state of 8 KiB in its address, and without our credentials', async () => {
  const seen: (string | undefined)[] = [];
  const other = createServer((request, response) => {
    seen.push(request.headers.authorization);
    request.resume().on('end', () => response.writeHead(201).end());
  });
  const port = await listen(other);
  await guarded(async (registry) => {
    await using client = testClient({ credentials: passwordFor('me', 's3cret') });
    const content = someBytes(1000);
    const location = `http://127.0.0.1:${port}/put?_state=${'s'.repeat(8192)}`;
    registry.inject({ method: 'POST', path: /uploads/, act: answer(202, '', { location }) });
    await client.pushLayer(layerOf(content), [{ ...at.named(name), registry: registry.host }], signal);
    assert.deepEqual(seen, [undefined]);
  });
  other.closeAllConnections();
  other.close();
});

test('an upload without a Location is the registry’s fault, and said to be', async () => {
  at.registry.inject({
    method: 'POST',
    path: /uploads/,
    times: 100,
    act: (request, response) => void (request.resume(), response.writeHead(202).end()),
  });
  await assert.rejects(push(someBytes(10)), /^RegistryError: Cannot start an upload to .*: 127\.0\.0\.1:\d+ answered without a Location$/);
  assert.equal(at.registry.manifests.size, 0);
});

for (const { what, method, act } of [
  { what: 'that is lost at a chunk', method: 'PATCH', act: answer(404, 'BLOB_UPLOAD_UNKNOWN') },
  { what: 'that is lost at its end', method: 'PUT', act: answer(404, 'BLOB_UPLOAD_UNKNOWN') },
  { what: 'whose chunk is out of order', method: 'PATCH', act: answer(416, 'RANGE_INVALID', { range: '0-99999' }) },
  { what: 'whose chunk is out of order without a Range', method: 'PATCH', act: answer(416) },
] satisfies readonly { readonly what: string; readonly method: string; readonly act: Fault['act'] }[])
  test(`an upload in chunks ${what} begins anew, and arrives`, async () => {
    const content = someBytes(300_000);
    let chunks = 0;
    at.registry.inject({
      method,
      path: /uploads/,
      times: 1000,
      act: async (request, response, proceed) => {
        const isWhole = method === 'PUT' && request.headers['content-length'] === String(content.length);
        const isDue = method === 'PATCH' ? ++chunks === 2 : request.headers['content-length'] === '0' && ++chunks === 1;
        await (isWhole ? answer(413)(request, response, proceed) : isDue ? act(request, response, proceed) : proceed());
      },
    });
    await pushInChunks(content);
  });

for (const { what, range } of [
  { what: '0-0, one byte or none', range: '0-0' },
  { what: 'the last chunk alone', range: '100000-199999' },
  { what: 'nothing', range: '' },
  { what: 'more than there is', range: '0-999999999' },
])
  test(`an upload that broke off and whose registry says that it has ${what} begins anew, and arrives`, async () => {
    const content = someBytes(300_000);
    let chunks = 0;
    const act: Fault['act'] = async (request, _response, proceed) => {
      if (++chunks === 2) request.socket.destroy();
      else await proceed();
    };
    at.registry.inject({ method: 'PATCH', path: /uploads/, times: 1000, act });
    at.registry.inject({
      method: 'GET',
      path: /uploads/,
      act: (_request, response) => void response.writeHead(204, range === '' ? {} : { range }).end(),
    });
    await pushInChunks(content);
  });

test('an answer to a chunk that names the last chunk alone is no reason to send anything twice', async () => {
  const act: Fault['act'] = async (request, response, proceed) => {
    const writeHead = response.writeHead.bind(response);
    const range = request.headers['content-range'] ?? '';
    response.writeHead = (status: number, headers?: unknown) =>
      writeHead(status, { ...(headers as Record<string, string> | undefined), range: `bytes=${range}` }); // as the fake calls it
    await proceed();
  };
  at.registry.inject({ method: 'PATCH', path: /uploads/, times: 100, act });
  await pushInChunks(someBytes(300_000));
  assert.equal(at.count('PATCH', /uploads/), 3);
});

test('a mount that hangs becomes an upload', async () => {
  const content = someBytes(1000);
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/source:v1')], {}, signal);
  const pulled = await at.client.pullImage(at.named('app/source:v1'), platform, signal);
  at.registry.inject({ method: 'POST', path: /mount=/, times: 10, act: (request) => void request.resume() });
  await at.client.pushImage(pulled, [at.named('app/target:v1')], {}, signal);
  assert.ok(at.registry.links.has(`app/target@${digestOf(content)}`));
});

test('a blob that HEAD misses although it is there is sent once more, and nothing else happens', async () => {
  const content = someBytes(100_000);
  await push(content);
  at.registry.inject({ method: 'HEAD', path: /blobs/, times: 10, act: (_request, response) => void response.writeHead(404).end() });
  await push(content);
  assert.deepEqual(at.client.lines(), []);
});

test('a HEAD for a manifest without a word in its headers is followed by a GET', async () => {
  const digest = await push(someBytes(10));
  at.registry.inject({ method: 'HEAD', path: /manifests/, act: (_request, response) => void response.writeHead(200).end() });
  assert.equal(await at.client.resolve(at.named(name), signal), digest);
});

for (const { status, code, message, hint } of [
  { status: 403, code: 'DENIED', message: 'tag v1 is immutable', hint: /--push-ignore-immutable-tag-errors/ },
  { status: 409, code: 'CONFLICT', message: 'v1 already exists and may not be overwritten', hint: /--push-ignore-immutable-tag-errors/ },
])
  test(`a tag that is refused with ${status} ("${message}") stays what it is, and counts as success only by the flag`, async () => {
    const old = await push(someBytes(10));
    at.registry.inject({ method: 'PUT', path: /manifests/, times: 100, act: answer(status, code, {}, message) });
    await assert.rejects(
      push(someBytes(20)),
      (error) => error instanceof RegistryError && error.message.endsWith(message) && hint.test(error.hint ?? ''),
    );
    assert.equal(await push(someBytes(20), { ignoreImmutableTags: true }), old);
    const told = at.client.lines().join('\n');
    assert.ok(told.includes(`may not be overwritten: it stays ${old}, the new image is sha256:`), told);
  });

for (const { from, status } of [
  { from: 'the same host', status: 301 },
  { from: 'the same host', status: 302 },
  { from: 'the same host', status: 307 },
  { from: 'another host', status: 302 },
  { from: 'another host', status: 308 },
])
  test(`a POST that is sent on to ${from} with ${status} stays a POST, or is refused`, async () => {
    const methods: string[] = [];
    const target = await startFakeRegistry();
    try {
      const location =
        from === 'the same host'
          ? '/v2/app/image/blobs/uploads/?moved'
          : `http://localhost:${target.host.split(':')[1]}/v2/app/image/blobs/uploads/`;
      at.registry.inject({ method: 'POST', path: /uploads\/$/, times: 10, act: answer(status, 'MOVED', { location }) });
      const pushing = at.client.checkPush(at.named(name), signal);
      if (from === 'another host' && status === 302) {
        await assert.rejects(pushing, /it redirects POST to http:\/\/localhost:\d+\/v2\/app\/image\/blobs\/uploads\/ with 302$/);
        return;
      }
      await pushing;
      methods.push(
        ...[...at.registry.requests, ...target.requests]
          .filter(({ path }) => /uploads\/(?:\?moved)?$/.test(path))
          .map(({ method }) => method),
      );
      assert.deepEqual(methods, ['POST', 'POST']);
    } finally {
      await target.stop();
    }
  });
