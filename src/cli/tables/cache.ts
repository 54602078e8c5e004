// Flags of the layer cache.
import { readCacheSpec } from '../requests/cache-spec.ts';
import type { FlagSpec } from '../flags.ts';
import { duration, inert, list, text, toggle } from './flag.ts';

export const cacheFlags: readonly FlagSpec[] = [
  toggle('cache', 'take results of steps from a cache, and keep', { isCommon: true, kaniko: 'same' }),
  text('cache-repo', 'REPOSITORY', 'where, or oci:FOLDER (DESTINATION/cache)', { needs: 'cache', isCommon: true, kaniko: 'same' }),
  toggle('cache-copy-layers', 'cache COPY and ADD, too', { needs: 'cache', kaniko: 'same' }),
  list('cache-from', 'REPOSITORY', 'further caches, only read', {
    empty: 'no item',
    needs: 'cache',
    reads: readCacheSpec,
    details: 'further caches, only read; docker buildx has them as type=registry,ref=REPOSITORY and type=local,src=FOLDER, and so may you',
  }),
  text('cache-to', 'REPOSITORY', 'where results go, new ones and what others had', {
    needs: 'cache',
    reads: readCacheSpec,
    details:
      'where results go instead of --cache-repo: new ones, and what --cache-from or --cache-repo had, so that it is whole without them; type=registry,ref=REPOSITORY and type=local,dest=FOLDER, too',
  }),
  duration('cache-ttl', 'DURATION', 'older results are not taken (default 336h)', { needs: 'cache', kaniko: 'same' }),
  toggle('cache-run-layers', 'cache RUN and WORKDIR (default true)', { needs: 'cache', kaniko: 'same' }),
  toggle('cache-mounts', 'keep what RUN --mount=type=cache holds there, too', {
    needs: 'cache',
    details:
      'keep what `RUN --mount=type=cache` holds in the cache, too: it is fetched for the first RUN that uses it, and stored when the RUNs are done',
  }),
  text('cache-mounts-size', 'SIZE', 'of each of them so much at most (default 2GB)', {
    needs: 'cache-mounts',
    details: 'what is larger is told, and neither stored nor taken; files count as the room that they take on a disk (default 2GB)',
  }),
  toggle('no-push-cache', 'take from the cache and keep nothing', { needs: 'cache', kaniko: 'same' }),
  text('cache-explain', 'FILE', 'write the keys of all steps, and what they are made of, as JSON', { needs: 'cache' }),
  text('cache-dir', 'FOLDER', 'base images that a warmer has put there (default /cache)', {
    details: 'without --cache only where it is named',
    kaniko: 'only with --cache',
  }),
  inert('boolean', 'compressed-caching', 'layers are never held in memory', { kaniko: 'holds compressed layers in memory, by default' }),
];
