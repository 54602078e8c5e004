// Completion scripts for shells, made from the table of commands.
import { BuilderError } from '../errors.ts';
import { type Command, type CommandInput, flagsOf } from './command.ts';
import type { FlagSpec } from './flags.ts';

const shells = ['bash', 'zsh', 'fish'] as const;

/** The programs that the builder is called by; `executor` has kaniko's form too. */
const programs = ['yadokari', 'executor'];

/** `completion SHELL`: prints the script. @throws ERR_USAGE */
export async function runCompletionCommand(
  { positionals, stdout }: CommandInput,
  commands: readonly Command[],
  bare: Command,
): Promise<void> {
  const [shell = ''] = positionals;
  const write = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell];
  if (write === undefined || positionals.length > 1) {
    throw new BuilderError('ERR_USAGE', `Cannot complete for ${JSON.stringify(positionals.join(' '))}: expected ${shells.join(', ')}`);
  }
  stdout.write(write(commands, bare));
}

/** Words to offer after `words`: bash's own script and zsh's, which takes over bash's completion, look it up by the command's name. */
function bashScript(commands: readonly Command[], bare: Command): string {
  const cases = [...commands, { ...bare, name: '' }]
    .toSorted((a, b) => b.name.length - a.name.length)
    .flatMap((command) => [
      `    ${command.name === '' ? '*' : `"${command.name}"*`})`,
      `      flags='${flagWords(command).join(' ')}'`,
      '      case $before in',
      ...valueCases(command),
      '      esac ;;',
    ]);
  return [
    `# bash completion for ${programs.join(' and ')}: eval "$(yadokari completion bash)"`,
    '_yadokari() {',
    '  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} flags choices said',
    '  COMPREPLY=()',
    // bash takes `=` for a word of its own.
    '  [ "$before" = "=" ] && before=${COMP_WORDS[COMP_CWORD-2]}',
    '  [ "$word" = "=" ] && { before=${COMP_WORDS[COMP_CWORD-1]}; word=; }',
    '  said="${COMP_WORDS[*]:1:COMP_CWORD-1}"',
    '  case $said in',
    ...cases,
    '  esac',
    '  [ -n "$choices" ] && { COMPREPLY=($(compgen -W "$choices" -- "$word")); return; }',
    `  [ "$COMP_CWORD" = 1 ] && flags="$flags ${firstWords(commands).join(' ')}"`,
    '  case $word in',
    '    -*) COMPREPLY=($(compgen -W "$flags" -- "$word")) ;;',
    '    *) COMPREPLY=($([ "$COMP_CWORD" = 1 ] && compgen -W "$flags" -- "$word"; compgen -f -- "$word")) ;;',
    '  esac',
    '}',
    `complete -o filenames -F _yadokari ${programs.join(' ')}`,
    '',
  ].join('\n');
}

function zshScript(commands: readonly Command[], bare: Command): string {
  return [
    `#compdef ${programs.join(' ')}`,
    '# zsh completion: eval "$(yadokari completion zsh)"',
    'autoload -U +X bashcompinit && bashcompinit',
    bashScript(commands, bare),
  ].join('\n');
}

function fishScript(commands: readonly Command[], bare: Command): string {
  const names = firstWords(commands).join(' ');
  const lines = programs.flatMap((program) => [
    ...commands.map(({ name, about }) => {
      const [first = '', second] = name.split(' ');
      const when = second === undefined ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${first}`;
      return `complete -c ${program} -n '${when}' -f -a ${second ?? first} -d '${fishText(about)}'`;
    }),
    ...bare.groups.flatMap(({ flags }) => flags.map((spec) => fishFlag(program, spec, `not __fish_seen_subcommand_from ${names}`))),
    ...commands.flatMap(({ name, groups }) =>
      groups.flatMap(({ flags }) =>
        flags.map((spec) =>
          fishFlag(
            program,
            spec,
            name
              .split(' ')
              .map((word) => `__fish_seen_subcommand_from ${word}`)
              .join('; and '),
          ),
        ),
      ),
    ),
  ]);
  return [`# fish completion: yadokari completion fish | source`, ...lines, ''].join('\n');
}

function fishFlag(program: string, { name, short, kind, choices, about, inert, unsupported }: FlagSpec, when: string): string {
  const values = choices === undefined ? '' : ` -f -a '${choices.join(' ')}'`;
  const needsValue = kind === 'boolean' ? '' : ' -r';
  const said = about === '' ? (inert ?? unsupported ?? '') : about;
  return `complete -c ${program} -n '${when}' -l ${name}${short === undefined ? '' : ` -s ${short}`}${needsValue}${values} -d '${fishText(said)}'`;
}

function fishText(text: string): string {
  return text.replaceAll(/[\\']/g, (found) => `\\${found}`);
}

function firstWords(commands: readonly Command[]): readonly string[] {
  return [...new Set(commands.map(({ name }) => name.split(' ')[0] ?? '')), 'help'];
}

function flagWords(command: Command): readonly string[] {
  return flagsOf(command).flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]);
}

/** What a flag of the command takes, where that is one of a few. */
function valueCases(command: Command): readonly string[] {
  return flagsOf(command).flatMap(({ name, short, choices }) => {
    if (choices === undefined) return [];
    return [`        --${name}${short === undefined ? '' : `|-${short}`}) choices='${choices.join(' ')}' ;;`];
  });
}
