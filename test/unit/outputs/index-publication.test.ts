import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imageUri } from '../../../src/attest/materials.ts';
import { attestationOf, describeAttestation } from '../../../src/attest/statement.ts';
import { parseReference, formatReference } from '../../../src/oci/reference.ts';
import { encodeIndex } from '../../../src/oci/image-index.ts';
import { describeImage } from '../../../src/oci/stored-image.ts';
import type { FileExports } from '../../../src/outputs/publish.ts';
import { indexPublication } from '../../../src/outputs/publication.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { startFakeRegistry } from '../../support/fake-registry.ts';
import { layerOf, platform, storedOf } from '../../support/image.ts';
import { testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const files: FileExports = { archive: () => assert.fail('not expected'), copyTo: () => assert.fail('not expected') };

test('an index is signed with all that it names, by the names that it got, and not by one that may not be overwritten', async (context) => {
  const registry = await startFakeRegistry();
  context.after(registry.stop);
  await using client = testClient({ hostRules: () => ({ insecure: true }) });
  const [held, free] = ['held', 'free'].map((tag) => parseReference(`${registry.host}/app:${tag}`));
  assert.ok(held !== undefined && free !== undefined);
  const [before] = await client.pushImage(storedOf(layerOf(Buffer.from('before'))), [held], {}, signal);
  registry.inject({
    method: 'PUT',
    path: /manifests\/held/,
    times: 100,
    act: (_request, response) => {
      response.writeHead(400).end(JSON.stringify({ errors: [{ code: 'TAG_INVALID', message: 'the tag is immutable' }] }));
    },
  });
  const signed: string[] = [];
  const events: BuildEvent[] = [];
  const publication = indexPublication(
    { destinations: [held, free], noPush: false, exports: [], skipPushPermissionCheck: true, ignoreImmutableTags: true, pushRetries: 0 },
    {
      registry: client,
      results: new Map(),
      signer: {
        sign: async (_registry, names, digests) =>
          await Promise.resolve(void signed.push(...names.flatMap((name) => digests.map((each) => `${formatReference(name)} ${each}`)))),
      },
      emit: (event) => void events.push(event),
      signal,
    },
  );
  const image = storedOf(layerOf(Buffer.from('x')));
  const statement = { predicateType: 'https://p.example', predicate: new Map([['a', 1]]) };
  await publication.add(image, platform, { files, statements: [statement] });
  const { digest, pushed } = await publication.finish();
  const names = [held, free].map((name) => imageUri(name, platform));
  const attestation = attestationOf([statement], { digest: image.manifest.digest, names });
  const stated = describeAttestation(attestation, image.manifest.digest);
  assert.equal(digest, encodeIndex([{ ...describeImage(image), platform }, stated]).digest);
  assert.deepEqual(pushed, [
    { destination: formatReference(held), digest: before?.digest },
    { destination: formatReference(free), digest },
  ]);
  assert.deepEqual(
    signed,
    // Who copies all of an index asks for a signature of each (skopeo copy --all).
    [image.manifest.digest, stated.digest, digest].map((each) => `${formatReference(free)} ${each}`),
  );
  const written = events.flatMap((event) => (event.kind === 'image.written' ? [event.digest] : []));
  assert.deepEqual(written, [before?.digest, digest]);
});
