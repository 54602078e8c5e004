// Flags that say what the image is like.
import type { FlagSpec } from '../flags.ts';
import { commaList, inert, list, number, text, toggle } from './flag.ts';

const oneSnapshot = 'there is one way to snapshot, which is right and fast';

export const imageFlags: readonly FlagSpec[] = [
  text('custom-platform', 'OS/ARCH', 'platform to build for (default: our own)', {
    aliases: ['customPlatform'],
    kaniko: 'only written into the config; FROM --platform is ignored',
  }),
  commaList('platform', 'OS/ARCH,…', 'what to build for; several make an index', {
    isCommon: true,
    details: 'platforms to build for, one after the other; several make an index, which is pushed when all images are there',
  }),
  list('label', 'KEY=VALUE', 'label of the image', { empty: 'refused', kaniko: 'same' }),
  toggle('reproducible', 'equal builds give equal digests', {
    isCommon: true,
    details: 'equal builds give equal digests: times of new files and of the history are set to 1970; layers of the base stay as they are',
    kaniko: 'rewrites the layers of the base, in memory',
  }),
  list('annotation', 'KEY=VALUE', 'annotation of the manifest', { empty: 'refused', kaniko: 'same' }),
  text('provenance', 'true|false|mode=min|max,…', 'state beside the image how it was built (SLSA provenance)', {
    details:
      "state beside the image how it was built, as SLSA provenance in an index: fields as docker buildx's, mode=min|max, version=v1|v0.2, builder-id=URL, reproducible=true; see docs/provenance.md",
  }),
  list('attest', 'type=provenance,…', 'the same in one list of fields', { empty: 'no item' }),
  text('image-format', 'inherit|docker|oci', 'media types of the image (default inherit: the base decides)', {
    choices: ['inherit', 'docker', 'oci'],
    kaniko: 'same',
  }),
  text('compression', 'gzip|zstd', 'compression of new layers (default gzip)', {
    choices: ['gzip', 'zstd'],
    unsupportedChoice: 'estargz',
    kaniko: 'compresses layers of the base again, too',
  }),
  number('compression-level', 'N', 'level of that compression; -1 (default): as fast as it can, for gzip by ISA-L', {
    kaniko: 'same, for levels above 0',
  }),
  toggle('single-snapshot', 'one layer for the whole last stage', { kaniko: 'same' }),
  list('ignore-path', 'PATH', 'path that is never part of the image', {
    empty: 'no item',
    details:
      'path that is never part of the image; its names may be patterns (`/tmp/*`). What COPY puts there is left out with a warning, and a step that changes nothing else makes no layer',
    kaniko: 'same',
  }),
  toggle('ignore-var-run', 'leave /var/run out (default false)', {
    aliases: ['whitelist-var-run'],
    details:
      'leave /var/run out (default false: it is part of the image, but for what is mounted there); where it is a link, what it leads to stays',
    kaniko: 'the same, and the default is true',
  }),
  inert('text', 'snapshot-mode', oneSnapshot, {
    value: 'full|redo|time',
    aliases: ['snapshotMode'],
    choices: ['full', 'redo', 'time'],
    kaniko: 'trades correctness for speed',
  }),
  inert('boolean', 'use-new-run', oneSnapshot, { kaniko: 'compares times before and after a RUN' }),
  inert('boolean', 'force-build-metadata', 'every instruction is in the history anyway', { kaniko: 'deprecated, without effect' }),
  inert('boolean', 'skip-unused-stages', 'stages that nothing needs are always skipped', { kaniko: 'deprecated, without effect' }),
];
