// What every instruction parser reads: one instruction's line, and how to complain about a part of it.
import { DockerfileError, type SourceRange } from '../errors.ts';
import type { CommandLine, Span } from './command-line.ts';
import type { HeredocSource } from './heredoc.ts';
import type { SourceNotes } from './instruction.ts';

export interface InstructionLine {
  /** The keyword in upper case. */
  readonly name: string;
  /** The joined line, which all spans count in. */
  readonly joined: string;
  readonly command: CommandLine;
  readonly heredocs: readonly HeredocSource[];
  readonly escape: '\\' | '`';
  readonly common: { readonly range: SourceRange; readonly text: string; readonly notes: SourceNotes };
  /** Where a part of the line stands in the file. */
  readonly rangeOf: (span: Pick<Span, 'start' | 'end'>) => SourceRange;
}

/** The error for a part of an instruction, or for its keyword; `state` completes "Cannot parse NAME: ". */
export function mistake(
  line: InstructionLine,
  state: string,
  span: Pick<Span, 'start' | 'end'> | undefined,
  hint?: string,
): DockerfileError {
  const range = line.rangeOf(span ?? line.command.keyword);
  return new DockerfileError(`Cannot parse ${line.name}: ${state}`, range, { hint });
}

/** The rest of the line as the one argument an instruction takes. @throws ERR_DOCKERFILE when there is none */
export function oneArgument(line: InstructionLine, what: string, example: string): Span {
  const { rest } = line.command;
  if (rest.text === '') throw mistake(line, `${what} is missing`, undefined, `for example ${line.name} ${example}`);
  return rest;
}
