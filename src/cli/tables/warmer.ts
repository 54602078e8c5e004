// Flags of the warmer, as kaniko's has them: its short ones mean something else than the executor's.
import type { FlagGroup } from '../flags.ts';
import { logFlags } from './log.ts';
import { registryFlags } from './registry.ts';

/** They are about pushing, or about builds. */
const others: ReadonlySet<string> = new Set(['insecure', 'skip-tls-verify', 'image-download-retry']);

export const warmerGroups: readonly FlagGroup[] = [
  {
    title: 'Images',
    flags: [
      {
        name: 'image',
        short: 'i',
        kind: 'list',
        empty: 'refused',
        isCommon: true,
        value: 'IMAGE',
        about: 'image to keep; may be repeated',
        kaniko: 'same',
      },
      {
        name: 'dockerfile',
        short: 'd',
        kind: 'text',
        isCommon: true,
        value: 'FILE',
        about: 'keep all images that this Dockerfile names',
        kaniko: 'those of FROM only',
      },
      { name: 'build-arg', kind: 'list', empty: 'no item', value: 'NAME=VALUE', about: 'value of an ARG that FROM uses', kaniko: 'same' },
      {
        name: 'custom-platform',
        kind: 'text',
        aliases: ['customPlatform', 'platform'],
        value: 'OS/ARCH',
        about: 'platform to keep (default: this machine)',
        kaniko: 'only spelled customPlatform',
      },
    ],
  },
  {
    title: 'Cache',
    flags: [
      {
        name: 'cache-dir',
        short: 'c',
        kind: 'text',
        isCommon: true,
        value: 'FOLDER',
        about: 'where images are kept (default /cache)',
        kaniko: 'same',
      },
      {
        name: 'cache-ttl',
        kind: 'duration',
        value: 'DURATION',
        about: 'older images are looked at again (default 336h)',
        kaniko: 'older images stay, and are of no use',
      },
      {
        name: 'force',
        short: 'f',
        kind: 'boolean',
        isCommon: true,
        about: 'look at every image again, and mend what is broken',
        kaniko: 'fetches every image again',
      },
    ],
  },
  { title: 'Registries', flags: registryFlags.filter(({ name }) => !others.has(name)) },
  { title: 'What is told', flags: logFlags },
];
