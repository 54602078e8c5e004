// The flags of `check`, and those of a build that it has a use for.
import type { FlagGroup } from '../flags.ts';
import { logFlags } from './log.ts';
import { sourceFlags } from './source.ts';

export const checkFormats = ['text', 'json', 'sarif', 'gitlab'] as const;

export const checkGroups: readonly FlagGroup[] = [
  {
    title: 'Findings',
    flags: [
      {
        name: 'format',
        kind: 'text',
        isCommon: true,
        value: 'FORM',
        choices: checkFormats,
        about: 'text (default), json, sarif or gitlab',
      },
    ],
  },
  { title: 'What to check', flags: sourceFlags },
  { title: 'What is told', flags: logFlags },
];
