// Images that we make ourselves, as OCI layouts: the builder's, and a bare Node for the example.
import { type Image, appendLayer, withRunConfig } from '../src/oci/image.ts';
import { emptyImageConfig } from '../src/oci/image-config.ts';
import { hostPlatform } from '../src/oci/platform.ts';
import type { Digest } from '../src/oci/digest.ts';
import { encodeImage } from '../src/oci/stored-image.ts';
import { writeLayout } from '../src/store/oci-layout.ts';
import type { ImageFile } from './image-files.ts';
import { layerOf } from './image-layers.ts';
import type { RunConfig } from '../src/oci/run-config.ts';

/** One layer: its files, and what its history says. */
export interface Part {
  readonly comment: string;
  readonly files: readonly ImageFile[];
}

export interface LayoutRequest {
  readonly folder: string;
  readonly tag: string;
  readonly parts: readonly Part[];
  readonly config: RunConfig;
  /** Seconds after 1970 that files and image are dated; SOURCE_DATE_EPOCH. */
  readonly seconds: number;
}

/** A written image; the size is its compressed layers'. */
export interface WrittenImage {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** How a container of the builder image runs: kaniko's environment, so that mounts and scripts made for it work. */
export function builderConfig(isDebug: boolean): RunConfig {
  const path = ['/usr/local/bin', '/kaniko', ...(isDebug ? ['/busybox'] : [])];
  return {
    env: [
      'HOME=/root',
      'USER=root',
      `PATH=${path.join(':')}`,
      'SSL_CERT_DIR=/kaniko/ssl/certs',
      'DOCKER_CONFIG=/kaniko/.docker/',
      'DOCKER_CREDENTIAL_GCR_CONFIG=/kaniko/.config/gcloud/docker_credential_gcr_config.json',
    ],
    entrypoint: ['/kaniko/executor'],
    workingDir: '/workspace',
    // A volume is a mount, and mounts are never unpacked over, captured or cleared: the shell outlives a build.
    ...(isDebug ? { volumes: new Map([['/busybox', true as const]]) } : {}),
    labels: new Map([['org.opencontainers.image.title', 'yadokari']]),
    unknown: new Map(),
  };
}

/** Writes the image under its tag, keeping other tags. */
export async function writeImageLayout(request: LayoutRequest, signal: AbortSignal): Promise<WrittenImage> {
  const created = new Date(request.seconds * 1000).toISOString().replace('.000Z', 'Z');
  let image: Image = {
    config: { ...emptyImageConfig(hostPlatform(process.arch)), created },
    layers: [],
    family: 'oci',
    annotations: new Map(),
  };
  image = withRunConfig(image, request.config);
  for (const part of request.parts) {
    image = appendLayer(image, await layerOf(part.files, request.seconds, signal), {
      created,
      createdBy: 'scripts/image.ts',
      comment: part.comment,
    });
  }
  const digest = await writeLayout({ folder: request.folder, tag: request.tag }, encodeImage(image), signal);
  return { digest, sizeBytes: image.layers.reduce((sum, layer) => sum + layer.descriptor.size, 0) };
}
