// Instructions that take the rest of the line: as one word (USER, WORKDIR, STOPSIGNAL, MAINTAINER) or as a list (EXPOSE, VOLUME).
import { trim } from '../../blanks.ts';
import { splitBlanks } from '../command-line.ts';
import { readFlags } from '../flags.ts';
import type { WordInstruction, WordsInstruction } from '../instruction.ts';
import { type InstructionLine, mistake, oneArgument } from '../instruction-line.ts';
import { parseJsonForm } from '../json-form.ts';
import { parsePort } from '../ports.ts';
import { parseSignal } from '../signals.ts';

const examples: Readonly<Record<WordInstruction['kind'], readonly [string, string]>> = {
  user: ['the user', 'app:app'],
  workdir: ['the path', '/app'],
  stopsignal: ['the signal', 'SIGTERM'],
  maintainer: ['the name', 'someone@example.com'],
};

/** @throws ERR_DOCKERFILE when the argument is missing, or is no signal */
export function parseWord(line: InstructionLine, kind: WordInstruction['kind']): WordInstruction {
  readFlags(line, {});
  const [what, example] = examples[kind];
  const rest = oneArgument(line, what, example);
  if (kind === 'stopsignal' && isPlain(rest.text) && parseSignal(rest.text) === undefined) {
    throw mistake(line, `${JSON.stringify(rest.text)} is not a signal`, rest, 'use a name or a number: SIGTERM, 15');
  }
  return { ...line.common, kind, word: rest.text };
}

/** `EXPOSE PORT…`. @throws ERR_DOCKERFILE */
export function parseExpose(line: InstructionLine): WordsInstruction {
  readFlags(line, {});
  const words = splitBlanks(line.command.rest);
  if (words.length === 0) throw mistake(line, 'the port is missing', undefined, 'for example EXPOSE 8080');
  if (parseJsonForm(line.command.rest.text).kind !== 'none') {
    throw mistake(line, 'it takes ports, not a JSON array', line.command.rest, 'for example EXPOSE 80 443');
  }
  for (const word of words) {
    const port = isPlain(word.text) ? parsePort(word.text) : { ports: [] };
    if ('problem' in port) throw mistake(line, port.problem, word, port.hint);
  }
  return { ...line.common, kind: 'expose', words: words.map((word) => word.text) };
}

/** `VOLUME PATH…` or a JSON array. @throws ERR_DOCKERFILE */
export function parseVolume(line: InstructionLine): WordsInstruction {
  readFlags(line, {});
  const { rest } = line.command;
  const json = parseJsonForm(rest.text);
  if (json.kind === 'mixed') throw mistake(line, 'a JSON array may hold strings only', rest, 'quote every path');
  const words = json.kind === 'strings' ? json.values.map((value) => trim(value)) : splitBlanks(rest).map((word) => word.text);
  if (words.length === 0) throw mistake(line, 'the path is missing', rest.text === '' ? undefined : rest, 'for example VOLUME /data');
  if (words.includes('')) throw mistake(line, 'a path is empty', rest, 'name a directory, for example /data');
  return { ...line.common, kind: 'volume', words };
}

// What holds variables, quotes or escapes can be checked only after expansion.
function isPlain(word: string): boolean {
  return !/[$'"\\`]/.test(word);
}
