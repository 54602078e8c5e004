// Every provider's quirks are borne: the contract with each.
import { after, before } from 'node:test';
import type { RegistryClientOptions } from '../../../src/registry/client.ts';
import { type RunningProvider, providers } from '../../support/providers.ts';
import { registryContract } from '../../support/registry-contract.ts';

for (const { name, credential, mounts, heads = true, within, start } of providers) {
  let running: RunningProvider | undefined;
  before(async () => {
    running = await start();
  });
  after(async () => {
    await running?.stop();
  });
  const credentials: RegistryClientOptions['credentials'] = {
    sources: () => ['the test'],
    reload: async () => await Promise.resolve(),
    find: async () => await Promise.resolve(credential),
  };
  registryContract(
    name,
    () => running?.registry.host ?? '',
    () => ({ credentials }),
    { mounts, heads, ...(within === undefined ? {} : { within }) },
  );
}
