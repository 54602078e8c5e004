// Flags of the layer cache.
import type { FlagSpec } from '../flags.ts';

export const cacheFlags: readonly FlagSpec[] = [
  {
    name: 'cache',
    kind: 'boolean',
    isCommon: true,
    about: 'take results of steps from a cache, and keep',
    kaniko: 'same',
  },
  {
    name: 'cache-repo',
    kind: 'text',
    needs: 'cache',
    isCommon: true,
    value: 'REPOSITORY',
    about: 'where, or oci:FOLDER (DESTINATION/cache)',
    kaniko: 'same',
  },
  {
    name: 'cache-copy-layers',
    kind: 'boolean',
    needs: 'cache',
    about: 'cache COPY and ADD, too',
    kaniko: 'same',
  },
  { name: 'cache-from', kind: 'list', empty: 'no item', needs: 'cache', value: 'REPOSITORY', about: 'further caches, only read' },
  {
    name: 'cache-to',
    kind: 'text',
    needs: 'cache',
    value: 'REPOSITORY',
    about: 'where results go, new ones and what others had',
    details:
      'where results go instead of --cache-repo: new ones, and what --cache-from or --cache-repo had, so that it is whole without them',
  },
  {
    name: 'cache-ttl',
    kind: 'duration',
    needs: 'cache',
    value: 'DURATION',
    about: 'older results are not taken (default 336h)',
    kaniko: 'same',
  },
  { name: 'cache-run-layers', kind: 'boolean', needs: 'cache', about: 'cache RUN and WORKDIR (default true)', kaniko: 'same' },
  {
    name: 'cache-mounts',
    kind: 'boolean',
    needs: 'cache',
    about: 'keep what RUN --mount=type=cache holds there, too',
    details:
      'keep what `RUN --mount=type=cache` holds in the cache, too: it is fetched for the first RUN that uses it, and stored when the RUNs are done',
  },
  {
    name: 'cache-mounts-size',
    kind: 'text',
    needs: 'cache-mounts',
    value: 'SIZE',
    about: 'of each of them so much at most (default 2GB)',
    details: 'what is larger is told, and neither stored nor taken; files count as the room that they take on a disk (default 2GB)',
  },
  { name: 'no-push-cache', kind: 'boolean', needs: 'cache', about: 'take from the cache and keep nothing', kaniko: 'same' },
  {
    name: 'cache-explain',
    kind: 'text',
    needs: 'cache',
    value: 'FILE',
    about: 'write the keys of all steps, and what they are made of, as JSON',
  },
  {
    name: 'cache-dir',
    kind: 'text',
    value: 'FOLDER',
    about: 'base images that a warmer has put there (default /cache)',
    details: 'without --cache only where it is named',
    kaniko: 'only with --cache',
  },
  {
    name: 'compressed-caching',
    kind: 'boolean',
    about: '',
    inert: 'layers are never held in memory',
    kaniko: 'holds compressed layers in memory, by default',
  },
];
