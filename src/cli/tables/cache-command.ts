// Flags of `cache list` and `cache prune`.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { logFlags } from './log.ts';
import { directRegistryFlags } from './registry.ts';

export const listFormats = ['text', 'json'] as const;

const common: readonly FlagGroup[] = [
  { title: 'Registries', flags: directRegistryFlags },
  { title: 'What is told', flags: logFlags },
];

const format: FlagSpec = {
  name: 'format',
  kind: 'text',
  isCommon: true,
  value: 'FORM',
  choices: listFormats,
  about: 'text (default) or json',
};

export const listGroups: readonly FlagGroup[] = [{ title: 'List', flags: [format] }, ...common];

export const pruneGroups: readonly FlagGroup[] = [
  {
    title: 'What goes',
    flags: [
      {
        name: 'older-than',
        kind: 'duration',
        isCommon: true,
        value: 'DURATION',
        about: 'what is older (default 336h, as --cache-ttl)',
      },
      { name: 'max-size', kind: 'text', isCommon: true, value: 'SIZE', about: 'the oldest, until so much is left: 500MB, 20GB' },
      { name: 'dryrun', kind: 'boolean', isCommon: true, about: 'only say what would go' },
      format,
    ],
  },
  ...common,
];
