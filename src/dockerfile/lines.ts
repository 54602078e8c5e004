// The physical lines of a Dockerfile and how they join into one logical line, with a way back from any character.
import { trim, trimStart } from '../blanks.ts';
import { DockerfileError, type SourceRange } from '../errors.ts';

export interface SourceLine {
  /** Without its line end. */
  readonly text: string;
  /** With it, as heredoc bodies need it. */
  readonly raw: string;
}

/** Where a piece of a logical line begins: its offset there, and its place in the file (counted from 1). */
interface Piece {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/** One instruction's text with its continuation lines joined. */
export interface LogicalLine {
  readonly text: string;
  readonly pieces: readonly Piece[];
  /** Index of the first physical line after it. */
  readonly next: number;
  readonly hasEmptyContinuation: boolean;
}

// BuildKit's scanner gives up on longer ones; nobody writes them, but generated files may.
const maxLineBytes = 65535;
// Each is many times its text in memory, and one of 16 MiB may have as many lines as bytes.
const maxLines = 1_000_000;

/**
 * Lines end at LF; a CR before it belongs to the line end, a lone CR doesn't end anything.
 * @throws ERR_DOCKERFILE for a line over 64 KiB, and for more than a million lines
 */
export function splitLines(text: string): readonly SourceLine[] {
  const lines: SourceLine[] = [];
  for (let start = 0; start < text.length;) {
    const feed = text.indexOf('\n', start);
    const end = feed < 0 ? text.length : feed + 1;
    const raw = text.slice(start, end);
    const line = { raw, text: raw.replace(/\r?\n$/, '').replace(/\r$/, '') };
    lines.push(line);
    if (line.text.length > maxLineBytes / 4 && Buffer.byteLength(line.text) > maxLineBytes) {
      throw tooLong(
        lines.length,
        `line ${lines.length} is longer than ${maxLineBytes} bytes`,
        'break it with a continuation character, or ',
      );
    }
    if (lines.length > maxLines) throw tooLong(lines.length, `it has more than ${maxLines} lines`);
    start = end;
  }
  return lines;
}

function tooLong(line: number, why: string, hint = ''): DockerfileError {
  const range = { start: { line, column: 1 }, end: { line, column: 2 } };
  return new DockerfileError(`Cannot parse the Dockerfile: ${why}`, range, { hint: `${hint}COPY the text from a file` });
}

/** The text of a comment line without `#` and outer blanks; undefined for any other line. */
export function commentOf(line: string): string | undefined {
  const trimmed = trimStart(line);
  return trimmed.startsWith('#') ? trim(trimmed.slice(1)) : undefined;
}

/** True for a line of blanks. */
export function isBlankLine(line: string): boolean {
  return trimStart(line) === '';
}

/**
 * Where the continuation character stands in `line`, or undefined if the line ends the instruction.
 * A doubled one is text: `C:\\` at a line's end continues nothing.
 */
export function continuationAt(line: string, escape: string): number | undefined {
  let at = line.length - 1;
  while (line[at] === ' ' || line[at] === '\t') at--;
  return line[at] !== escape || line[at - 1] === escape ? undefined : at;
}

/** Joins the lines from index `first` on; comments and blank lines inside a continuation vanish. */
export function joinLines(lines: readonly SourceLine[], first: number, escape: string): LogicalLine {
  const pieces: Piece[] = [];
  let text = '';
  let hasEmptyContinuation = false;
  let at = first;
  for (let continues = true; continues && at < lines.length; at++) {
    let line = lines[at]?.text ?? '';
    const isFirst = at === first;
    if (!isFirst && commentOf(line) !== undefined) continue;
    if (!isFirst && isBlankLine(line)) {
      hasEmptyContinuation = true;
      continue;
    }
    const end = continuationAt(line, escape);
    continues = end !== undefined;
    const indent = isFirst ? line.length - trimStart(line).length : 0;
    line = line.slice(Math.min(indent, end ?? line.length), end);
    pieces.push({ offset: text.length, line: at + 1, column: indent + 1 });
    text += line;
  }
  return { text, pieces, next: at, hasEmptyContinuation };
}

/** The place in the file of the characters `start` to `end` (exclusive) of a logical line. */
export function rangeOf(line: LogicalLine, start: number, end: number): SourceRange {
  const from = placeOf(line, start);
  const last = placeOf(line, Math.max(start, end - 1));
  return { start: from, end: { line: last.line, column: last.column + 1 } };
}

function placeOf(line: LogicalLine, offset: number): { readonly line: number; readonly column: number } {
  let [first, next] = [0, line.pieces.length];
  while (next - first > 1) {
    const middle = (first + next) >> 1;
    if ((line.pieces[middle]?.offset ?? 0) <= offset) first = middle;
    else next = middle;
  }
  const piece = line.pieces[first];
  if (piece === undefined) return { line: 1, column: 1 };
  return { line: piece.line, column: piece.column + (offset - piece.offset) };
}
