import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseReference } from '../../../src/oci/reference.ts';
import { artifactOf, buildMetadata } from '../../../src/outputs/publish.ts';
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

test("artifactOf() has what Drone's plugins write, with the kind of the registry", () => {
  const image = (name: string) => ({ image: name, digest: 'sha256:1' });
  for (const [host, registryType] of [
    ['1.dkr.ecr.eu-west-1.amazonaws.com', 'ECR'],
    ['eu.gcr.io', 'GCR'],
    ['a.azurecr.io', 'ACR'],
    ['registry.example:5000', 'Docker'],
  ]) {
    const pushed = [`${host}/app:1`, `${host}/app:2`].map((destination) => ({ destination, digest: 'sha256:1' }));
    const data = { registryType, registryUrl: host, images: [image(`${host}/app:1`), image(`${host}/app:2`)] };
    assert.deepEqual(JSON.parse(artifactOf(pushed)), { kind: 'docker/v1', data });
  }
});
