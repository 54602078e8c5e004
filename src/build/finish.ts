// The last stage's image as it is published: labels, annotations, platform and times.
import { given } from '../given.ts';
import type { Image } from '../oci/image.ts';
import type { ImageConfig } from '../oci/image-config.ts';
import type { Platform } from '../oci/platform.ts';
import type { BuildRequest } from './request.ts';

/** The image with the request's labels, annotations and media types, and `created` that of its last history entry. */
export function finishImage(image: Image, request: BuildRequest, platform: Platform): Image {
  const created = image.config.history.findLast((entry) => entry.created !== undefined)?.created;
  const { variant: _variant, ...config } = image.config;
  const finished: ImageConfig = {
    ...config,
    os: platform.os,
    architecture: platform.architecture,
    ...variantOf(image, platform),
    ...given({ created }),
    ...(request.omitsHistory ? { history: [] } : {}),
    config: {
      ...image.config.config,
      env: withVariables(image.config.config.env, request),
      labels: new Map([...image.config.config.labels, ...request.labels]),
    },
  };
  const hasZstd = image.layers.some((layer) => layer.descriptor.mediaType.endsWith('zstd'));
  const family = hasZstd ? 'oci' : request.imageFormat === 'inherit' ? image.family : request.imageFormat;
  // The base's annotations describe the base.
  return { ...image, config: finished, family, annotations: request.annotations };
}

/** A variable that is there keeps its place. */
function withVariables(before: readonly string[], { env, unsetEnv }: Pick<BuildRequest, 'env' | 'unsetEnv'>): readonly string[] {
  const nameOf = (item: string): string => item.replace(/=.*$/s, '');
  const items = new Map([
    ...before.map((item) => [nameOf(item), item] as const),
    ...[...env].map(([name, value]) => [name, `${name}=${value}`] as const),
  ]);
  return [...items].flatMap(([name, item]) => (unsetEnv.includes(name) ? [] : [item]));
}

function variantOf(image: Image, platform: Platform): { readonly variant?: string } {
  const variant = platform.variant ?? (image.config.architecture === platform.architecture ? image.config.variant : undefined);
  return given({ variant });
}
