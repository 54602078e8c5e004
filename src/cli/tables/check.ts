// The flags of `check`, and those of a build that it has a use for.
import type { FlagGroup } from '../flags.ts';
import { logFlags } from './log.ts';
import { sourceFlags } from './source.ts';
import { group, text } from './flag.ts';

export const checkFormats = ['text', 'json', 'sarif', 'codequality', 'gitlab', 'github'] as const;

export const checkGroups: readonly FlagGroup[] = [
  group('Findings', [
    text('format', 'FORM', 'text (default), json, sarif, github, codequality', {
      isCommon: true,
      choices: checkFormats,
      details: "text (default), json (BuildKit's), sarif, codequality (GitLab's; also called gitlab), or github: annotations",
    }),
  ]),
  group('What to check', sourceFlags),
  group('What is told', logFlags),
];
