// HEALTHCHECK NONE, and HEALTHCHECK [--interval=… …] CMD command.
import { trimStart } from '../../blanks.ts';
import { given } from '../../given.ts';
import { type Span, splitBlanks } from '../command-line.ts';
import { parseDuration } from '../duration.ts';
import { type Flags, readFlags } from '../flags.ts';
import type { HealthcheckInstruction } from '../instruction.ts';
import { type InstructionLine, mistake } from '../instruction-line.ts';
import { parseCommand } from './command.ts';

const minimumNs = 1_000_000;
const example = 'for example HEALTHCHECK --interval=30s CMD curl -f http://localhost/';

/** @throws ERR_DOCKERFILE */
export function parseHealthcheck(line: InstructionLine): HealthcheckInstruction {
  const flags = readFlags(line, {
    interval: 'string',
    timeout: 'string',
    'start-period': 'string',
    'start-interval': 'string',
    retries: 'string',
  });
  const times = given({
    intervalNs: readDuration(line, flags, 'interval'),
    timeoutNs: readDuration(line, flags, 'timeout'),
    startPeriodNs: readDuration(line, flags, 'start-period'),
    startIntervalNs: readDuration(line, flags, 'start-interval'),
    retries: readRetries(line, flags),
  });
  const { rest } = line.command;
  const [{ text: type } = { text: '' }] = splitBlanks(rest);
  const text = trimStart(rest.text.slice(type.length));
  const command: Span = { text, start: rest.end - text.length, end: rest.end };
  const typeSpan: Span = { text: type, start: rest.start, end: rest.start + type.length };
  if (type === '') throw mistake(line, 'NONE or CMD is missing', undefined, example);
  if (type.toUpperCase() === 'NONE') {
    if (command.text !== '') throw mistake(line, 'NONE takes no arguments', command, 'write HEALTHCHECK NONE');
    return { ...line.common, kind: 'healthcheck', test: { kind: 'none' } };
  }
  if (type.toUpperCase() !== 'CMD') throw mistake(line, `unknown type ${JSON.stringify(type)}`, typeSpan, 'put CMD before the command');
  if (command.text === '') throw mistake(line, 'the command after CMD is missing', typeSpan, example);
  const parsed = parseCommand({ ...line, heredocs: [] }, command);
  if (parsed.form === 'exec' && parsed.argv.length === 0) throw mistake(line, 'the command is empty', command, example);
  return { ...line.common, kind: 'healthcheck', test: { kind: 'command', command: parsed }, ...times };
}

function readDuration(line: InstructionLine, flags: Flags, name: string): number | undefined {
  const value = flags.one(name)?.value;
  if (value === undefined || value === '') return undefined;
  const span = spanOf(line, name);
  const duration = parseDuration(value);
  if (duration === undefined)
    throw mistake(line, `--${name} can't be ${JSON.stringify(value)}`, span, 'write a number and its unit: 500ms, 30s, 1m30s');
  if (duration === 0) return undefined;
  if (duration < minimumNs) throw mistake(line, `--${name} can't be shorter than 1ms`, span, 'write 0 to use the default');
  return duration;
}

function readRetries(line: InstructionLine, flags: Flags): number | undefined {
  const value = flags.one('retries')?.value;
  if (value === undefined || value === '') return undefined;
  const retries = /^\+?\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(retries <= 2 ** 31 - 1))
    throw mistake(line, `--retries can't be ${JSON.stringify(value)}`, spanOf(line, 'retries'), 'write a whole number, 0 or more');
  return retries === 0 ? undefined : retries;
}

function spanOf(line: InstructionLine, flag: string): Span | undefined {
  return line.command.flags.find((candidate) => candidate.text.startsWith(`--${flag}=`));
}
