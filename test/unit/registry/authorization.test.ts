// Who gets which secret, and when a token is fetched anew.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { parseReference } from '../../../src/oci/reference.ts';
import { mergeScopes } from '../../../src/registry/authorization.ts';
import type { Credentials } from '../../../src/registry/credentials.ts';
import { type FakeAuth, type FakeRegistry, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { passwordFor, testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const auth: FakeAuth = { kind: 'token', user: 'me', password: 's:e:cret', anonymousPull: true };
const started: FakeRegistry[] = [];

async function start(options: Parameters<typeof startFakeRegistry>[0] = { auth }): Promise<FakeRegistry> {
  const registry = await startFakeRegistry(options);
  started.push(registry);
  return registry;
}
afterEach(async () => {
  await Promise.all(started.splice(0).map(async (registry) => await registry.stop()));
});

const tokenRequests = (registry: FakeRegistry): readonly string[] =>
  registry.requests.filter((item) => item.path.startsWith('/token')).map((item) => item.path);

test('a push gets one token for its repository, and uses it for everything', async () => {
  const registry = await start();
  await using client = testClient({ credentials: passwordFor('me', 's:e:cret') });
  const image = storedOf(layerOf(someBytes(1000)), layerOf(someBytes(1000)), layerOf(someBytes(1000)));
  await client.checkPush(parseReference(`${registry.host}/app/image`), signal);
  await client.pushImage(image, [parseReference(`${registry.host}/app/image:v1`)], {}, signal);
  assert.deepEqual(tokenRequests(registry), ['/token?service=fake&scope=repository%3Aapp%2Fimage%3Apull%2Cpush']);
});

test('a token that expires in mid-push is replaced, and the blob sent again', async () => {
  const registry = await start();
  await using client = testClient({ credentials: passwordFor('me', 's:e:cret') });
  registry.inject({
    method: 'PUT',
    path: /uploads/,
    act: async (_request, _response, proceed) => {
      registry.expireTokens();
      await proceed();
    },
  });
  const [pushed] = await client.pushImage(
    storedOf(layerOf(someBytes(100_000))),
    [parseReference(`${registry.host}/app/image:v1`)],
    {},
    signal,
  );
  assert.ok(pushed !== undefined);
  assert.ok(tokenRequests(registry).length >= 2);
});

test('without credentials an image can be pulled anonymously, and a push says where it looked for some', async () => {
  const registry = await start();
  await using owner = testClient({ credentials: passwordFor('me', 's:e:cret') });
  const reference = parseReference(`${registry.host}/app/image:v1`);
  await owner.pushImage(storedOf(layerOf(someBytes(10))), [reference], {}, signal);
  await using client = testClient();
  await client.pullImage(reference, platform, signal);
  await assert.rejects(client.checkPush(reference, signal), {
    code: 'ERR_AUTH',
    message: /no credentials found for 127\.0\.0\.1:\d+$/,
  });
});

test('a wrong password is refused once, not six times', async () => {
  const registry = await start();
  await using client = testClient({ credentials: passwordFor('me', 'wrong') });
  await assert.rejects(client.checkPush(parseReference(`${registry.host}/app/image`), signal), (error) => {
    assert.ok(error instanceof Error);
    assert.doesNotMatch(error.message, /wrong/);
    return true;
  });
  assert.equal(tokenRequests(registry).length, 1);
});

test('a rotated password is read again after a refusal', async () => {
  const registry = await start({ auth: { ...auth, kind: 'basic' } });
  let password = 'old';
  let current = password;
  const credentials: Credentials = {
    sources: () => [],
    find: async () => await Promise.resolve({ kind: 'password', user: 'me', password: current }),
    reload: async () => {
      current = await Promise.resolve(password);
    },
  };
  await using client = testClient({ credentials });
  password = 's:e:cret';
  await client.checkPush(parseReference(`${registry.host}/app/image`), signal);
});

for (const kind of ['basic', 'token'] as const)
  test(`a rotated password is read once for all who were refused at the same time (${kind})`, async () => {
    let wanted = 's:e:cret';
    const registry = await start({
      auth: {
        ...auth,
        kind,
        get password() {
          return wanted;
        },
      },
    });
    let current = wanted;
    let reloads = 0;
    const credentials: Credentials = {
      sources: () => [],
      find: async () => await Promise.resolve({ kind: 'password', user: 'me', password: current }),
      reload: async () => {
        reloads += 1;
        await delay(50);
        current = 'rotated';
      },
    };
    await using client = testClient({ credentials });
    const at = parseReference(`${registry.host}/app/image:v1`);
    await client.checkPush(at, signal);
    wanted = 'rotated';
    registry.expireTokens();
    await client.pushImage(storedOf(...[1, 2, 3, 4].map((each) => layerOf(someBytes(each * 100_000)))), [at], {}, signal);
    assert.equal(reloads, 1);
  });

test('a password that is rotated again and again is read again each time', async () => {
  let wanted = 's:e:cret';
  const registry = await start({
    auth: {
      ...auth,
      get password() {
        return wanted;
      },
    },
  });
  let current = wanted;
  const credentials: Credentials = {
    sources: () => [],
    find: async () => await Promise.resolve({ kind: 'password', user: 'me', password: current }),
    reload: async () => {
      current = await Promise.resolve(wanted);
    },
  };
  await using client = testClient({ credentials });
  for (const rotated of ['s:e:cret', 'second', 'third', 'fourth']) {
    wanted = rotated;
    registry.expireTokens();
    await client.checkPush(parseReference(`${registry.host}/app/image`), signal);
  }
});

test('a credential is asked for again when it is time, and not before', async () => {
  const registry = await start({ auth: { ...auth, kind: 'basic' } });
  let nowMs = 0;
  let asked = 0;
  const credentials: Credentials = {
    ...passwordFor('me', 's:e:cret'),
    find: async () => {
      asked += 1;
      return await Promise.resolve({ kind: 'password', user: 'me', password: 's:e:cret', renewAtMs: asked * 60_000 });
    },
  };
  const clock = { now: () => nowMs, sleep: async () => await Promise.resolve(), random: () => 0 };
  await using client = testClient({ credentials, clock });
  const at = parseReference(`${registry.host}/app/image`);
  for (const [atMs, times] of [
    [0, 1],
    [59_999, 1],
    [60_000, 2],
    [119_999, 2],
  ] as const) {
    nowMs = atMs;
    await client.checkPush(at, signal);
    assert.equal(asked, times, `${atMs} ms`);
  }
});

test('a refresh token is exchanged by POST, in the body and nowhere else', async () => {
  const registry = await start({ auth: { ...auth, refreshToken: 'refresh-me' } });
  const credentials: Credentials = {
    sources: () => [],
    reload: async () => await Promise.resolve(),
    find: async () => await Promise.resolve({ kind: 'identity', user: '', token: 'refresh-me' }),
  };
  await using client = testClient({ credentials });
  await client.checkPush(parseReference(`${registry.host}/app/image`), signal);
  assert.ok(registry.requests.some((item) => item.method === 'POST' && item.path === '/token' && item.headers.authorization === undefined));
});

test('a mount asks for both scopes, and goes without when the token server refuses', async () => {
  const registry = await start();
  await using client = testClient({ credentials: passwordFor('me', 's:e:cret') });
  const image = storedOf(layerOf(someBytes(1000)));
  const source = parseReference(`${registry.host}/app/source:v1`);
  await client.pushImage(image, [source], {}, signal);
  const pulled = await client.pullImage(source, platform, signal);
  await client.pushImage(pulled, [parseReference(`${registry.host}/app/mounted:v1`)], {}, signal);
  assert.ok(tokenRequests(registry).some((path) => path.includes('mounted%3Apull%2Cpush&scope=repository%3Aapp%2Fsource%3Apull')));
  registry.inject({ path: /token.*source/, times: 10, act: answer(403, 'DENIED') });
  await client.pushImage(pulled, [parseReference(`${registry.host}/app/sent:v1`)], {}, signal);
  assert.ok(
    client.events.some((event) => event.kind === 'blob.finished' && event.repository.endsWith('app/sent') && event.how === 'transferred'),
  );
});

test('a token server on a metadata address gets no connection and no credentials', async () => {
  const registry = await start({ auth: { ...auth, realm: 'http://169.254.169.254/token' } });
  await using client = testClient({ credentials: passwordFor('me', 's:e:cret') });
  await assert.rejects(client.checkPush(parseReference(`${registry.host}/app/image`), signal), /private address/);
});

test('a token server that redirects elsewhere takes no credentials along', async () => {
  const registry = await start();
  const other = await start({});
  registry.inject({ path: /token/, act: answer(307, 'MOVED', { location: `${other.url}/token` }) });
  await using client = testClient({ credentials: passwordFor('me', 's:e:cret') });
  await assert.rejects(client.checkPush(parseReference(`${registry.host}/app/image`), signal));
  assert.deepEqual(
    other.requests.map((item) => item.headers.authorization),
    [undefined],
  );
});

test('an unknown scheme is named', async () => {
  const registry = await start({});
  registry.inject({ path: /v2\/app/, times: 10, act: answer(401, 'UNAUTHORIZED', { 'www-authenticate': 'Negotiate' }) });
  await using client = testClient();
  await assert.rejects(
    client.checkPush(parseReference(`${registry.host}/app/image`), signal),
    /it wants negotiate, which is not supported/,
  );
});

test('a token answer that never ends is cut off', async () => {
  const registry = await start();
  registry.inject({
    path: /token/,
    times: 10,
    act: (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
      };
      response.on('drain', more);
      more();
    },
  });
  await using client = testClient();
  await assert.rejects(client.checkPush(parseReference(`${registry.host}/app/image`), signal), /a token: .* sent more than 65536 bytes/);
});

test('mergeScopes() makes one scope a name, ours first', () => {
  const scopes = ['repository:a/b:pull', 'repository:c:pull', 'repository:a/b:push,pull'];
  assert.deepEqual(mergeScopes(scopes), ['repository:a/b:pull,push', 'repository:c:pull']);
});
