// Flags that say where the image goes, and what is written about it.
import type { FlagSpec } from '../flags.ts';

export const destinationFlags: readonly FlagSpec[] = [
  {
    name: 'destination',
    short: 'd',
    kind: 'list',
    empty: 'refused',
    isCommon: true,
    value: 'IMAGE',
    about: 'name to push to; may be repeated',
    details: 'name to push to; latest where it has no tag',
    kaniko: 'same',
  },
];

export const resultFileFlags: readonly FlagSpec[] = [
  {
    name: 'digest-file',
    kind: 'text',
    isCommon: true,
    value: 'FILE',
    about: "write the image's digest here, or PUT to a URL",
    kaniko: 'https:// only; found only after the build where it can not be written',
  },
  {
    name: 'image-name-with-digest-file',
    kind: 'text',
    value: 'FILE',
    about: 'write NAME@DIGEST of every destination here, or to a URL',
    kaniko: 'same',
  },
  {
    name: 'image-name-tag-with-digest-file',
    kind: 'text',
    value: 'FILE',
    about: 'write NAME:TAG@DIGEST of every destination here, or to a URL',
    kaniko: 'same',
  },
];

export const pushFlags: readonly FlagSpec[] = [
  { name: 'push-retry', kind: 'count', value: 'N', about: 'tries more for a push that failed', kaniko: 'same' },
  {
    name: 'skip-push-permission-check',
    kind: 'boolean',
    about: 'do not try out the right to push before the build',
    kaniko: 'same',
  },
  {
    name: 'push-ignore-immutable-tag-errors',
    kind: 'boolean',
    about: 'an immutable tag that exists already is no error',
    kaniko: 'same',
  },
];

export const outputFlags: readonly FlagSpec[] = [
  ...destinationFlags,
  {
    name: 'no-push',
    kind: 'boolean',
    environment: 'KANIKO_NO_PUSH',
    environmentWins: true,
    isCommon: true,
    about: 'build only',
    kaniko: 'same',
  },
  {
    name: 'oci-layout-path',
    kind: 'text',
    isCommon: true,
    value: 'FOLDER',
    about: 'also write the image as an OCI layout',
    kaniko: 'same',
  },
  {
    name: 'tar-path',
    kind: 'text',
    isCommon: true,
    aliases: ['tarPath'],
    value: 'FILE',
    about: 'also write the image as a docker archive',
    kaniko: 'same',
  },
  ...resultFileFlags,
  ...pushFlags,
];
