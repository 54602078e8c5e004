// Instructions that hold a command: RUN, CMD, ENTRYPOINT and SHELL.
import { given } from '../../given.ts';
import { readFlags } from '../flags.ts';
import type { Command, CommandInstruction, Heredoc, RunInstruction, ShellInstruction } from '../instruction.ts';
import { type InstructionLine, mistake } from '../instruction-line.ts';
import { parseJsonForm } from '../json-form.ts';
import type { Span } from '../command-line.ts';

const networks = ['default', 'none', 'host'] as const;
const securities = ['sandbox', 'insecure'] as const;

/** `RUN [--mount=… --network=… --security=… --device=…] COMMAND`. @throws ERR_DOCKERFILE */
export function parseRun(line: InstructionLine): RunInstruction {
  const flags = readFlags(line, { mount: 'list', network: 'string', security: 'string', device: 'list' });
  // Without a command, too, as BuildKit has it: the shell gets an empty script, and `[]` runs nothing.
  const command = parseCommand(line, line.command.rest, { allowsNone: true });
  const network = oneOf(line, flags.one('network')?.value, networks, 'network');
  const security = oneOf(line, flags.one('security')?.value, securities, 'security');
  return {
    ...line.common,
    kind: 'run',
    mounts: flags.all('mount'),
    devices: flags.all('device'),
    ...given({ network, security }),
    command,
  };
}

/** `CMD COMMAND` and `ENTRYPOINT COMMAND`; an empty array is allowed. @throws ERR_DOCKERFILE */
export function parseCommandInstruction(line: InstructionLine, kind: 'cmd' | 'entrypoint'): CommandInstruction {
  readFlags(line, {});
  return { ...line.common, kind, command: parseCommand(line, line.command.rest) };
}

/** `SHELL ["program", "argument", …]`. @throws ERR_DOCKERFILE */
export function parseShell(line: InstructionLine): ShellInstruction {
  readFlags(line, {});
  const { rest } = line.command;
  const command = parseCommand(line, rest);
  const example = 'for example SHELL ["/bin/bash", "-o", "pipefail", "-c"]';
  if (command.form === 'shell') {
    const hint = rest.text.startsWith('[') ? `JSON has double quotes around each string: ${example}` : example;
    throw mistake(line, 'it must be a JSON array of strings', rest, hint);
  }
  if (command.argv.length === 0) throw mistake(line, 'the array is empty', rest, example);
  return { ...line.common, kind: 'shell', argv: command.argv };
}

/** The shell or exec form that stands in `span`. @throws ERR_DOCKERFILE when it is empty (unless allowed) or mixes types */
export function parseCommand(line: InstructionLine, span: Span, { allowsNone = false } = {}): Command {
  if (span.text === '' && !allowsNone) throw mistake(line, 'the command is missing', undefined, emptyHint(line.name));
  const json = parseJsonForm(span.text);
  if (json.kind === 'mixed') throw mistake(line, 'a JSON array may hold strings only', span, 'quote every element, numbers too');
  if (json.kind === 'strings') return { form: 'exec', argv: json.values };
  return { form: 'shell', text: span.text, heredocs: line.heredocs.map(plainHeredoc) };
}

/** A heredoc without what only the parser needs. */
export function plainHeredoc({ name, body, expand, chomp }: Heredoc): Heredoc {
  return { name, body, expand, chomp };
}

function emptyHint(name: string): string {
  if (name === 'SHELL') return 'for example SHELL ["/bin/bash", "-c"]';
  return `write ${name} [] to clear what the base image sets`;
}

function oneOf<Value extends string>(
  line: InstructionLine,
  value: string | undefined,
  allowed: readonly Value[],
  flag: string,
): Value | undefined {
  if (value === undefined) return undefined;
  const found = allowed.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  const span = line.command.flags.find((candidate) => candidate.text.startsWith(`--${flag}=`));
  throw mistake(line, `--${flag} can't be ${JSON.stringify(value)}`, span, `use one of ${allowed.join(', ')}`);
}
