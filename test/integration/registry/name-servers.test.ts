// Name servers on bad days: what may pass is asked again, what is final is told at once, and which servers are asked was settled at start.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { parseReference } from '../../../src/oci/reference.ts';
import { loadNames } from '../../../src/registry/names.ts';
import { type FakeRegistry, startFakeRegistry } from '../../support/fake-registry.ts';
import { type NameAnswer, startNameServer } from '../../support/name-server.ts';
import { type TestClient, testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const server = '127.99.7.53';
let registry: FakeRegistry;
let stop: (() => void) | undefined;
let answer: (name: string, type: 'A' | 'AAAA') => NameAnswer = () => 'no such name';
let asked: string[] = [];
const opened: (() => Promise<unknown>)[] = [];
before(async () => {
  registry = await startFakeRegistry();
  stop = await startNameServer(server, (name, type) => {
    if (type === 'A') asked.push(name);
    return answer(name, type);
  });
});
after(async () => {
  stop?.();
  await registry.stop();
});
afterEach(async () => {
  asked = [];
  for (const close of opened.splice(0)) await close();
});

async function clientOf(resolvConf: string): Promise<TestClient & { readonly path: string }> {
  const place = await mkdtempDisposable(join(tmpdir(), 'yadokari-names-'));
  const path = join(place.path, 'resolv.conf');
  await writeFile(path, resolvConf);
  const names = await loadNames({ hosts: join(place.path, 'none'), resolvConf: path });
  const client = testClient({ names, hostRules: () => ({ insecure: true }), connectTimeoutMs: 2000 });
  opened.push(client.close, async () => await place[Symbol.asyncDispose]());
  return { ...client, path };
}
const conf = `nameserver ${server}\noptions timeout:1 attempts:1\n`;
const ask = async (client: TestClient, host: string, port = registry.host.split(':')[1]): Promise<void> =>
  void (await client.resolve(parseReference(`${host}:${port}/app/image:v1`), signal));
/** Gives the first so many questions for addresses another answer. */
function first(times: number, other: NameAnswer): typeof answer {
  let left = times;
  return (_name, type) => (type === 'AAAA' ? [] : left-- > 0 ? other : ['127.0.0.1']);
}

test('a name that does not exist is told at once', async (t) => {
  if (stop === undefined) return t.skip('only root may open port 53');
  answer = () => 'no such name';
  const client = await clientOf(conf);
  await assert.rejects(ask(client, 'nobody.test'), {
    message: /^Cannot reach nobody\.test:\d+: no such host$/,
    hint: 'check the name of the host',
  });
  assert.deepEqual([client.waits, client.lines()], [[], []]);
});

for (const [what, failure] of [
  ['fails', 'server failure'],
  ['says nothing', 'silence'],
] as const)
  test(`a name server that ${what} is asked again, and is named where it stays so`, async (t) => {
    if (stop === undefined) return t.skip('only root may open port 53');
    answer = first(1, failure);
    const client = await clientOf(conf);
    await ask(client, 'registry.test');
    assert.equal(client.waits.length, 1);
    assert.match(client.lines().join('\n'), /no name server answered; trying again/);
    if (failure === 'silence') return;
    answer = () => failure;
    await assert.rejects(
      ask(await clientOf(conf), 'registry.test'),
      /^\w+: Cannot reach registry\.test:\d+: no name server answered \(tried 6 times\)$/,
    );
  });

test('a name that moves from an address where nobody listens is looked up again', async (t) => {
  if (stop === undefined) return t.skip('only root may open port 53');
  answer = first(2, ['127.99.7.9']); // once for each way that is tried at the same time
  const client = await clientOf(conf);
  await ask(client, 'registry.test');
  assert.deepEqual(client.waits, [1000]);
});

test('a name with nothing but an IPv6 address is reached there, and one whose IPv6 address is dead by IPv4', async (t) => {
  if (stop === undefined) return t.skip('only root may open port 53');
  const relay = createServer((near) => void near.pipe(connect(Number(registry.host.split(':')[1]), '127.0.0.1')).pipe(near));
  try {
    await once(relay.listen(0, '::1'), 'listening');
  } catch {
    return t.skip('this machine has no IPv6');
  }
  const address = relay.address();
  assert.ok(address !== null && typeof address === 'object');
  answer = (_name, type) => (type === 'A' ? [] : ['::1']);
  await ask(await clientOf(conf), 'six.test', String(address.port));
  relay.close();
  answer = (_name, type) => (type === 'A' ? ['127.0.0.1'] : ['fd00:dead::1']);
  const client = await clientOf(conf);
  await ask(client, 'both.test');
  assert.deepEqual(client.waits, []);
  return undefined;
});

test('search domains are gone through, and who rewrites resolv.conf afterwards changes nothing', async (t) => {
  if (stop === undefined) return t.skip('only root may open port 53');
  answer = (name, type) => (name !== 'registry.svc.test' ? 'no such name' : type === 'A' ? ['127.0.0.1'] : []);
  const client = await clientOf(`${conf}search ns.svc.test svc.test\noptions ndots:5\n`);
  await writeFile(client.path, 'nameserver 127.99.7.99\n');
  await ask(client, 'registry');
  assert.deepEqual([...new Set(asked)], ['registry.ns.svc.test', 'registry.svc.test']);
  return undefined;
});
