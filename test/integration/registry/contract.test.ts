import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseReference } from '../../../src/oci/reference.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { storedOf, layerOf, someBytes } from '../../support/image.ts';
import { passwordFor, testClient } from '../../support/registry-client.ts';
import { registryContract } from '../../support/registry-contract.ts';

const missing = missingDockerRegistry();
if (missing !== undefined) {
  test('the real registry', { skip: missing });
} else {
  let registry: RunningRegistry | undefined;
  before(async () => {
    registry = await startDockerRegistry();
  });
  after(async () => {
    await registry?.stop();
  });
  registryContract('docker-registry', () => registry?.host ?? '');

  test('docker-registry with a password file: the right password may push, a wrong one and none may not', async () => {
    const { signal } = new AbortController();
    // bcrypt of "secret"
    const htpasswd = 'me:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';
    const guarded = await startDockerRegistry({ htpasswd });
    try {
      const reference = parseReference(`${guarded.host}/guarded/image:v1`);
      await using right = testClient({ credentials: passwordFor('me', 'secret') });
      await right.pushImage(storedOf(layerOf(someBytes(1000))), [reference], {}, signal);
      await using wrong = testClient({ credentials: passwordFor('me', 'wrong') });
      await assert.rejects(wrong.checkPush(reference, signal), { code: 'ERR_AUTH' });
      await using nobody = testClient();
      await assert.rejects(nobody.resolve(reference, signal), { code: 'ERR_AUTH', message: /no credentials found for/ });
    } finally {
      await guarded.stop();
    }
  });
}
