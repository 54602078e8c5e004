// Text → Dockerfile. dockerfile-ast finds where instructions begin; everything about them is read here and beside,
// by BuildKit's rules, so that what builds there builds here and what fails there fails here with a better message.
import { isUtf8 } from 'node:buffer';
import { DockerfileError, type SourceRange } from '../errors.ts';
import { given } from '../given.ts';
import { readDirectives } from './directives.ts';
import type { ArgInstruction, Dockerfile, FromInstruction, Instruction, Stage } from './instruction.ts';
import { isBlankLine, rangeOf, type SourceLine, splitLines } from './lines.ts';
import { parseStatement, type StatementContext } from './parse-instruction.ts';
import { readStatements, type Statement } from './statements.ts';

/**
 * Parses a whole Dockerfile; `name` is how the user knows it, for messages.
 * @throws ERR_DOCKERFILE (a DockerfileError, with the place) for anything BuildKit would refuse to parse
 */
export function parseDockerfile(source: string | Buffer, name: string): Dockerfile {
  const text = decode(source);
  const isDamaged = typeof source !== 'string' && !isUtf8(source);
  const lines = splitLines(text);
  const directives = readDirectives(lines);
  const context = contextOf(lines, directives.escape);
  const globalArgs: ArgInstruction[] = [];
  const stages: { from: FromInstruction; instructions: Instruction[] }[] = [];
  for (const statement of readStatements(lines, directives.count, directives.escape)) {
    if (isDamaged) refuseDamage(statement, name);
    refuseNul(statement, name);
    const instruction = parseStatement(statement, context);
    const stage = stages.at(-1);
    if (instruction.kind === 'from') stages.push({ from: instruction, instructions: [] });
    else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === 'arg') globalArgs.push(instruction);
    else throw beforeFrom(instruction);
  }
  if (stages.length === 0) throw noStages(lines, globalArgs);
  return {
    name,
    text,
    escape: directives.escape,
    ...given({ syntax: directives.syntax, check: directives.check }),
    globalArgs,
    stages: stages.map(({ from, instructions }, index): Stage => {
      return { index, from, instructions, ...(from.name === undefined ? {} : { name: from.name.toLowerCase() }) };
    }),
  };
}

/**
 * Parses one trigger of an image's OnBuild list, attached heredocs included; errors point at `origin`, the FROM that
 * brought it in. The escape character is always a backslash: a trigger doesn't carry its Dockerfile's directives.
 * @throws ERR_DOCKERFILE
 */
export function parseOnbuild(expression: string, origin: SourceRange): Instruction {
  const lines = splitLines(expression);
  const shown = JSON.stringify(lines[0]?.text ?? '');
  try {
    const [statement, extra] = readStatements(lines, 0, '\\');
    if (statement === undefined || extra !== undefined) {
      throw new DockerfileError(`it must be one instruction, not ${statement === undefined ? 'none' : 'several'}`, origin);
    }
    const instruction = parseStatement(statement, { ...contextOf(lines, '\\'), origin });
    if (instruction.kind === 'from' || instruction.kind === 'maintainer' || instruction.kind === 'onbuild') {
      throw new DockerfileError(`it can't be ${statement.command.keyword.text.toUpperCase()}`, origin);
    }
    return instruction;
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    throw new DockerfileError(`Cannot use ONBUILD trigger ${shown} of the base: ${error.message}`, origin, {
      cause: error,
      hint: error.hint,
    });
  }
}

function contextOf(lines: readonly SourceLine[], escape: '\\' | '`'): StatementContext {
  return { escape, lineEnd: (line) => (lines[line - 1]?.text.length ?? 0) + 1 };
}

function decode(source: string | Buffer): string {
  const text = typeof source === 'string' ? source : source.toString('utf8');
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

// Bytes that aren't UTF-8 do no harm in a comment; in an instruction they would reach the image as something else.
function refuseDamage(statement: Statement, name: string): void {
  const { line, heredocs } = statement;
  const at = line.text.indexOf('\uFFFD');
  if (at < 0 && !heredocs.some((heredoc) => heredoc.rawBody.includes('\uFFFD'))) return;
  const range = at < 0 ? rangeOf(line, 0, line.text.length) : rangeOf(line, at, at + 1);
  throw new DockerfileError(`Cannot parse ${name}: it is not UTF-8 text`, range, { hint: 'save the file as UTF-8' });
}

// A program would take its argument to end there, and no path can hold one. A file that COPY writes can.
function refuseNul({ line }: Statement, name: string): void {
  const at = line.text.indexOf('\0');
  if (at < 0) return;
  throw new DockerfileError(`Cannot parse ${name}: an instruction holds a NUL byte`, rangeOf(line, at, at + 1), { hint: 'remove it' });
}

function beforeFrom(instruction: Instruction): DockerfileError {
  const keyword = instruction.notes?.keyword.toUpperCase() ?? instruction.kind.toUpperCase();
  const { start } = instruction.range;
  const range = { start, end: { line: start.line, column: start.column + keyword.length } };
  return new DockerfileError(`Cannot parse ${keyword}: no FROM stands above it`, range, {
    hint: 'begin with FROM; only ARG may stand before it',
  });
}

function noStages(lines: readonly SourceLine[], globalArgs: readonly ArgInstruction[]): DockerfileError {
  const lastArg = globalArgs.at(-1);
  const isEmpty = lines.every((line) => isBlankLine(line.text));
  const state = lastArg !== undefined ? 'it has no FROM' : isEmpty ? 'it is empty' : 'it has no instructions';
  const range = lastArg?.range ?? { start: { line: 1, column: 1 }, end: { line: 1, column: 2 } };
  return new DockerfileError(`Cannot build the Dockerfile: ${state}`, range, { hint: 'begin with FROM and a base image, or FROM scratch' });
}
