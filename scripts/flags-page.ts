// usage: npm run flags-page
// Writes docs/flags.md: every flag of every command, with what it does here and in kaniko.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, flagsOf } from '../src/cli/command.ts';
import { commands } from '../src/cli/commands.ts';
import type { FlagSpec } from '../src/cli/flags.ts';
import { usageOf } from '../src/cli/help.ts';

export const flagsPagePath = join(import.meta.dirname, '../docs/flags.md');

/** The page, from the same tables as the parser. */
export function flagsPage(): string {
  const known = new Set<FlagSpec>();
  const [build, ...others] = commands;
  if (build === undefined) throw new Error('Cannot write the page: there are no commands');
  const lines = [
    '# Flags',
    '',
    'Made by `npm run flags-page` from `src/cli/tables`. `--help` of a command is its short form.',
    '',
    `A command line without a command is kaniko's: \`executor [flags]\`. It takes the flags of \`${build.name}\` but for the last group, \`--file\` and \`--format\`.`,
    '"same" is what kaniko does, too; a dash is a flag that kaniko has not. Values are read by its rules (`--flag value`, `--flag=value`,',
    '`--switch=false`); where a variable is named, the flag wins, unless it says otherwise.',
    '',
    ...[build, ...others].flatMap((command) => section(command, known)),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

function section(command: Command, known: Set<FlagSpec>): readonly string[] {
  const repeated: string[] = [];
  const groups = command.groups.flatMap(({ title, flags }) => {
    const fresh = flags.filter((spec) => !known.has(spec));
    repeated.push(...flags.filter((spec) => known.has(spec)).map(({ name }) => `\`--${name}\``));
    for (const spec of fresh) known.add(spec);
    if (fresh.length === 0) return [];
    return [`### ${title}`, '', '| flag | here | in kaniko |', '|---|---|---|', ...fresh.map(row), ''];
  });
  const also = repeated.length === 0 ? [] : [`As above: ${repeated.join(', ')}.`, ''];
  const listed = new Set(command.groups.flatMap(({ flags }) => flags));
  const idle = flagsOf(command).filter((spec) => !listed.has(spec));
  const accepted = idle.length === 0 ? [] : [`Taken, and without a use here: ${idle.map(({ name }) => `\`--${name}\``).join(', ')}.`, ''];
  return [`## \`${usageOf(command)}\``, '', sentence(command.about), '', ...groups, ...also, ...accepted];
}

function row(spec: FlagSpec): string {
  const names = [
    ...(spec.short === undefined ? [] : [`-${spec.short}`]),
    `--${spec.name}`,
    ...(spec.aliases ?? []).map((alias) => `--${alias}`),
  ];
  const value = spec.kind === 'boolean' ? '' : ` ${spec.value ?? 'VALUE'}`;
  const cells = [`\`${names.join('`, `')}${value}\``, describe(spec), spec.kaniko ?? '–'];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function describe(spec: FlagSpec): string {
  const { about, details, inert, unsupported, needs, environment, environmentWins } = spec;
  const parts = [
    ...(about === '' ? [] : [details ?? about]),
    ...(inert === undefined ? [] : [`taken and changes nothing: ${inert}`]),
    ...(unsupported === undefined ? [] : [`refused: ${unsupported}`]),
    ...(spec.kind === 'list' || spec.kind === 'comma-list'
      ? [spec.kind === 'list' ? 'repeatable' : 'repeatable, or a list with commas']
      : []),
    ...(needs === undefined ? [] : [`with \`--${needs}\``]),
    ...(environment === undefined ? [] : [`also \`${environment}\`${environmentWins === true ? ', which wins' : ''}`]),
  ];
  return parts.join('; ');
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

if (import.meta.main) writeFileSync(flagsPagePath, flagsPage());
