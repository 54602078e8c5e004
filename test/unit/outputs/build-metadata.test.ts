import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseReference } from '../../../src/oci/reference.ts';
import { buildMetadata } from '../../../src/outputs/publish.ts';
import { layerOf, storedOf } from '../../support/image.ts';

test("buildMetadata() has buildx's keys, and the names only where there are some", () => {
  const image = storedOf(layerOf(Buffer.from('x')));
  const { manifest, config } = image;
  const digests = {
    'containerimage.config.digest': config.descriptor.digest,
    'containerimage.descriptor': {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: manifest.digest,
      size: manifest.bytes.length,
    },
    'containerimage.digest': manifest.digest,
  };
  assert.deepEqual(JSON.parse(buildMetadata(image, [])), digests);
  const names = ['r.test:5000/a:latest', 'busybox:v1'].map(parseReference);
  const named = { ...digests, 'image.name': 'r.test:5000/a:latest,docker.io/library/busybox:v1' };
  assert.equal(buildMetadata(image, names), JSON.stringify(named, null, 2));
});
