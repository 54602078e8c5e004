// Flags that say what the image is like.
import type { FlagSpec } from '../flags.ts';

const oneSnapshot = 'there is one way to snapshot, which is right and fast';

export const imageFlags: readonly FlagSpec[] = [
  {
    name: 'custom-platform',
    kind: 'text',
    isCommon: true,
    aliases: ['customPlatform', 'platform'],
    value: 'OS/ARCH',
    about: 'platform to build for (default: our own)',
    kaniko: 'only written into the config; FROM --platform is ignored',
  },
  {
    name: 'label',
    kind: 'list',
    empty: 'refused',
    value: 'KEY=VALUE',
    about: 'label of the image',
    kaniko: 'same',
  },
  {
    name: 'reproducible',
    kind: 'boolean',
    isCommon: true,
    about: 'equal builds give equal digests',
    details: 'equal builds give equal digests: times of new files and of the history are set to 1970; layers of the base stay as they are',
    kaniko: 'rewrites the layers of the base, in memory',
  },
  { name: 'annotation', kind: 'list', empty: 'refused', value: 'KEY=VALUE', about: 'annotation of the manifest', kaniko: 'same' },
  {
    name: 'image-format',
    kind: 'text',
    value: 'inherit|docker|oci',
    choices: ['inherit', 'docker', 'oci'],
    about: 'media types of the image (default inherit: the base decides)',
    kaniko: 'same',
  },
  {
    name: 'compression',
    kind: 'text',
    value: 'gzip|zstd',
    choices: ['gzip', 'zstd'],
    unsupportedChoice: 'estargz',
    about: 'compression of new layers (default gzip)',
    kaniko: 'compresses layers of the base again, too',
  },
  {
    name: 'compression-level',
    kind: 'number',
    value: 'N',
    about: 'level of that compression; -1 (default): as fast as it can, for gzip by ISA-L',
    kaniko: 'same, for levels above 0',
  },
  { name: 'single-snapshot', kind: 'boolean', about: 'one layer for the whole last stage', kaniko: 'same' },
  {
    name: 'ignore-path',
    kind: 'list',
    empty: 'no item',
    value: 'PATH',
    about: 'path that is never part of the image',
    details:
      'path that is never part of the image; its names may be patterns (`/tmp/*`). What COPY puts there is left out with a warning, and a step that changes nothing else makes no layer',
    kaniko: 'same',
  },
  {
    name: 'ignore-var-run',
    kind: 'boolean',
    aliases: ['whitelist-var-run'],
    about: 'leave /var/run out (default false)',
    details:
      'leave /var/run out (default false: it is part of the image, but for what is mounted there); where it is a link, what it leads to stays',
    kaniko: 'the same, and the default is true',
  },
  {
    name: 'snapshot-mode',
    kind: 'text',
    aliases: ['snapshotMode'],
    value: 'full|redo|time',
    choices: ['full', 'redo', 'time'],
    about: '',
    inert: oneSnapshot,
    kaniko: 'trades correctness for speed',
  },
  {
    name: 'use-new-run',
    kind: 'boolean',
    about: '',
    inert: oneSnapshot,
    kaniko: 'compares times before and after a RUN',
  },
  {
    name: 'force-build-metadata',
    kind: 'boolean',
    about: '',
    inert: 'every instruction is in the history anyway',
    kaniko: 'deprecated, without effect',
  },
  {
    name: 'skip-unused-stages',
    kind: 'boolean',
    about: '',
    inert: 'stages that nothing needs are always skipped',
    kaniko: 'deprecated, without effect',
  },
  { name: 'iidfile', kind: 'text', value: 'FILE', about: "write the image's ID, the digest of its config, here" },
];
