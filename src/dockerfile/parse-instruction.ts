// One statement → one Instruction: picks the parser by keyword, and parses what ONBUILD holds with the same parsers.
import { trim } from '../blanks.ts';
import { DockerfileError, type SourceRange } from '../errors.ts';
import { splitCommand } from './command-line.ts';
import type { FromInstruction, Instruction, OnbuildInstruction } from './instruction.ts';
import { type InstructionLine, mistake } from './instruction-line.ts';
import { parseCommandInstruction, parseRun, parseShell } from './instructions/command.ts';
import { parseCopy } from './instructions/copy.ts';
import { parseArg, parseFrom } from './instructions/from.ts';
import { parseHealthcheck } from './instructions/healthcheck.ts';
import { parsePairs } from './instructions/pairs.ts';
import { parseExpose, parseVolume, parseWord } from './instructions/rest.ts';
import { rangeOf } from './lines.ts';
import type { Statement } from './statements.ts';
import { didYouMean } from '../suggest.ts';

type Parser = (line: InstructionLine) => Instruction | FromInstruction;

const parsers: ReadonlyMap<string, Parser> = new Map<string, Parser>([
  ['ADD', (line) => parseCopy(line, 'add')],
  ['ARG', parseArg],
  ['CMD', (line) => parseCommandInstruction(line, 'cmd')],
  ['COPY', (line) => parseCopy(line, 'copy')],
  ['ENTRYPOINT', (line) => parseCommandInstruction(line, 'entrypoint')],
  ['ENV', (line) => parsePairs(line, 'env')],
  ['EXPOSE', parseExpose],
  ['FROM', parseFrom],
  ['HEALTHCHECK', parseHealthcheck],
  ['LABEL', (line) => parsePairs(line, 'label')],
  ['MAINTAINER', (line) => parseWord(line, 'maintainer')],
  ['ONBUILD', parseTrigger],
  ['RUN', parseRun],
  ['SHELL', parseShell],
  ['STOPSIGNAL', (line) => parseWord(line, 'stopsignal')],
  ['USER', (line) => parseWord(line, 'user')],
  ['VOLUME', parseVolume],
  ['WORKDIR', (line) => parseWord(line, 'workdir')],
]);

export interface StatementContext {
  readonly escape: '\\' | '`';
  /** The place of everything, where the text is from no file of ours (a base image's trigger). */
  readonly origin?: SourceRange;
  /** Column after the last character of line `line` (counted from 1). */
  readonly lineEnd: (line: number) => number;
}

/** @throws ERR_DOCKERFILE, pinned to the word that is wrong */
export function parseStatement(statement: Statement, context: StatementContext): Instruction | FromInstruction {
  const { line, command, heredocs } = statement;
  const origin = context.origin;
  const head = rangeOf(line, command.keyword.start, Math.max(command.keyword.end, command.rest.end));
  const end = heredocs.length === 0 ? head.end : { line: statement.next, column: context.lineEnd(statement.next) };
  return dispatch({
    name: command.keyword.text.toUpperCase(),
    joined: line.text,
    command,
    heredocs,
    escape: context.escape,
    common: {
      range: origin ?? { start: head.start, end },
      text: trim(line.text),
      notes: { keyword: command.keyword.text, comments: statement.comments, hasEmptyContinuation: line.hasEmptyContinuation },
    },
    rangeOf: (span) => origin ?? rangeOf(line, span.start, span.end),
  });
}

function dispatch(line: InstructionLine): Instruction | FromInstruction {
  const parser = parsers.get(line.name);
  if (parser !== undefined) return parser(line);
  const keyword = line.command.keyword;
  const mark = keyword.text.includes('\uFEFF') ? 'a byte order mark (U+FEFF) stands in it: remove it' : undefined;
  const hint = mark ?? didYouMean(line.name, parsers.keys()) ?? 'a command is run by RUN; a comment begins with "#"';
  throw new DockerfileError(`Cannot parse ${shorten(keyword.text)}: unknown instruction`, line.rangeOf(keyword), { hint });
}

function parseTrigger(line: InstructionLine): OnbuildInstruction {
  const { rest } = line.command;
  const [flag] = line.command.flags;
  if (flag !== undefined) throw mistake(line, `unknown flag ${flag.text}`, flag, 'ONBUILD takes no flags');
  if (rest.text === '') throw mistake(line, 'the instruction is missing', undefined, 'for example ONBUILD COPY . /app');
  const command = splitCommand(line.joined, line.escape, rest.start);
  const name = command.keyword.text.toUpperCase();
  if (name === 'ONBUILD') throw mistake(line, "a trigger can't be another ONBUILD", command.keyword, 'remove one ONBUILD');
  if (name === 'FROM' || name === 'MAINTAINER')
    throw mistake(line, `a trigger can't be ${name}`, command.keyword, 'use an instruction that works within a stage');
  const parsed = dispatch({ ...line, name, command });
  if (parsed.kind === 'from') throw mistake(line, "a trigger can't be FROM", command.keyword);
  const bodies = line.heredocs.map((heredoc) => `\n${heredoc.rawBody}${heredoc.name}`).join('');
  return { ...line.common, kind: 'onbuild', expression: rest.text + bodies };
}

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}
