// Flags of the warmer, as kaniko's has them: its short ones mean something else than the executor's.
import type { FlagGroup } from '../flags.ts';
import { logFlags } from './log.ts';
import { registryFlags } from './registry.ts';
import { duration, group, list, text, toggle } from './flag.ts';

/** They are about pushing, or about builds. */
const others: ReadonlySet<string> = new Set(['insecure', 'skip-tls-verify', 'image-download-retry']);

export const warmerGroups: readonly FlagGroup[] = [
  group('Images', [
    list('image', 'IMAGE', 'image to keep; may be repeated', { short: 'i', empty: 'refused', isCommon: true, kaniko: 'same' }),
    text('dockerfile', 'FILE', 'keep all images that this Dockerfile names', {
      short: 'd',
      isCommon: true,
      kaniko: 'those of FROM only',
    }),
    list('build-arg', 'NAME=VALUE', 'value of an ARG that FROM uses', { empty: 'no item', kaniko: 'same' }),
    text('custom-platform', 'OS/ARCH', 'platform to keep (default: this machine)', {
      aliases: ['customPlatform', 'platform'],
      kaniko: 'only spelled customPlatform',
    }),
  ]),
  group('Cache', [
    text('cache-dir', 'FOLDER', 'where images are kept (default /cache)', { short: 'c', isCommon: true, kaniko: 'same' }),
    duration('cache-ttl', 'DURATION', 'older images are looked at again (default 336h)', {
      kaniko: 'older images stay, and are of no use',
    }),
    toggle('force', 'look at every image again, and mend what is broken', {
      short: 'f',
      isCommon: true,
      kaniko: 'fetches every image again',
    }),
  ]),
  group(
    'Registries',
    registryFlags.filter(({ name }) => !others.has(name)),
  ),
  group('What is told', logFlags),
];
