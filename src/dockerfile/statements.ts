// From lines to statements: one per instruction, with its heredoc bodies and the comments above it.
import { trim } from '../blanks.ts';
import { findBoundaries, windowLines } from './boundaries.ts';
import { type CommandLine, splitCommand } from './command-line.ts';
import { findHeredocs, type HeredocSource, readHeredocs } from './heredoc.ts';
import { parseJsonForm } from './json-form.ts';
import { commentOf, joinLines, type LogicalLine, rangeOf, type SourceLine } from './lines.ts';

export interface Statement {
  readonly line: LogicalLine;
  readonly command: CommandLine;
  readonly heredocs: readonly HeredocSource[];
  /** The comment lines right above. */
  readonly comments: readonly string[];
  /** Index of the first line after the statement, heredoc bodies included. */
  readonly next: number;
}

/**
 * All statements from line index `from` on.
 * @throws ERR_DOCKERFILE for a heredoc without its end
 */
export function* readStatements(lines: readonly SourceLine[], from: number, escape: string): Generator<Statement> {
  let at = from;
  let previousEnd = from;
  while (at < lines.length) {
    const start = at;
    for (const boundary of findBoundaries(lines, start, escape)) {
      const statement = readStatement(lines, boundary.first, previousEnd, escape);
      at = statement.next;
      previousEnd = at;
      if (trim(statement.line.text) !== '') yield statement;
      // dockerfile-ast ended the instruction elsewhere: it took a heredoc's name or end for something else, or a lone
      // continuation character for an instruction. What it says about the lines below is void; ask anew.
      if (at !== boundary.last + 1) break;
    }
    if (at === start) at += windowLines; // comments only
  }
}

function readStatement(lines: readonly SourceLine[], first: number, previousEnd: number, escape: string): Statement {
  const line = joinLines(lines, first, escape);
  const command = splitCommand(line.text, escape);
  const starts = mayHoldHeredocs(line, command, escape) ? findHeredocs(line.text) : [];
  const whole = rangeOf(line, command.keyword.start, command.rest.end);
  const { heredocs, next } = readHeredocs(lines, line.next, starts, whole);
  return { line, command, heredocs, next, comments: commentsAbove(lines, first, previousEnd) };
}

function mayHoldHeredocs(line: LogicalLine, command: CommandLine, escape: string): boolean {
  const isTrigger = command.keyword.text.toLowerCase() === 'onbuild';
  const inner = isTrigger ? splitCommand(line.text, escape, command.rest.start) : command;
  return ['run', 'copy', 'add'].includes(inner.keyword.text.toLowerCase()) && parseJsonForm(inner.rest.text).kind !== 'strings';
}

function commentsAbove(lines: readonly SourceLine[], first: number, from: number): readonly string[] {
  const comments: string[] = [];
  for (let at = first - 1; at >= from; at--) {
    const comment = commentOf(lines[at]?.text ?? '');
    if (comment === undefined || comment === '') break; // a blank line or an empty comment cuts the tie
    comments.push(comment);
  }
  return comments.reverse();
}
