// usage: npm run errors-page
// Writes docs/errors.md: every code of an error, what it means, how it looks and what to try.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorText, isErrorCode } from '../src/cli/error-help.ts';
import { errorPages } from '../src/cli/tables/errors.ts';

export const errorsPagePath = join(import.meta.dirname, '../docs/errors.md');

/** The page, from the same table as `help CODE`. */
export function errorsPage(): string {
  const lines = [
    '# Errors',
    '',
    'Made by `npm run errors-page` from `src/cli/tables/errors.ts`; `test/e2e/errors.test.ts` provokes each example and compares.',
    '',
    'An error says what could not be done and why, where in the Dockerfile, what lay below it (`because:`), what to try, and its code.',
    'The exit status is that of the command for `ERR_COMMAND`, 128 and the signal for a build that was stopped, and 1 for all else; see [images.md](images.md#exit-status) for 125 and 2.',
    '`yadokari help CODE` prints a section of this page.',
    '',
    ...Object.keys(errorPages).filter(isErrorCode).map(errorText),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

if (import.meta.main) writeFileSync(errorsPagePath, errorsPage());
