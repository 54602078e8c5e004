// Answers that are none: pages for people, sizes that are wrong, refusals that are final. One clear error, and no waiting in vain.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { BuilderError, RegistryError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { type Fault, answer, cut, startFakeRegistry } from '../../support/fake-registry.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { passwordFor, testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const at = freshRegistry();

const loginPage = (headers: Readonly<Record<string, string>> = { 'content-type': 'text/html; charset=utf-8' }): Fault['act'] => {
  return (request, response) => {
    request.resume();
    response.writeHead(200, headers).end('<!DOCTYPE html>\n<html><title>Sign in</title></html>\n');
  };
};

/** Puts a manifest into the registry whose descriptors say other sizes than the blobs have. */
async function storedWithSizes(content: Buffer, change: { readonly layer?: number; readonly config?: number }): Promise<void> {
  const image = storedOf(layerOf(content));
  await at.client.pushImage(image, [at.named('app/sizes:v1')], {}, signal);
  const config = image.config.bytes;
  const descriptor = (bytes: Buffer, mediaType: string, by = 0): object => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length + by,
  });
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: descriptor(config, 'application/vnd.oci.image.config.v1+json', change.config),
      layers: [descriptor(content, 'application/vnd.oci.image.layer.v1.tar', change.layer)],
    }),
  );
  at.registry.manifests.set('app/sizes:v1', { type: 'application/vnd.oci.image.manifest.v1+json', bytes });
}

for (const by of [-1, 1]) {
  test(`a layer whose descriptor says ${by > 0 ? 'more' : 'less'} than it has fails with one clear error`, async () => {
    const content = someBytes(1000);
    await storedWithSizes(content, { layer: by });
    const { image } = await at.client.pullImage(at.named('app/sizes:v1'), platform, signal);
    const [layer] = image.layers;
    assert.ok(layer !== undefined);
    await assert.rejects(buffer(layer.open(signal)), { code: 'ERR_DIGEST_MISMATCH', message: /has 1000 bytes, not (?:999|1001)/ });
    // What is thrown away must not come back as an error that nobody awaits.
    await new Promise((resolve) => setTimeout(resolve, 20));
  });

  test(`a config whose descriptor says ${by > 0 ? 'more' : 'less'} than it has fails with one clear error`, async () => {
    await storedWithSizes(someBytes(10), { config: by });
    await assert.rejects(at.client.pullImage(at.named('app/sizes:v1'), platform, signal), {
      code: 'ERR_DIGEST_MISMATCH',
      message: /bytes, not/,
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
  });
}

test('a layer of unknown length that ends too soon in good order twice is given up, not asked for again and again', async () => {
  const content = someBytes(1000);
  await storedWithSizes(content, { layer: 1 });
  const { image } = await at.client.pullImage(at.named('app/sizes:v1'), platform, signal);
  const path = new RegExp(digestOf(content));
  at.registry.inject({ method: 'GET', path, times: 100, act: (_request, response) => void (response.write(content), response.end()) });
  await assert.rejects(buffer(image.layers[0]?.open(signal) ?? assert.fail()), {
    code: 'ERR_DIGEST_MISMATCH',
    message: /ended after 1000 of 1001/,
  });
  assert.equal(at.count('GET', path), 2);
});

const wanted: readonly { readonly what: string; readonly path: RegExp; readonly says: RegExp }[] = [
  {
    what: 'a manifest',
    path: /manifests/,
    says: /^Cannot read the manifest of .*: an HTML page came from http:\/\/127\.0\.0\.1:\d+\/v2\/app\/image\/manifests\/v1$/,
  },
  {
    what: 'a config',
    path: /blobs\/sha256/,
    says: /^Cannot read blob sha256:\w+ of .*: an HTML page came from http:.*\/v2\/app\/image\/blobs\/sha256:\w+$/,
  },
];
for (const { what, path, says } of wanted) {
  test(`an HTML page where ${what} is wanted is called that, with its URL and who may have sent it`, async () => {
    await at.client.pushImage(storedOf(layerOf(someBytes(10))), [at.named('app/image:v1')], {}, signal);
    at.registry.inject({ method: 'GET', path, times: 10, act: loginPage() });
    await assert.rejects(at.client.pullImage(at.named('app/image:v1'), platform, signal), (error) => {
      assert.ok(error instanceof RegistryError);
      assert.match(error.message, says);
      assert.match(error.hint ?? '', /a proxy or a login page stands before the registry/);
      return true;
    });
    assert.deepEqual(at.client.waits, []);
  });
}

test('an HTML page without a content type is known by its beginning', async () => {
  at.registry.inject({ method: 'GET', path: /manifests/, act: loginPage({}) });
  await assert.rejects(at.client.pullImage(at.named('app/image:v1'), platform, signal), /an HTML page came from/);
});

test('an HTML page where a token is wanted is called that', async () => {
  const guarded = await startFakeRegistry({ auth: { kind: 'token', user: 'me', password: 'secret' } });
  await using user = testClient({ credentials: passwordFor('me', 'secret') });
  try {
    guarded.inject({ path: /token/, act: loginPage() });
    await assert.rejects(
      user.checkPush(parseReference(`${guarded.host}/app/image`), signal),
      /^\w+: Cannot read a token: an HTML page came from|^Cannot read a token: an HTML page came from/,
    );
  } finally {
    await guarded.stop();
  }
});

test('an HTML page where an upload is to begin is called that, and one in place of a blob is not taken for the blob', async () => {
  const image = storedOf(layerOf(someBytes(10)));
  at.registry.inject({ method: 'POST', path: /uploads/, times: 10, act: loginPage() });
  at.registry.inject({ method: 'HEAD', path: /blobs/, times: 10, act: loginPage() });
  await assert.rejects(at.client.pushImage(image, [at.named('app/image:v1')], {}, signal), (error) => {
    assert.ok(error instanceof BuilderError);
    assert.match(error.message, /answered 200 with an HTML page \(Sign in\)$/);
    assert.match(error.hint ?? '', /login page/);
    return true;
  });
});

test('a manifest that is empty, or no JSON, is told with its URL and type', async () => {
  at.registry.inject({ method: 'GET', path: /manifests/, act: (_request, response) => void response.end() });
  await assert.rejects(at.client.pullImage(at.named('app/image:v1'), platform, signal), {
    code: 'ERR_REGISTRY',
    message: /manifests\/v1 sent nothing$/,
  });
  at.registry.inject({
    method: 'GET',
    path: /manifests/,
    act: (_request, response) => void response.writeHead(200, { 'content-type': 'text/plain' }).end('hi'),
  });
  await assert.rejects(at.client.pullImage(at.named('app/image:v1'), platform, signal), /sent no JSON that can be used \(text\/plain\)$/);
});

test('a manifest and a token whose answer breaks off are asked for again', async () => {
  await at.client.pushImage(storedOf(layerOf(someBytes(10))), [at.named('app/image:v1')], {}, signal);
  at.registry.inject({
    method: 'GET',
    path: /manifests/,
    act: (_request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('{', () => setImmediate(() => response.socket?.destroy()));
    },
  });
  await at.client.pullImage(at.named('app/image:v1'), platform, signal);
  assert.deepEqual(at.client.waits, [1000]);
});

test('a manifest that arrives spoiled is asked for by its digest, and one whose registry always names it wrongly is taken', async () => {
  const image = storedOf(layerOf(someBytes(10)));
  await at.client.pushImage(image, [at.named('app/image:v1')], {}, signal);
  const { digest, mediaType, bytes } = image.manifest;
  const spoiled = Buffer.from(bytes.toString().replace('"schemaVersion":2', '"schemaVersion":2 '));
  const send = (body: Buffer, name: string): Fault['act'] => {
    return (_request, response) => void response.writeHead(200, { 'content-type': mediaType, 'docker-content-digest': name }).end(body);
  };
  at.registry.inject({ method: 'GET', path: /manifests/, act: send(spoiled, digest) });
  assert.equal((await at.client.pullImage(at.named('app/image:v1'), platform, signal)).digest, digest);
  at.registry.inject({ method: 'GET', path: /manifests/, act: send(bytes, digestOf('something else')) });
  assert.equal((await at.client.pullImage(at.named('app/image:v1'), platform, signal)).digest, digest);
});

test('413 is final: no waiting, and chunks are tried once', async () => {
  at.registry.inject({ method: 'PUT', path: /uploads/, times: 100, act: answer(413, 'UNKNOWN') });
  at.registry.inject({ method: 'PATCH', path: /uploads/, times: 100, act: answer(413, 'UNAVAILABLE') });
  await assert.rejects(at.client.pushImage(storedOf(layerOf(someBytes(1000))), [at.named('app/large:v1')], {}, signal), /answered 413/);
  assert.deepEqual(at.client.waits, []);
  assert.ok(at.count('PATCH', /uploads/) <= 2);
});

for (const status of [400, 404, 409, 413, 415, 422, 451]) {
  test(`${status} to an upload is final, whatever its code`, async () => {
    at.registry.inject({ method: 'PUT', path: /uploads/, times: 100, act: answer(status, 'TOOMANYREQUESTS') });
    at.registry.inject({ method: 'PATCH', path: /uploads/, times: 100, act: answer(status, 'UNAVAILABLE') });
    await assert.rejects(at.client.pushImage(storedOf(layerOf(someBytes(1000))), [at.named('app/large:v1')], {}, signal), RegistryError);
    assert.deepEqual(at.client.waits, []);
  });
}

for (const status of [408, 425, 429, 499, 500]) {
  test(`${status} is tried again, and says so in a line`, async () => {
    await at.client.pushImage(storedOf(layerOf(someBytes(10))), [at.named('app/image:v1')], {}, signal);
    at.registry.inject({ method: 'GET', path: /manifests/, act: answer(status) });
    await at.client.pullImage(at.named('app/image:v1'), platform, signal);
    assert.deepEqual(at.client.waits, [1000]);
    assert.match(
      at.client.lines().join('\n'),
      new RegExp(`^Cannot pull .*: .* answered ${status} UNKNOWN: on demand; trying again in 1 s \\(2 of 6\\)$`),
    );
  });
}

test('an upload session that is lost for ever is given up without waiting', async () => {
  at.registry.inject({ method: 'PUT', path: /uploads/, times: 100, act: answer(404, 'BLOB_UPLOAD_UNKNOWN') });
  await assert.rejects(at.client.pushImage(storedOf(layerOf(someBytes(10))), [at.named('app/lost:v1')], {}, signal), /BLOB_UPLOAD_UNKNOWN/);
  assert.deepEqual(at.client.waits, []);
});

for (const status of [401, 403, 404, 500, 503]) {
  test(`a mount that is answered ${status} becomes an upload at once`, async () => {
    const layer = layerOf(someBytes(1000));
    await at.client.pushImage(storedOf(layer), [at.named('app/source:v1')], {}, signal);
    const image = await at.client.pullImage(at.named('app/source:v1'), platform, signal);
    at.registry.inject({ method: 'POST', path: /mount=/, times: 10, act: answer(status) });
    await at.client.pushImage(image, [at.named('app/target:v1')], {}, signal);
    assert.deepEqual(at.client.waits, []);
    assert.equal(at.count('POST', /mount=/), 1);
    assert.ok(
      at.client.events.some(
        (event) => event.kind === 'blob.finished' && event.repository.endsWith('/target') && event.how === 'transferred',
      ),
    );
  });
}

for (const { status, code } of [
  { status: 400, code: 'DIGEST_INVALID' },
  { status: 416, code: 'UNKNOWN' },
  { status: 404, code: 'BLOB_UPLOAD_UNKNOWN' },
])
  test(`${status} ${code} to an upload is cured by a new session, at once and with a word`, async () => {
    const content = someBytes(1000);
    at.registry.inject({ method: 'PUT', path: new RegExp(digestOf(content).slice(7)), act: answer(status, code) });
    await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/again:v1')], {}, signal);
    assert.deepEqual(at.client.waits, []);
    assert.match(
      at.client.lines().join('\n'),
      new RegExp(`answered ${status} ${code}: on demand; trying again at once, in a new session$`),
    );
  });

test('a token server that stays away costs its own tries, and not those of every request above it', async () => {
  const guarded = await startFakeRegistry({ auth: { kind: 'token', user: 'me', password: 'secret' } });
  await using user = testClient({ credentials: passwordFor('me', 'secret') });
  try {
    guarded.inject({ path: /token/, times: 1000, act: answer(503) });
    await assert.rejects(user.pullImage(parseReference(`${guarded.host}/app/image:v1`), platform, signal), /answered 503/);
    assert.equal(user.waits.length, 5);
  } finally {
    await guarded.stop();
  }
});

test('a blob that breaks off more than six times comes through where it gains a MiB each time', async () => {
  const content = someBytes(9 * 1024 * 1024);
  await at.client.pushImage(storedOf(layerOf(content)), [at.named('app/far:v1')], {}, signal);
  const { image } = await at.client.pullImage(at.named('app/far:v1'), platform, signal);
  const path = new RegExp(digestOf(content));
  at.registry.inject({ method: 'GET', path, times: 7, act: cut(content, 1024 * 1024 + 100_000) });
  assert.deepEqual(await buffer(image.layers[0]?.open(signal) ?? assert.fail()), content);
  const asked = at.registry.requests.filter((item) => item.method === 'GET' && path.test(item.path));
  assert.ok(asked.length >= 7);
  // What is stored compressed must come as it is stored.
  assert.deepEqual(new Set(asked.map((item) => item.headers['accept-encoding'])), new Set(['identity']));
});

test('403 to an upload is final, also where it speaks of the session', async () => {
  at.registry.inject({ method: 'PUT', path: /uploads/, times: 100, act: answer(403, 'BLOB_UPLOAD_INVALID') });
  await assert.rejects(at.client.pushImage(storedOf(layerOf(someBytes(10))), [at.named('app/denied:v1')], {}, signal), {
    code: 'ERR_AUTH',
  });
  assert.ok(at.count('PUT', /uploads/) <= 2);
});
