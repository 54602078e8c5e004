// Flags that say how registries are reached.
import type { FlagSpec } from '../flags.ts';

/** For whatever sends blobs. */
export const chunkSizeFlag: FlagSpec = {
  name: 'chunk-size',
  kind: 'text',
  value: 'SIZE',
  about: 'send larger blobs in chunks of this size (50MB)',
  details:
    'for a proxy before the registry that takes no larger request; without it a blob goes in chunks where a registry refuses the whole',
};

/** For commands that pull and push. */
export const registryFlags: readonly FlagSpec[] = [
  {
    name: 'insecure',
    kind: 'boolean',
    isCommon: true,
    about: 'push over plain HTTP where it has no TLS',
    kaniko: 'same',
  },
  { name: 'insecure-pull', kind: 'boolean', about: 'the same for pulling', kaniko: 'same' },
  { name: 'insecure-registry', kind: 'list', empty: 'no item', value: 'HOST', about: 'the same for one registry', kaniko: 'same' },
  {
    name: 'skip-tls-verify',
    kind: 'boolean',
    about: 'accept any certificate of the registries that are pushed to',
    kaniko: 'of all, also when pulling',
  },
  { name: 'skip-tls-verify-pull', kind: 'boolean', about: 'accept any certificate when pulling', kaniko: 'without effect' },
  {
    name: 'skip-tls-verify-registry',
    kind: 'list',
    empty: 'no item',
    value: 'HOST',
    about: 'accept any certificate of one registry',
    kaniko: 'same',
  },
  {
    name: 'registry-certificate',
    kind: 'list',
    empty: 'refused',
    value: 'HOST=FILE',
    about: 'CA certificate for one registry',
    kaniko: 'trusted for every registry',
  },
  {
    name: 'registry-client-cert',
    kind: 'list',
    empty: 'refused',
    value: 'HOST=CERT,KEY',
    about: 'client certificate for one registry',
    kaniko: 'same',
  },
  {
    name: 'registry-mirror',
    kind: 'list',
    empty: 'no item',
    environment: 'KANIKO_REGISTRY_MIRROR',
    isCommon: true,
    value: 'HOST',
    about: 'mirror of Docker Hub, asked first',
    kaniko: 'same',
  },
  {
    name: 'registry-map',
    kind: 'list',
    empty: 'no item',
    environment: 'KANIKO_REGISTRY_MAP',
    value: 'HOST=MIRROR;…',
    about: 'mirrors of other registries',
    kaniko: 'same',
  },
  {
    name: 'skip-default-registry-fallback',
    kind: 'boolean',
    about: 'do not fall back to the registry itself when its mirrors fail',
    kaniko: 'same',
  },
  { name: 'image-download-retry', kind: 'count', value: 'N', about: 'tries more for a pull that failed', kaniko: 'same' },
  chunkSizeFlag,
  {
    name: 'credential-helpers',
    kind: 'comma-list',
    value: 'NAMES',
    about: 'which built-in credential helpers to ask',
    details: 'which of the built-in helpers env, google, ecr, acr and gitlab to ask; all without it, none with an empty value',
    kaniko: 'same',
  },
];

/** What only matters where an image is pulled. */
const ofPulling: ReadonlySet<string> = new Set([
  'insecure-pull',
  'skip-tls-verify-pull',
  'registry-mirror',
  'registry-map',
  'skip-default-registry-fallback',
  'image-download-retry',
]);

/** What is said of one registry, for commands with other words for the rest. */
export const hostFlags: readonly FlagSpec[] = registryFlags.filter(
  ({ value = '', name }) => value.startsWith('HOST') && !ofPulling.has(name),
);

/** For commands that pull nothing through mirrors. */
export const directRegistryFlags: readonly FlagSpec[] = registryFlags.filter(({ name }) => !ofPulling.has(name));
