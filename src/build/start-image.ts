// What a stage's image is before its first instruction.
import { type ImageConfig, emptyImageConfig } from '../oci/image-config.ts';
import type { Image } from '../oci/image.ts';
import type { Platform } from '../oci/platform.ts';
import { workingDirAfter } from './instructions/workdir.ts';
import type { BuildRequest } from './request.ts';

/** The search path of an image that says nothing else. */
const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The image of `FROM scratch`. */
export function scratchImage(platform: Platform, request: Pick<BuildRequest, 'imageFormat'>): Image {
  const config = emptyImageConfig(platform);
  return {
    config: { ...config, config: { ...config.config, env: [defaultPath], workingDir: '/' } },
    layers: [],
    family: request.imageFormat === 'docker' ? 'docker' : 'oci',
    annotations: new Map(),
  };
}

/** The image as a base: with a search path, and a working directory that begins at the root. */
export function asBase<Base extends { readonly config: ImageConfig }>(image: Base): Base {
  const { env, workingDir } = image.config.config;
  const path = env.some((item) => item.startsWith('PATH=')) ? [] : [defaultPath];
  const folder = workingDir === undefined ? {} : { workingDir: workingDirAfter(workingDir) };
  return { ...image, config: { ...image.config, config: { ...image.config.config, env: [...env, ...path], ...folder } } };
}
