// What there is to say about an error's code: the same text for `help CODE` and for docs/errors.md.
import type { ErrorCode } from '../errors.ts';
import { errorExamples } from './tables/error-examples.ts';
import { errorPages } from './tables/errors.ts';

/** True for the name of an error. */
export function isErrorCode(word: string): word is ErrorCode {
  return Object.hasOwn(errorPages, word);
}

/** A section of Markdown, which reads as well without being rendered. */
export function errorText(code: ErrorCode): string {
  const { means, tries } = errorPages[code];
  return [
    `## ${code}`,
    '',
    means,
    '',
    ...errorExamples[code].flatMap(({ when, printed }) => [`Where ${when}:`, '', '```', ...printed, '```', '']),
    'What to try:',
    '',
    ...tries.map((each) => `- ${each}`),
    '',
  ].join('\n');
}
