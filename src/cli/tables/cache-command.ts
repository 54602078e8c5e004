// Flags of `cache list` and `cache prune`.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { logFlags } from './log.ts';
import { directRegistryFlags } from './registry.ts';
import { duration, group, text, toggle } from './flag.ts';

export const listFormats = ['text', 'json'] as const;

const common: readonly FlagGroup[] = [group('Registries', directRegistryFlags), group('What is told', logFlags)];

const format: FlagSpec = text('format', 'FORM', 'text (default) or json', { isCommon: true, choices: listFormats });

export const listGroups: readonly FlagGroup[] = [group('List', [format]), ...common];

export const pruneGroups: readonly FlagGroup[] = [
  group('What goes', [
    duration('older-than', 'DURATION', 'what is older (default 336h, as --cache-ttl)', { isCommon: true }),
    text('max-size', 'SIZE', 'the oldest, until so much is left: 500MB, 20GB', { isCommon: true }),
    toggle('dryrun', 'only say what would go', { isCommon: true }),
    format,
  ]),
  ...common,
];
