// A fake registry and a client of it, made anew for each test of a file.
import { afterEach, beforeEach } from 'node:test';
import type { RegistryClientOptions } from '../../src/registry/client.ts';
import { type Reference, parseReference } from '../../src/oci/reference.ts';
import { type FakeRegistry, startFakeRegistry } from './fake-registry.ts';
import { type TestClient, testClient } from './registry-client.ts';

export interface FreshRegistry {
  readonly registry: FakeRegistry;
  readonly client: TestClient;
  /** `repository:tag` in it. */
  readonly named: (path: string) => Reference;
  /** Requests so far. */
  readonly count: (method: string, path: RegExp) => number;
}

/** Its members are those of the test that runs. */
export function freshRegistry(options: Partial<RegistryClientOptions> = {}): FreshRegistry {
  let current: { readonly registry: FakeRegistry; readonly client: TestClient } | undefined;
  const here = (): { readonly registry: FakeRegistry; readonly client: TestClient } => {
    if (current === undefined) throw new Error('no test runs');
    return current;
  };
  beforeEach(async () => {
    current = { registry: await startFakeRegistry(), client: testClient(options) };
  });
  afterEach(async () => {
    await current?.client.close();
    await current?.registry.stop();
  });
  return {
    get registry() {
      return here().registry;
    },
    get client() {
      return here().client;
    },
    named: (path) => parseReference(`${here().registry.host}/${path}`),
    count: (method, path) => here().registry.requests.filter((item) => item.method === method && path.test(item.path)).length,
  };
}
