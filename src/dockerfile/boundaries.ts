// The one place that knows dockerfile-ast: it says on which lines instructions begin. Its own reading of their arguments
// is not used (it answers for one flag only, splits quoted values, takes heredoc names out of quotes), and what its
// line reading gets wrong is masked here, in a copy whose lines and columns are those of the original.
import { DockerfileParser } from 'dockerfile-ast';
import { trimStart } from '../blanks.ts';
import { commentOf, continuationAt, isBlankLine, type SourceLine } from './lines.ts';

/** 0-based line numbers, both inclusive. */
export interface Boundary {
  readonly first: number;
  readonly last: number;
}

/** As many lines as are read at a time, so that asking anew after a misread one stays cheap in a long file. */
export const windowLines = 50;

/**
 * The instructions that begin in the window of lines from `from` on; comments and blank lines belong to none. The
 * last one may seem to end with the window.
 */
export function findBoundaries(lines: readonly SourceLine[], from: number, escape: string): readonly Boundary[] {
  // The blank second line ends its search for directives: ours are read elsewhere, by BuildKit's rules.
  const head = `# escape=${escape}\n\n`;
  const masked = lines.slice(from, from + windowLines).map((line) => maskLine(line.text, escape));
  const dockerfile = DockerfileParser.parse(head + masked.join('\n'));
  return dockerfile.getInstructions().map((instruction) => {
    const range = instruction.getRange();
    return { first: range.start.line - 2 + from, last: range.end.line - 2 + from };
  });
}

// Mends: a lone CR is a blank, not a line end; vertical tabs, form feeds and leading Unicode blanks are blanks, not
// text; and an escape character counts only where it continues the line, so the second of two at a line's end, or one
// in the middle of a word, must not be seen.
function maskLine(line: string, escape: string): string {
  if (commentOf(line) !== undefined || isBlankLine(line)) return line.replaceAll(/[^#]/g, ' ');
  const indent = line.length - trimStart(line).length;
  const blanks = line.replaceAll(/[\r\v\f\u0085]/g, ' ');
  const end = continuationAt(line, escape);
  const body = blanks.slice(indent, end).replaceAll(escape, 'x');
  return ' '.repeat(indent) + body + (end === undefined ? '' : blanks.slice(end));
}
