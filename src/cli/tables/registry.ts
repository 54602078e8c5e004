// Flags that say how registries are reached.
import type { FlagSpec } from '../flags.ts';
import { commaList, count, list, text, toggle } from './flag.ts';

/** For whatever sends blobs. */
export const chunkSizeFlag: FlagSpec = text('chunk-size', 'SIZE', 'send larger blobs in chunks of this size (50MB)', {
  details:
    'for a proxy before the registry that takes no larger request; without it a blob goes in chunks where a registry refuses the whole',
});

/** For commands that pull and push. */
export const registryFlags: readonly FlagSpec[] = [
  toggle('insecure', 'push over plain HTTP where it has no TLS', { isCommon: true, kaniko: 'same' }),
  toggle('insecure-pull', 'the same for pulling', { kaniko: 'same' }),
  list('insecure-registry', 'HOST', 'the same for one registry', { empty: 'no item', kaniko: 'same' }),
  toggle('skip-tls-verify', 'accept any certificate of the registries that are pushed to', { kaniko: 'of all, also when pulling' }),
  toggle('skip-tls-verify-pull', 'accept any certificate when pulling', { kaniko: 'without effect' }),
  list('skip-tls-verify-registry', 'HOST', 'accept any certificate of one registry', { empty: 'no item', kaniko: 'same' }),
  list('registry-certificate', 'HOST=FILE', 'CA certificate for one registry', { empty: 'refused', kaniko: 'trusted for every registry' }),
  list('registry-client-cert', 'HOST=CERT,KEY', 'client certificate for one registry', { empty: 'refused', kaniko: 'same' }),
  list('registry-mirror', 'HOST', 'mirror of Docker Hub, asked first', {
    empty: 'no item',
    environment: 'KANIKO_REGISTRY_MIRROR',
    kaniko: 'same',
  }),
  list('registry-map', 'HOST=MIRROR;…', 'mirrors of other registries', {
    empty: 'no item',
    environment: 'KANIKO_REGISTRY_MAP',
    kaniko: 'same',
  }),
  toggle('skip-default-registry-fallback', 'do not fall back to the registry itself when its mirrors fail', { kaniko: 'same' }),
  count('image-download-retry', 'N', 'tries more for a pull that failed', { kaniko: 'same' }),
  chunkSizeFlag,
  commaList('credential-helpers', 'NAMES', 'which built-in credential helpers to ask', {
    details: 'which of the built-in helpers env, google, ecr, acr and gitlab to ask; all without it, none with an empty value',
    kaniko: 'same',
  }),
];

/** What only matters where an image is pulled. */
const ofPulling: ReadonlySet<string> = new Set(
  'insecure-pull skip-tls-verify-pull registry-mirror registry-map skip-default-registry-fallback image-download-retry'.split(' '),
);

/** What is said of one registry, for commands with other words for the rest. */
export const hostFlags: readonly FlagSpec[] = registryFlags.filter(
  ({ value = '', name }) => value.startsWith('HOST') && !ofPulling.has(name),
);

/** For commands that pull nothing through mirrors. */
export const directRegistryFlags: readonly FlagSpec[] = registryFlags.filter(({ name }) => !ofPulling.has(name));
