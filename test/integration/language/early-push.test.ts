// What of a build is in the registry before the build is done.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RegistryError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { buildInRoot } from '../../support/build-in-root.ts';

const whyNot = process.getuid?.() === 0 ? false : 'needs root for chroot and owners';
const dockerfile = 'FROM base AS other\nRUN echo other > /other\nFROM base\nCOPY --from=other /other /copy\nRUN echo 2 > /two\n';

describe('layers that are sent early', { skip: whyNot, timeout: 120_000 }, () => {
  test('they are those of the image and its base, in order, and none of a stage that is only copied from', async () => {
    const sent: string[] = [];
    const { image, error } = await buildInRoot(dockerfile, {
      pushLayer: async ({ descriptor }) => {
        sent.push(descriptor.digest);
        await Promise.resolve();
      },
    });
    assert.equal(error, undefined);
    assert.deepEqual(
      sent,
      image?.layers.map((layer) => layer.descriptor.digest),
    );
  });

  test('a registry that refuses them does not fail the build before its end', async () => {
    const refusal = new RegistryError('Cannot push: no', { method: 'PUT', url: 'http://registry.example/' });
    const { image, error } = await buildInRoot(dockerfile, { pushLayer: async () => await Promise.reject(refusal) });
    assert.deepEqual([error, image?.layers.length], [undefined, 3]);
  });

  test('nothing is sent with --no-push', async () => {
    let count = 0;
    const output = {
      destinations: [parseReference('registry.example/a:1')],
      noPush: true,
      exports: [],
      skipPushPermissionCheck: true,
      ignoreImmutableTags: false,
      pushRetries: 0,
    };
    await buildInRoot(dockerfile, { request: { output }, pushLayer: async () => await Promise.resolve(void count++) });
    assert.equal(count, 0);
  });

  test('a RUN that fails stops what is under way, and the build ends at once', async () => {
    let isStopped = false;
    const { error } = await buildInRoot('FROM base\nRUN echo 1 > /one\nRUN false\n', {
      pushLayer: async (_layer, _destinations, signal) => {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        isStopped = true;
        throw signal.reason;
      },
    });
    assert.equal(isStopped, true);
    assert.match(error instanceof Error ? error.message : '', /false/);
  });
});
