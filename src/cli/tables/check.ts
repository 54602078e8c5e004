// The flags of `check`, and those of a build that it has a use for.
import type { FlagGroup } from '../flags.ts';
import { logFlags } from './log.ts';
import { sourceFlags } from './source.ts';

export const checkFormats = ['text', 'json', 'sarif', 'codequality', 'gitlab', 'github'] as const;

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
        about: 'text (default), json, sarif, github, codequality',
        details: "text (default), json (BuildKit's), sarif, codequality (GitLab's; also called gitlab), or github: annotations",
      },
    ],
  },
  { title: 'What to check', flags: sourceFlags },
  { title: 'What is told', flags: logFlags },
];
