import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadNames, lookupWith, parseHosts, parseResolvConf, searchList } from '../../../src/registry/names.ts';
import { startNameServer } from '../../support/name-server.ts';

test('parseHosts() reads names and aliases of both families, without comments', () => {
  const hosts = parseHosts('127.0.0.1 localhost\n10.1.2.3\tRegistry registry.ns # note\n::1 localhost\nnonsense x\n');
  assert.deepEqual(hosts.get('registry'), [{ address: '10.1.2.3', family: 4 }]);
  assert.deepEqual(hosts.get('registry.ns'), [{ address: '10.1.2.3', family: 4 }]);
  assert.deepEqual(hosts.get('localhost'), [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]);
  assert.equal(hosts.has('x'), false);
});

test('parseResolvConf() reads servers, search and options, the last search counting', () => {
  const text =
    'nameserver 10.96.0.10\nnameserver fd00::a\nsearch a.b\nsearch ns.svc.cluster.local svc.cluster.local\noptions ndots:5 timeout:1 attempts:3 edns0 # x\n';
  assert.deepEqual(parseResolvConf(text), {
    servers: ['10.96.0.10', 'fd00::a'],
    search: ['ns.svc.cluster.local', 'svc.cluster.local'],
    ndots: 5,
    timeoutMs: 1000,
    attempts: 3,
  });
  assert.deepEqual(parseResolvConf('').servers, ['127.0.0.1']);
});

test('searchList() tries a short name in the search domains first, a long one as it is first', () => {
  const conf = { search: ['ns.svc', 'svc'], ndots: 2 };
  assert.deepEqual(searchList('registry', conf), ['registry.ns.svc', 'registry.svc', 'registry']);
  assert.deepEqual(searchList('a.b.c', conf), ['a.b.c', 'a.b.c.ns.svc', 'a.b.c.svc']);
  assert.deepEqual(searchList('registry.', conf), ['registry']);
});

test('loadNames() answers from the hosts file as it was at the start, literals, and localhost', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'yadokari-names-'));
  try {
    const files = { hosts: join(folder, 'hosts'), resolvConf: join(folder, 'none') };
    await writeFile(files.hosts, '10.1.2.3 registry\n');
    const names = await loadNames(files);
    await writeFile(files.hosts, '6.6.6.6 registry\n');
    assert.deepEqual(await names.resolve('REGISTRY'), [{ address: '10.1.2.3', family: 4 }]);
    assert.deepEqual(await names.resolve('[::1]'), [{ address: '::1', family: 6 }]);
    assert.deepEqual(
      (await names.resolve('x.localhost')).map((item) => item.address),
      ['127.0.0.1', '::1'],
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

const linkLocal = Object.entries(networkInterfaces()).flatMap(([zone, addresses]) =>
  (addresses ?? []).filter(({ address }) => address.startsWith('fe80:')).map(({ address }) => `${address}%${zone}`),
)[0];
for (const address of ['127.99.7.1', linkLocal]) {
  test(`loadNames() asks the name server ${address ?? 'with a zone'} for the search list in turn`, async (t) => {
    if (address === undefined) return t.skip('no interface has a link-local address');
    const asked: string[] = [];
    const close = await startNameServer(address, (name, type) => {
      if (type === 'A') asked.push(name);
      return type === 'A' && name === 'registry.svc' ? ['10.9.8.7'] : 'no such name';
    });
    if (close === undefined) return t.skip('only root may open port 53');
    const folder = await mkdtemp(join(tmpdir(), 'yadokari-names-'));
    try {
      await writeFile(join(folder, 'resolv.conf'), `nameserver ${address}\nsearch ns.svc svc\noptions ndots:5 timeout:1\n`);
      const names = await loadNames({ hosts: join(folder, 'none'), resolvConf: join(folder, 'resolv.conf') });
      assert.deepEqual(await names.resolve('registry'), [{ address: '10.9.8.7', family: 4 }]);
      assert.deepEqual(asked, ['registry.ns.svc', 'registry.svc']);
      await assert.rejects(names.resolve('nobody'), { code: 'ENOTFOUND' });
    } finally {
      close();
      await rm(folder, { recursive: true });
    }
  });
}

test('lookupWith() gives one address or all, of the family that is wanted', async () => {
  const lookup = lookupWith({
    resolve: async () =>
      await Promise.resolve([
        { address: '10.0.0.1', family: 4 },
        { address: 'fd00::1', family: 6 },
      ]),
  });
  const ask = async (options: { readonly all?: boolean; readonly family?: number }): Promise<unknown> => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    lookup('x', options, (error, address, family) => {
      resolve(error ?? [address, family]);
    });
    return await promise;
  };
  assert.deepEqual(await ask({ family: 6 }), ['fd00::1', 6]);
  assert.deepEqual(await ask({}), ['10.0.0.1', 4]);
});
