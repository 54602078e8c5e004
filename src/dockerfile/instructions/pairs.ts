// ENV and LABEL: `key=value …`, or the old `key value`.
import { splitQuoted } from '../command-line.ts';
import { readFlags } from '../flags.ts';
import type { EnvInstruction, LabelInstruction } from '../instruction.ts';
import { type InstructionLine, mistake } from '../instruction-line.ts';

/** @throws ERR_DOCKERFILE when a pair lacks its "=", its name or its value */
export function parsePairs(line: InstructionLine, kind: 'env' | 'label'): EnvInstruction | LabelInstruction {
  readFlags(line, {});
  const { rest } = line.command;
  const words = splitQuoted(rest, line.escape);
  const [first] = words;
  if (first === undefined) throw mistake(line, 'the key and value are missing', undefined, `for example ${line.name} key=value`);
  if (!first.text.includes('=')) return { ...line.common, kind, pairs: [parseLegacy(line)], isLegacy: true };
  const pairs = words.map((word) => {
    const equals = word.text.indexOf('=');
    if (equals < 0)
      throw mistake(
        line,
        `${JSON.stringify(word.text)} has no "="`,
        word,
        'write key=value, and quote a value that holds blanks: key="a b"',
      );
    if (equals === 0) throw mistake(line, 'the key before "=" is missing', word, 'write key=value');
    return { key: word.text.slice(0, equals), value: word.text.slice(equals + 1) };
  });
  return { ...line.common, kind, pairs };
}

// Everything after the first blanks is the value, further "=" and blanks included.
function parseLegacy(line: InstructionLine): { readonly key: string; readonly value: string } {
  const { rest } = line.command;
  const match = /^([^\t\v\f\r ]+)[\t\v\f\r ]+(.*)$/s.exec(rest.text);
  if (match === null) throw mistake(line, `${JSON.stringify(rest.text)} has no value`, rest, `write ${line.name} ${rest.text}=VALUE`);
  return { key: match[1] ?? '', value: match[2] ?? '' };
}
