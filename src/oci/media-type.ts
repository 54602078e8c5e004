// Media types of manifests, configs and layers, in the OCI and the Docker family.

export const MediaType = {
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
  /** No specification has it; docker with containerd's store writes it. */
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  dockerForeignLayerGzip: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
} as const;

/** True for the config of an image; an artifact has another. */
export function isConfigType(mediaType: string): boolean {
  return mediaType === MediaType.ociConfig || mediaType === MediaType.dockerConfig;
}

/** Which family an image's manifest, config and layers belong to. */
export type MediaFamily = 'oci' | 'docker';

export type Compression = 'none' | 'gzip' | 'zstd';

/** The media type of a layer we write. Docker's family knows no zstd (image-spec layer.md#zstd-media-types). */
export function layerMediaType(family: MediaFamily, compression: Compression): string {
  if (compression === 'zstd') return MediaType.ociLayerZstd;
  if (family === 'oci') return compression === 'gzip' ? MediaType.ociLayerGzip : MediaType.ociLayer;
  return compression === 'gzip' ? MediaType.dockerLayerGzip : MediaType.dockerLayer;
}

/** The same layer's media type in the other family; unknown types are kept as they are. */
export function layerMediaTypeIn(family: MediaFamily, mediaType: string): string {
  const pairs: readonly (readonly [docker: string, oci: string])[] = [
    [MediaType.dockerLayer, MediaType.ociLayer],
    [MediaType.dockerLayerGzip, MediaType.ociLayerGzip],
    [MediaType.dockerForeignLayerGzip, MediaType.ociForeignLayerGzip],
  ];
  for (const [docker, oci] of pairs) {
    if (mediaType === docker || mediaType === oci) return family === 'oci' ? oci : docker;
  }
  return family === 'oci' && mediaType === MediaType.dockerLayerZstd ? MediaType.ociLayerZstd : mediaType;
}
