// The contract over the ways to a real registry: TLS of its own, nginx before it, a proxy between us and it.
import { mkdtemp, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import type { RegistryClientOptions } from '../../../src/registry/client.ts';
import { namesFromTable } from '../../../src/registry/names.ts';
import { proxiesFrom } from '../../../src/registry/proxy.ts';
import { type KeyPair, missingOpenssl, selfSigned, signedBy } from '../../support/certificates.ts';
import { missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { startFakeRegistry } from '../../support/fake-registry.ts';
import { startForwardProxy } from '../../support/forward-proxy.ts';
import { missingNginx, startNginx } from '../../support/nginx.ts';
import { type Provider, providers } from '../../support/providers.ts';
import { type ContractOptions, registryContract } from '../../support/registry-contract.ts';

const skip = missingOpenssl || missingNginx || missingDockerRegistry() || false;
const names = namesFromTable(new Map([['registry.test', [{ address: '127.0.0.1', family: 4 as const }]]]));
const portOf = (host: string): number => Number(host.split(':')[1]);

interface Way {
  readonly port: number;
  readonly credentials?: RegistryClientOptions['credentials'];
  /** Of a proxy on the way. */
  readonly proxy?: string;
}
type Opened = (stop: () => Promise<void>) => void;

async function behindNginx(opened: Opened, tls: KeyPair | undefined): Promise<Way> {
  const registry = await startDockerRegistry();
  const nginx = await startNginx(registry.host, tls === undefined ? {} : { tls });
  opened(async () => void (await Promise.all([nginx.stop(), registry.stop()])));
  return { port: nginx.port };
}

async function throughProxy(opened: Opened, tls: KeyPair | undefined): Promise<Way> {
  const { port } = await behindNginx(opened, tls);
  const proxy = await startForwardProxy();
  opened(proxy.stop);
  return { port, proxy: proxy.url };
}

/** With TLS of its own through a proxy, or without behind nginx. */
async function openProvider(provider: Provider, opened: Opened, tls: KeyPair | undefined): Promise<Way> {
  const { registry, stop } = await provider.start(
    tls === undefined ? {} : { key: readFileSync(tls.key), cert: readFileSync(tls.certificate) },
  );
  opened(stop);
  const credentials: RegistryClientOptions['credentials'] = {
    sources: () => ['the test'],
    reload: async () => await Promise.resolve(),
    find: async () => await Promise.resolve(provider.credential),
  };
  if (tls === undefined) {
    const nginx = await startNginx(registry.host);
    opened(nginx.stop);
    return { port: nginx.port, credentials };
  }
  const proxy = await startForwardProxy();
  opened(proxy.stop);
  return { port: portOf(registry.host), proxy: proxy.url, credentials };
}

interface NamedWay {
  readonly name: string;
  readonly open: (opened: Opened, tls: KeyPair) => Promise<Way>;
  readonly contract?: ContractOptions;
}
const ways: readonly NamedWay[] = [
  {
    name: 'docker-registry with TLS',
    open: async (opened, tls) => {
      const registry = await startDockerRegistry({ tls });
      opened(registry.stop);
      return { port: portOf(registry.host) };
    },
  },
  { name: 'docker-registry behind nginx', open: async (opened) => await behindNginx(opened, undefined) },
  { name: 'docker-registry behind nginx with TLS', open: behindNginx },
  { name: 'docker-registry through a proxy', open: async (opened) => await throughProxy(opened, undefined) },
  { name: 'docker-registry with TLS through a proxy', open: throughProxy },
  {
    name: 'the fake registry behind nginx with TLS',
    open: async (opened, tls) => {
      const registry = await startFakeRegistry();
      const nginx = await startNginx(registry.host, { tls });
      opened(async () => void (await Promise.all([nginx.stop(), registry.stop()])));
      return { port: nginx.port };
    },
  },
  ...providers.flatMap((provider): readonly NamedWay[] => {
    const { name, mounts, heads = true, within } = provider;
    const contract = { mounts, heads, ...(within === undefined ? {} : { within }) };
    return [
      { name: `${name} with TLS through a proxy`, contract, open: async (opened, tls) => await openProvider(provider, opened, tls) },
      { name: `${name} behind nginx`, contract, open: async (opened) => await openProvider(provider, opened, undefined) },
    ];
  }),
];
for (const { name, open, contract } of ways) {
  const stops: (() => Promise<void>)[] = [];
  let host = '';
  let options: Partial<RegistryClientOptions> = {};
  before(async () => {
    if (skip !== false) return;
    const folder = await mkdtemp(join(tmpdir(), 'yadokari-ways-'));
    stops.push(async () => await rm(folder, { recursive: true, force: true }));
    const authority = await selfSigned(folder, 'authority');
    const way = await open((stop) => stops.push(stop), await signedBy(authority, folder, 'server'));
    host = `registry.test:${way.port}`;
    const certificates = [readFileSync(authority.certificate, 'utf8')];
    options = {
      names,
      hostRules: () => ({ insecure: true, certificates }),
      ...(way.credentials === undefined ? {} : { credentials: way.credentials }),
      ...(way.proxy === undefined ? {} : { proxies: proxiesFrom({ HTTP_PROXY: way.proxy, HTTPS_PROXY: way.proxy }) }),
    };
  });
  after(async () => {
    for (const stop of stops) await stop();
  });
  registryContract(
    name,
    () => host,
    () => options,
    { ...contract, skip },
  );
}
