// Flags that say where the image goes, and what is written about it.
import type { FlagSpec } from '../flags.ts';
import { count, list, text, toggle } from './flag.ts';
import { identityFlag, keyFlags } from './signing.ts';

export const destinationFlags: readonly FlagSpec[] = [
  list('destination', 'IMAGE', 'name to push to; may be repeated', {
    short: 'd',
    empty: 'refused',
    isCommon: true,
    details: 'name to push to; latest where it has no tag',
    kaniko: 'same',
  }),
];

export const resultFileFlags: readonly FlagSpec[] = [
  text('digest-file', 'FILE', "write the image's digest here, or PUT to a URL", {
    isCommon: true,
    kaniko: 'https:// only; found only after the build where it can not be written',
  }),
  text('image-name-with-digest-file', 'FILE', 'write NAME@DIGEST of every destination here, or to a URL', { kaniko: 'same' }),
  text('image-name-tag-with-digest-file', 'FILE', 'write NAME:TAG@DIGEST of every destination here, or to a URL', { kaniko: 'same' }),
];

export const pushFlags: readonly FlagSpec[] = [
  count('push-retry', 'N', 'tries more for a push that failed', { kaniko: 'same' }),
  toggle('skip-push-permission-check', 'do not try out the right to push before the build', { kaniko: 'same' }),
  toggle('push-ignore-immutable-tag-errors', 'an immutable tag that exists already is no error', { kaniko: 'same' }),
];

export const outputFlags: readonly FlagSpec[] = [
  ...destinationFlags,
  toggle('no-push', 'build only', { environment: 'KANIKO_NO_PUSH', environmentWins: true, isCommon: true, kaniko: 'same' }),
  text('oci-layout-path', 'FOLDER', 'also write the image as an OCI layout', { isCommon: true, kaniko: 'same' }),
  text('tar-path', 'FILE', 'also write the image as a docker archive', { isCommon: true, aliases: ['tarPath'], kaniko: 'same' }),
  ...resultFileFlags,
  ...pushFlags,
  ...keyFlags,
  identityFlag,
];
