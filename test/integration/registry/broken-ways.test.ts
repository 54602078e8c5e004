// Bad days of what lies between us and a registry: TLS and its certificates, proxies, connections that end, networks that go away.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createPlainServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { ServerOptions } from 'node:https';
import { type AddressInfo, type Server, type Socket, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { type Reference, parseReference } from '../../../src/oci/reference.ts';
import type { RegistryClientOptions } from '../../../src/registry/client.ts';
import { namesFromTable } from '../../../src/registry/names.ts';
import { proxiesFrom } from '../../../src/registry/proxy.ts';
import { defaultRetryPolicy, systemClock } from '../../../src/registry/retry.ts';
import { type KeyPair, missingOpenssl, selfSigned, signedBy } from '../../support/certificates.ts';
import { type FakeRegistry, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { startForwardProxy } from '../../support/forward-proxy.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { type TestClient, passwordFor, testClient } from '../../support/registry-client.ts';

const skip = missingOpenssl;
const { signal } = new AbortController();
const here = [{ address: '127.0.0.1', family: 4 as const }];
const names = namesFromTable(new Map(['registry.test', 'mirror.test'].map((name) => [name, here])));

const retryPolicy = { ...defaultRetryPolicy, tries: 3 };

let folder = '';
let authority: KeyPair;
let good: KeyPair;
const opened: (() => unknown)[] = [];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'yadokari-ways-'));
  if (skip !== false) return;
  authority = await selfSigned(folder, 'authority');
  good = await signedBy(authority, folder, 'good');
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
});
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

const pem = ({ key, certificate }: KeyPair): { readonly key: Buffer; readonly cert: Buffer } => ({
  key: readFileSync(key),
  cert: readFileSync(certificate),
});
async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  await once(server.listen(0, host), 'listening');
  const sockets = new Set<Socket>();
  for (const event of ['connection', 'secureConnection'])
    server.on(event, (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  opened.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port; // it listens on a port
}
async function registryWith(server: ServerOptions): Promise<FakeRegistry & { readonly port: number }> {
  const made = await startFakeRegistry({ server });
  opened.push(made.stop);
  return { ...made, port: Number(made.host.split(':')[1]) };
}
function clientOf(options: Partial<RegistryClientOptions> = {}): TestClient {
  const certificates = skip === false ? [readFileSync(authority.certificate, 'utf8')] : [];
  const client = testClient({
    names,
    hostRules: () => ({ certificates }),
    stallTimeoutMs: 400,
    connectTimeoutMs: 400,
    retryPolicy,
    ...options,
  });
  opened.push(client.close);
  return client;
}
const at = (port: number, host = 'registry.test'): Reference => parseReference(`${host}:${port}/app/image:v1`);
const push = async (client: TestClient, to: Reference, layers = 1): Promise<unknown> =>
  await client.pushImage(storedOf(...Array.from({ length: layers }, () => layerOf(someBytes(1000)))), [to], {}, signal);
const pull = async (client: TestClient, from: Reference): Promise<void> => {
  for (const layer of (await client.pullImage(from, platform, signal)).image.layers) await buffer(layer.open(signal));
};

test('a server that takes connections and never speaks TLS is given up in time', { skip }, async () => {
  const port = await listen(createTcpServer(() => undefined));
  const client = clientOf();
  await assert.rejects(client.resolve(at(port), signal), {
    message: `Cannot reach registry.test:${port}: connection timed out (tried 3 times)`,
  });
});

test('a certificate that is exchanged during a push for another one of its authority changes nothing', { skip }, async () => {
  const { server, port } = await registryWith(pem(good));
  const client = clientOf();
  await push(client, at(port));
  present(server, await signedBy(authority, folder, 'next'));
  server.closeAllConnections();
  await delay(20);
  await push(client, at(port));
  await pull(client, at(port));
  assert.deepEqual(client.lines(), []);
});

const certificates: readonly (readonly [what: string, make: () => Promise<KeyPair>, says: RegExp, hint: RegExp])[] = [
  [
    'has expired',
    async () => await signedBy(authority, folder, 'old', ['20200101000000Z', '20210101000000Z']),
    /has expired \(our clock says \d{4}-\d\d-\d\dT\d\d:\d\dZ\)$/,
    /^renew its certificate, or set the clock/,
  ],
  [
    'is not valid yet',
    async () => await signedBy(authority, folder, 'young', ['20900101000000Z', '20910101000000Z']),
    /is not valid yet \(our clock says \d{4}-\d\d-\d\dT\d\d:\d\dZ\)$/,
    /set the clock of this machine/,
  ],
  [
    'comes from another authority',
    async () => await signedBy(await selfSigned(folder, 'other'), folder, 'foreign'),
    /not trusted here$/,
    /--registry-certificate/,
  ],
];
for (const [what, make, says, hint] of certificates)
  test(`a certificate that ${what} once the push has begun is told as that, and no tag moves`, { skip }, async () => {
    const { server, port, manifests } = await registryWith(pem(good));
    const client = clientOf();
    await push(client, at(port));
    const tag = manifests.get('app/image:v1');
    present(server, await make());
    server.closeAllConnections();
    await delay(20);
    await assert.rejects(push(client, at(port)), (error) => {
      assert.ok(error instanceof Error && 'hint' in error);
      assert.match(error.message, /^Cannot push to \S+: cannot reach registry\.test:\d+: its certificate /);
      assert.match(error.message, says);
      assert.match(String(error.hint), hint);
      return true;
    });
    assert.equal(manifests.get('app/image:v1'), tag);
  });

function present(server: Server, pair: KeyPair): void {
  assert.ok('setSecureContext' in server && typeof server.setSecureContext === 'function');
  server.setSecureContext(pem(pair));
}

test('a server that speaks only TLS 1.0, or only HTTP/2, is told as that', { skip }, async () => {
  const old = await registryWith({ ...pem(good), minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' });
  await assert.rejects(clientOf().resolve(at(old.port), signal), /: it speaks only versions of TLS that are no longer safe$/);
  const newer = await listen(createSecureServer({ ...pem(good), allowHTTP1: false }));
  await assert.rejects(clientOf().resolve(at(newer), signal), /: it speaks no HTTP\/1\.1$/);
});

// So there are no streams that could be reset one by one, no GOAWAY, and no limit of streams to one connection.
test('a server that would rather speak HTTP/2 is spoken to in HTTP/1.1, through a proxy too', { skip }, async () => {
  const { server: registry } = await registryWith({});
  const versions = new Set<string>();
  const server = createSecureServer({ ...pem(good), allowHTTP1: true }, (request, response) => {
    versions.add(request.httpVersion);
    registry.emit('request', request, response);
  });
  const port = await listen(server);
  const proxy = await startForwardProxy();
  opened.push(proxy.stop);
  for (const options of [{}, { proxies: proxiesFrom({ HTTPS_PROXY: proxy.url }) }]) {
    const client = clientOf(options);
    await push(client, at(port), 4);
    await pull(client, at(port));
    assert.deepEqual(client.lines(), []);
  }
  assert.deepEqual([...versions], ['1.1']);
  const willing = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1', 'h2'] });
  await once(willing, 'secureConnect');
  assert.equal(willing.alpnProtocol, 'h2');
  willing.destroy();
});

test('a registry with TLS that sends us to an address without it is not followed', { skip }, async () => {
  const { port, inject } = await registryWith(pem(good));
  const plain = await registryWith({});
  inject({ method: 'GET', path: /manifests/, act: answer(307, 'MOVED', { location: `http://registry.test:${plain.port}/x` }) });
  await assert.rejects(pull(clientOf(), at(port)), /: it redirects from https to http:\/\/registry\.test:\d+$/);
  assert.equal(plain.requests.length, 0);
});

test('a mirror whose certificate is wrong, and one that falls silent, are told of and passed over', { skip }, async () => {
  const { port } = await registryWith(pem(good));
  await push(clientOf(), at(port));
  const wrong = (await registryWith(pem(await selfSigned(folder, 'mirror', 'DNS:mirror.test')))).port;
  const silent = await listen(createPlainServer(() => undefined));
  const mirrors = new Map([[`registry.test:${port}`, [`mirror.test:${wrong}`, `127.0.0.1:${silent}`]]]);
  const client = clientOf({ mirrors: { mirrors } });
  await pull(client, at(port));
  const told = client.lines().filter((line) => line.endsWith('trying the next place'));
  assert.equal(told.length, 2, client.lines().join('\n'));
  assert.match(told[0] ?? '', /mirror\.test:\d+: its certificate/);
  assert.match(told[1] ?? '', new RegExp(`127\\.0\\.0\\.1:${silent}: `));
});

test('a mirror whose tag is older is believed, and said to be where the image is from', async () => {
  const [registry, mirror] = [await registryWith({}), await registryWith({})];
  const client = clientOf({ mirrors: { mirrors: new Map([[registry.host, [mirror.host]]]) } });
  const [own, older] = [at(registry.port, '127.0.0.1'), at(mirror.port, '127.0.0.1')];
  await push(client, own);
  await push(client, older);
  const { digest } = await client.pullImage(own, platform, signal);
  assert.equal(digest, await client.resolve(older, signal));
  const told = `${registry.host}/app/image:v1 is taken from ${mirror.host}/app/image@${digest}`;
  assert.ok(client.events.some((event) => event.kind === 'note' && event.message === told));
});

const tunnels: readonly (readonly [what: string, onTunnel: (near: Socket, count: number) => boolean, says: RegExp | undefined])[] = [
  [
    'wants a password of its own',
    refuse(407),
    /^Cannot push to \S+: cannot reach registry\.test:\d+ through the proxy 127\.0\.0\.1:\d+: the proxy answered 407$/,
  ],
  ['says 502 once', (near, count) => count === 1 && refuse(502)(near), undefined],
  [
    'says 502 for ever',
    refuse(502),
    /^Cannot push to \S+: cannot reach registry\.test:\d+ through the proxy 127\.0\.0\.1:\d+: the proxy answered 502 \(tried 3 times\)$/,
  ],
  ['dies while it opens the way, once', (near, count) => count === 1 && (near.destroy(), true), undefined],
  [
    'dies while it opens the way, for ever',
    (near) => (near.destroy(), true),
    /^Cannot push to \S+: cannot reach registry\.test:\d+ through the proxy 127\.0\.0\.1:\d+: [a-z ]+ \(tried 3 times\)$/,
  ],
  ['says nothing, once', (_near, count) => count === 1, undefined],
  [
    'says nothing for ever',
    () => true,
    /^Cannot push to \S+: cannot reach registry\.test:\d+ through the proxy 127\.0\.0\.1:\d+: [a-z ]+ \(tried 3 times\)$/,
  ],
];
function refuse(status: number): (near: Socket) => boolean {
  return (near) => {
    near.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
    return true;
  };
}
for (const [what, onTunnel, says] of tunnels)
  test(`a proxy that ${what} ${says === undefined ? 'costs a try' : 'is named'}`, { skip }, async () => {
    const { port } = await registryWith(pem(good));
    let count = 0;
    const proxy = await startForwardProxy((near) => onTunnel(near, ++count));
    opened.push(proxy.stop);
    const client = clientOf({ proxies: proxiesFrom({ HTTPS_PROXY: proxy.url }) });
    if (says === undefined) await push(client, at(port));
    else await assert.rejects(push(client, at(port)), { message: says });
    assert.ok(client.waits.length <= (says === undefined ? 2 : 4), client.lines().join('\n'));
  });

test('a proxy that closes what is idle costs nothing', { skip }, async () => {
  const { port } = await registryWith(pem(good));
  const near = new Set<Socket>();
  const proxy = await startForwardProxy((socket) => (near.add(socket), false));
  opened.push(proxy.stop);
  const client = clientOf({ proxies: proxiesFrom({ HTTPS_PROXY: proxy.url }) });
  for (let round = 0; round < 3; round++) {
    await push(client, at(port));
    for (const socket of near) socket.destroy();
    await delay(20);
  }
  assert.deepEqual(client.lines(), []);
});

test('a plain proxy that wants a password is named', async () => {
  const port = await listen(
    createPlainServer((_request, response) => void response.writeHead(407, { 'proxy-authenticate': 'Basic' }).end()),
  );
  const client = clientOf({ hostRules: () => ({ insecure: true }), proxies: proxiesFrom({ HTTP_PROXY: `http://127.0.0.1:${port}` }) });
  await assert.rejects(client.resolve(at(1), signal), {
    message: new RegExp(`^Cannot reach registry\\.test:1 through the proxy 127\\.0\\.0\\.1:${port}: .*the proxy answered 407$`),
    hint: /USER:PASSWORD@ before the host in HTTPS_PROXY=/,
  });
});

test('a server that closes its connections just while requests are sent costs no failure', async () => {
  const { port } = await registryWith({ keepAliveTimeout: 1, keepAliveTimeoutBuffer: 0 });
  const client = clientOf();
  for (let round = 0; round < 60; round++) {
    await push(client, at(port, '127.0.0.1'));
    await delay(round % 4);
  }
  assert.ok(client.waits.length < 10, client.lines().join('\n'));
});

test('a thousand tiny layers, and a server that takes one connection at a time, are no reason to fail', async () => {
  const { server, port } = await registryWith({});
  const layers = Array.from({ length: 1000 }, (_, index) => layerOf(Buffer.from(String(index))));
  const client = clientOf();
  await client.pushImage(storedOf(...layers), [at(port, '127.0.0.1')], {}, signal);
  await pull(client, at(port, '127.0.0.1'));
  assert.deepEqual(client.lines(), []);
  server.maxConnections = 1;
  server.closeAllConnections();
  const clock = { ...systemClock, sleep: async (ms: number) => await delay(ms / 50) };
  const narrow = clientOf({ clock, retryPolicy: defaultRetryPolicy });
  await push(narrow, at(port, '127.0.0.1'), 20);
  await pull(narrow, at(port, '127.0.0.1'));
});

const fakeTime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
test(
  'a builder whose own clock is an hour or a year off pushes and pulls with tokens, and says that the clocks differ',
  { skip: !existsSync(fakeTime) && 'libfaketime is not installed' },
  async () => {
    const registry = await startFakeRegistry({ auth: { kind: 'token', user: 'me', password: 's3cret', expiresIn: 300 } });
    opened.push(registry.stop);
    await push(clientOf({ credentials: passwordFor('me', 's3cret') }), parseReference(`${registry.host}/app/image:v1`));
    registry.requests.length = 0;
    const auth = Buffer.from('me:s3cret').toString('base64');
    const ends = ['-1h', '+1h', '-1y', '+1y'].map(async (clock) => {
      const env = {
        ...process.env,
        LD_PRELOAD: fakeTime,
        FAKETIME: clock,
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { [registry.host]: { auth } } }),
      };
      const main = join(import.meta.dirname, '../../../src/main.ts');
      const to = `docker://${registry.host}/copied/clock:v${clock.replace('+', '-plus')}`;
      const argv = ['--disable-warning=ExperimentalWarning', main, 'copy', `docker://${registry.host}/app/image:v1`, to];
      const { stderr } = await promisify(execFile)(process.execPath, argv, { env });
      assert.match(stderr, /the clock of .* minutes (?:ahead of|behind) ours/, clock);
    });
    await Promise.all(ends);
    assert.equal([...registry.manifests.keys()].filter((name) => name.startsWith('copied/clock:')).length, ends.length);
    // One to pull, and one to push.
    // None is asked for twice: one pulls, one mounts, one pushes.
    assert.equal(registry.requests.filter(({ path }) => path.startsWith('/token')).length, 3 * ends.length);
  },
);

const noNamespace =
  process.getuid?.() !== 0 ? 'only root may take a network away' : ['/usr/bin/unshare', '/usr/sbin/ip'].find((path) => !existsSync(path));
test(
  'a network that is away during a pull, a RUN or a push ends in the image, and in one error where it stays away',
  { skip: noNamespace ?? false },
  async () => {
    const probe = join(import.meta.dirname, '../../support/partition-probe.ts');
    const argv = ['--net', process.execPath, '--disable-warning=ExperimentalWarning', probe];
    const { stdout } = await promisify(execFile)('/usr/bin/unshare', argv, { timeout: 180_000 });
    const told = JSON.parse(stdout) as Record<string, string>; // what the probe writes
    assert.match(
      told['for ever'] ?? '',
      /^Cannot .*(?:no route|unreachable|timed out|stalled|no answer|took no byte).* \(tried \d times\)/,
    );
    assert.deepEqual({ ...told, 'for ever': '' }, { pull: 'well', push: 'well', run: 'well', 'half a minute': 'well', 'for ever': '' });
  },
);
