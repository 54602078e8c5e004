// Flags of instructions: which exist, what they take, and whether they may be repeated.
import type { Span } from './command-line.ts';
import type { Flag } from './instruction.ts';
import { type InstructionLine, mistake } from './instruction-line.ts';
import { didYouMean } from '../suggest.ts';

/** `bool` may stand without a value, `list` may be repeated. */
export type FlagType = 'bool' | 'string' | 'list';

/** The flags of one line by name. */
export interface Flags {
  readonly one: (name: string) => Flag | undefined;
  readonly all: (name: string) => readonly Flag[];
  /** A bool flag's value; undefined when absent. */
  readonly bool: (name: string) => boolean | undefined;
}

/** @throws ERR_DOCKERFILE for a flag that is unknown, repeated, or has no value or a wrong one */
export function readFlags(line: InstructionLine, known: Readonly<Record<string, FlagType>>): Flags {
  const found = new Map<string, Flag[]>();
  for (const span of line.command.flags) {
    const flag = readFlag(line, span, known);
    const before = found.get(flag.name) ?? [];
    if (before.length > 0 && known[flag.name] !== 'list')
      throw mistake(line, `flag --${flag.name} is given twice`, span, 'keep one of them');
    found.set(flag.name, [...before, flag]);
  }
  return {
    one: (name) => found.get(name)?.[0],
    all: (name) => found.get(name) ?? [],
    bool: (name) => {
      const flag = found.get(name)?.[0];
      return flag === undefined ? undefined : (flag.value ?? 'true').toLowerCase() === 'true';
    },
  };
}

function readFlag(line: InstructionLine, span: Span, known: Readonly<Record<string, FlagType>>): Flag {
  const equals = span.text.indexOf('=');
  const name = span.text.slice(2, equals < 0 ? undefined : equals);
  const value = equals < 0 ? undefined : span.text.slice(equals + 1);
  const type = Object.hasOwn(known, name) ? known[name] : undefined;
  if (type === undefined) {
    const names = Object.keys(known);
    const list = names.length === 0 ? `${line.name} takes no flags` : `known are ${names.map((other) => `--${other}`).join(' ')}`;
    throw mistake(line, `unknown flag --${name}`, span, didYouMean(name, names, (other) => `--${other}`) ?? list);
  }
  if (type === 'bool') {
    if (value !== undefined && !/^(?:true|false)$/i.test(value)) {
      throw mistake(line, `flag --${name} takes true or false, not ${JSON.stringify(value)}`, span, `write --${name} or --${name}=false`);
    }
  } else if (value === undefined)
    throw mistake(line, `flag --${name} has no value`, span, `write --${name}=VALUE, without blanks around "="`);
  return { name, value, range: line.rangeOf(span) };
}
