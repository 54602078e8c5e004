import { after, before } from 'node:test';
import { type FakeRegistry, startFakeRegistry } from '../../support/fake-registry.ts';
import { registryContract } from '../../support/registry-contract.ts';

let registry: FakeRegistry | undefined;
before(async () => {
  registry = await startFakeRegistry();
});
after(async () => {
  await registry?.stop();
});

registryContract('the fake registry', () => registry?.host ?? '');
