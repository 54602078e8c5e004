// What registries ask for and token servers answer, when they are wrong, hostile or away: nothing of ours goes where it should not, nothing
// of theirs comes into a header, and one line says why.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { BuilderError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import type { Credentials } from '../../../src/registry/credentials.ts';
import { freePort } from '../../support/listen.ts';
import { type FakeAuth, type FakeRegistry, type Fault, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { layerOf, someBytes, storedOf } from '../../support/image.ts';
import { type TestClient, passwordFor, testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const auth: FakeAuth = { kind: 'token', user: 'me', password: 's3cret' };
const secrets = /s3cret|bWU6czNjcmV0/;
const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});
async function start(changes: Partial<FakeAuth> = {}): Promise<FakeRegistry> {
  const registry = await startFakeRegistry({ auth: { ...auth, ...changes } });
  opened.push(registry.stop);
  return registry;
}
function clientOf(credentials: Credentials = passwordFor('me', 's3cret')): TestClient {
  const client = testClient({ credentials, stallTimeoutMs: 200, connectTimeoutMs: 200 });
  opened.push(client.close);
  return client;
}
const push = async (client: TestClient, registry: FakeRegistry, layers = 1): Promise<void> => {
  const image = storedOf(...Array.from({ length: layers }, () => layerOf(someBytes(1000))));
  await client.pushImage(image, [parseReference(`${registry.host}/app/image:v1`)], {}, signal);
};
async function refused(client: TestClient, registry: FakeRegistry, says: RegExp, waits = 0): Promise<void> {
  await assert.rejects(push(client, registry), (error) => {
    assert.ok(error instanceof BuilderError && error.code !== 'ERR_INTERNAL', String(error));
    assert.match(error.message, /^Cannot [^\n\p{Cc}]{10,1500}$/u);
    assert.match(error.message, says);
    assert.doesNotMatch(`${error.message} ${error.hint ?? ''} ${client.lines().join(' ')}`, secrets);
    return true;
  });
  assert.deepEqual([registry.manifests.size, client.waits.length], [0, waits]);
}
const challenge = (...lines: readonly string[]): Fault['act'] => {
  return (request, response) => {
    request.resume();
    response.writeHead(401, lines.length === 0 ? {} : { 'www-authenticate': [...lines] }).end();
  };
};
const many = (count: number, item: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => item(index)).join(', ');

const challenges: readonly (readonly [what: string, lines: readonly string[], says: RegExp])[] = [
  ['without a challenge', [], /answered 401/],
  ['with an empty one', [''], /answered 401/],
  ['with one that nobody can read', ['"=,=" Bearer'], /answered 401|wants/],
  ['for Bearer without a realm', ['Bearer service="x"'], /wants bearer/],
  [
    'for schemes that nobody here speaks',
    ['Negotiate, NTLM', 'Digest realm="x"'],
    /it wants negotiate, ntlm, digest, which is not supported$/,
  ],
  ['with the realm ftp://x/', ['Bearer realm="ftp://x/"'], /its token server has a ftp: address$/],
  ['with the realm file:///etc/shadow', ['Bearer realm="file:///etc/shadow"'], /its token server has a file: address$/],
  [
    'with a realm on a metadata address',
    ['Bearer realm="http://169.254.169.254/t"'],
    /sends us to 169\.254\.169\.254, which is a private address$/,
  ],
  [
    'with a realm that has a password in it',
    ['Bearer realm="http://u:p@127.0.0.1/t"'],
    /the address of its token server holds credentials$/,
  ],
  ['with a realm that is no URL', ['Bearer realm="http://["'], /the address of its token server is no URL$/],
];
for (const [what, lines, says] of challenges)
  test(`a 401 ${what} ends in one line, and no credential leaves`, async () => {
    const [registry, client] = [await start(), clientOf()];
    registry.inject({ path: /^\/v2\//, times: 100, act: challenge(...lines) });
    await refused(client, registry, says);
    assert.deepEqual(
      registry.requests.filter((item) => secrets.test(item.headers.authorization ?? '')),
      [],
    );
  });

const borne: readonly (readonly [what: string, lines: (host: string) => readonly string[]])[] = [
  ['with a realm that is a path', () => ['Bearer realm="/token",service="fake"']],
  [
    'with a hundred challenges',
    (host) => [`${many(99, (index) => `Scheme${index} x="1"`)}, Bearer realm="http://${host}/token",service="fake"`],
  ],
  [
    'with a hundred lines of them',
    (host) => [...Array.from({ length: 99 }, (_, index) => `Scheme${index} x="1"`), `Bearer realm="http://${host}/token"`],
  ],
  ['with a realm twice', (host) => [`Bearer realm="http://${host}/token",realm="http://169.254.169.254/"`]],
  ['with a scope of several words', (host) => [`Bearer realm="http://${host}/token",scope="repository:a:pull repository:b:pull,push  "`]],
];
for (const [what, lines] of borne)
  test(`a 401 ${what} is understood`, async () => {
    const [registry, client] = [await start(), clientOf()];
    registry.inject({ path: /^\/v2\//, act: challenge(...lines(registry.host)) });
    await push(client, registry);
  });

test('a challenge of a megabyte is too many headers, and told as that', async () => {
  const [registry, client] = [await start(), clientOf()];
  const act: Fault['act'] = (request) => {
    const line = `WWW-Authenticate: Bearer realm="${'x'.repeat(1_000_000)}"`;
    request.socket.end(`HTTP/1.1 401 Unauthorized\r\n${line}\r\ncontent-length: 0\r\n\r\n`);
  };
  registry.inject({ path: /^\/v2\//, times: 100, act });
  await refused(client, registry, /the answer has too many headers$/);
});

const noTokens: readonly (readonly [what: string, body: string, says: RegExp])[] = [
  ['empty', '', /sent nothing$/],
  ['a page', '<html>', /an HTML page came from/],
  ['a list', '[]', /answered without a token$/],
  ['without a token', '{}', /answered without a token$/],
  ['an empty token', '{"token":""}', /answered without a token$/],
  ['a number for a token', '{"token":1}', /answered without a token$/],
  ['a token with a line end', '{"token":"a\\r\\nX-Evil: 1"}', /answered without a token$/],
  ['a token with a blank', '{"token":"a b"}', /answered without a token$/],
  ['a token of other letters', '{"token":"é"}', /answered without a token$/],
  ['a token of a megabyte', `{"token":"${'x'.repeat(1_000_000)}"}`, /sent more than 65536 bytes$/],
  ['its token twice', '{"token":"a","token":"b"}', /no JSON/],
];
for (const [what, body, says] of noTokens)
  test(`a token server whose answer is ${what} is told of in one line, and its answer comes into no header`, async () => {
    const [registry, client] = [await start(), clientOf()];
    registry.inject({ path: /^\/token/, times: 100, act: (_request, response) => void response.end(body) });
    await refused(client, registry, says);
    assert.ok(registry.requests.every((item) => item.headers['x-evil'] === undefined));
  });

const lives: readonly (readonly [what: string, more: object])[] = [
  ...[-1, 0, 1e12, '300', 'soon', null, 1.5].map((seconds) => [`expires_in ${JSON.stringify(seconds)}`, { expires_in: seconds }] as const),
  ...['1970-01-01T00:00:00Z', '2100-01-01T00:00:00Z', 'yesterday', 7].map((date) => [`issued_at ${date}`, { issued_at: date }] as const),
];
for (const [what, more] of lives)
  test(`a token with ${what} is good for a push, and asked for once`, async () => {
    const [registry, client] = [await start(), clientOf()];
    registry.inject({ path: /^\/token/, times: 100, act: rewritten((answered) => ({ ...answered, ...more })) });
    await push(client, registry, 5);
    assert.equal(registry.requests.filter((item) => item.path.startsWith('/token')).length, 1);
  });
/** The right answer, changed. */
function rewritten(change: (answered: object) => object): Fault['act'] {
  return async (_request, response, proceed) => {
    const end = response.end.bind(response);
    response.end = (body?: unknown) => end(JSON.stringify(change(JSON.parse(String(body)) as object)));
    await proceed();
  };
}

for (const [what, offMs] of [
  ['an hour ahead', 3_600_000],
  ['an hour behind', -3_600_000],
  ['a year ahead', 365 * 86_400_000],
  ['a year behind', -365 * 86_400_000],
] as const)
  test(`a registry whose clock is ${what} gets its push with one token, and a word about the clocks`, async () => {
    const [registry, client] = [await start(), clientOf()];
    const date = new Date(Date.now() + offMs);
    const act: Fault['act'] = async (_request, response, proceed) => {
      response.setHeader('date', date.toUTCString());
      await proceed();
    };
    const token = rewritten((answered) => ({ ...answered, issued_at: date.toISOString() }));
    registry.inject({
      path: /^\/token/,
      times: 100,
      act: async (request, response, proceed) => await act(request, response, async () => await token(request, response, proceed)),
    });
    registry.inject({ path: /^\/v2\//, times: 1000, act });
    await push(client, registry, 5);
    assert.equal(registry.requests.filter((item) => item.path.startsWith('/token')).length, 1);
    assert.equal(client.lines().length, 1, client.lines().join('\n'));
    assert.match(client.lines()[0] ?? '', /the clock of .* minutes (?:ahead of|behind) ours/);
  });

test('a token server that is down, slow or broken for a while is asked again; one that stays so is named', async () => {
  const silent: Fault['act'] = (request) => void request.resume();
  for (const act of [silent, answer(503), (request) => void request.socket.destroy()] satisfies readonly Fault['act'][]) {
    const [registry, client] = [await start(), clientOf()];
    registry.inject({ path: /^\/token/, times: 2, act });
    await push(client, registry);
    assert.equal(client.waits.length, 2);
  }
  const port = await freePort();
  const [registry, client] = [await start({ realm: `http://127.0.0.1:${port}/token` }), clientOf()];
  await refused(client, registry, new RegExp(`^Cannot reach 127\\.0\\.0\\.1:${port}: connection refused \\(tried 6 times\\)$`), 5);
});

test('a helper that fails when the push begins is named, and what it had said before is not used on', async () => {
  const [registry, client] = [await start({ kind: 'basic' }), clientOf(failingLater())];
  await client.checkPush(parseReference(`${registry.host}/app/image`), signal);
  registry.inject({ path: /^\/v2\//, times: 100, act: challenge('Basic realm="x"') });
  await refused(client, registry, /^Cannot get credentials for 127\.0\.0\.1:\d+: docker-credential-x failed with exit code 1$/);
});
function failingLater(): Credentials {
  let asked = 0;
  return {
    ...passwordFor('me', 's3cret'),
    find: async (registry) => {
      if (++asked > 1)
        throw new BuilderError('ERR_AUTH', `Cannot get credentials for ${registry}: docker-credential-x failed with exit code 1`);
      return await Promise.resolve({ kind: 'password', user: 'me', password: 's3cret' });
    },
  };
}
