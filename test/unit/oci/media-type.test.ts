import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MediaType, layerMediaType, layerMediaTypeIn } from '../../../src/oci/media-type.ts';

// The words of image-spec media-types.md, and of Docker's manifest v2 schema 2.
test('MediaType has the words of the specifications', () => {
  assert.deepEqual(MediaType, {
    ociIndex: 'application/vnd.oci.image.index.v1+json',
    ociManifest: 'application/vnd.oci.image.manifest.v1+json',
    ociConfig: 'application/vnd.oci.image.config.v1+json',
    ociLayer: 'application/vnd.oci.image.layer.v1.tar',
    ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
    ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
    ociForeignLayerGzip: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
    dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
    dockerConfig: 'application/vnd.docker.container.image.v1+json',
    dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
    dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
    dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
    dockerForeignLayerGzip: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  });
});

for (const [family, compression, expected] of [
  ['oci', 'none', MediaType.ociLayer],
  ['oci', 'gzip', MediaType.ociLayerGzip],
  ['oci', 'zstd', MediaType.ociLayerZstd],
  ['docker', 'none', MediaType.dockerLayer],
  ['docker', 'gzip', MediaType.dockerLayerGzip],
  ['docker', 'zstd', MediaType.ociLayerZstd],
] as const) {
  test(`layerMediaType() calls a layer with ${compression} in the ${family} family ${expected}`, () => {
    assert.equal(layerMediaType(family, compression), expected);
  });
}

for (const [mediaType, oci, docker] of [
  [MediaType.ociLayer, MediaType.ociLayer, MediaType.dockerLayer],
  [MediaType.dockerLayer, MediaType.ociLayer, MediaType.dockerLayer],
  [MediaType.ociLayerGzip, MediaType.ociLayerGzip, MediaType.dockerLayerGzip],
  [MediaType.dockerLayerGzip, MediaType.ociLayerGzip, MediaType.dockerLayerGzip],
  [MediaType.ociForeignLayerGzip, MediaType.ociForeignLayerGzip, MediaType.dockerForeignLayerGzip],
  [MediaType.dockerForeignLayerGzip, MediaType.ociForeignLayerGzip, MediaType.dockerForeignLayerGzip],
  [MediaType.ociLayerZstd, MediaType.ociLayerZstd, MediaType.ociLayerZstd],
  [MediaType.dockerLayerZstd, MediaType.ociLayerZstd, MediaType.dockerLayerZstd],
  ['application/x-other', 'application/x-other', 'application/x-other'],
] as const) {
  test(`layerMediaTypeIn() knows ${mediaType} in both families`, () => {
    assert.deepEqual([layerMediaTypeIn('oci', mediaType), layerMediaTypeIn('docker', mediaType)], [oci, docker]);
  });
}
