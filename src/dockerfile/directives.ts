// Parser directives: `# syntax=`, `# escape=` and `# check=` in the first lines of a Dockerfile.
import { DockerfileError, type SourceRange } from '../errors.ts';
import { given } from '../given.ts';
import type { SourceLine } from './lines.ts';

export interface Directives {
  readonly escape: '\\' | '`';
  readonly syntax?: string;
  readonly check?: string;
  /** How many of the first lines are directives. */
  readonly count: number;
}

// `[\t\f\r ]` is what Go's `\s` is within a line.
const directiveLine = /^([\t\f\r ]*#[\t\f\r ]*)([a-zA-Z][a-zA-Z0-9]*)([\t\f\r ]*=[\t\f\r ]*)(.+?)[\t\f\r ]*$/;
const known: ReadonlySet<string> = new Set(['escape', 'syntax', 'check']);

/**
 * Reads directives from line 1 on; the first line that is none ends them, whatever it is.
 * @throws ERR_DOCKERFILE for a repeated directive or an escape that is neither backslash nor backtick
 */
export function readDirectives(lines: readonly SourceLine[]): Directives {
  const values = new Map<string, string>();
  let escape: Directives['escape'] = '\\';
  let count = 0;
  for (const line of lines) {
    const match = directiveLine.exec(line.text);
    const [, before = '', name = '', equals = '', value = ''] = match ?? [];
    const key = name.toLowerCase();
    if (match === null || !known.has(key)) break;
    count++;
    const column = before.length + 1;
    if (values.has(key)) {
      throw new DockerfileError(`Cannot parse directive ${key}: it is given twice`, rangeAt(count, column, name.length), {
        hint: 'keep one of them',
      });
    }
    values.set(key, value);
    if (key === 'escape') {
      if (value !== '\\' && value !== '`') {
        const range = rangeAt(count, column + name.length + equals.length, value.length);
        throw new DockerfileError(`Cannot use escape ${JSON.stringify(value)}: it must be a backslash or a backtick`, range, {
          hint: 'remove the line for a backslash',
        });
      }
      escape = value;
    }
  }
  const syntax = values.get('syntax') ?? syntaxAfterShebang(lines);
  const check = values.get('check');
  return { escape, count, ...given({ syntax, check }) };
}

// A shebang ends the directives, except that the syntax is still found on the line behind it.
function syntaxAfterShebang(lines: readonly SourceLine[]): string | undefined {
  if (lines[0]?.text.startsWith('#!') !== true) return undefined;
  const match = directiveLine.exec(lines[1]?.text ?? '');
  return match?.[2]?.toLowerCase() === 'syntax' ? match[4] : undefined;
}

function rangeAt(line: number, column: number, width: number): SourceRange {
  return { start: { line, column }, end: { line, column: column + width } };
}
