// The texts of `--help`, made from the table of commands.
import { type Command, flagsOf } from './command.ts';
import { commands, executor } from './commands.ts';
import { type EmptyValue, emptyValueOf, type FlagGroup, type FlagSpec } from './flags.ts';

const columns = 80;
const program = 'yadokari';

/** Commands as people look for them; those that stand nowhere here come under the last title. */
const overview: readonly { readonly title: string; readonly names: readonly string[] }[] = [
  { title: 'Build an image from a Dockerfile', names: ['build', 'check', 'explain', 'report', 'steps'] },
  { title: 'Keep what was built', names: ['cache list', 'cache explain', 'cache prune', 'warmer'] },
  {
    title: 'Move images about, in registries and on disk',
    names: [
      'copy',
      'sync',
      'push',
      'inspect',
      'list-tags',
      'delete',
      'index create',
      'manifest-digest',
      'generate-sigstore-key',
      'login',
      'logout',
    ],
  },
  {
    title: 'Images of this machine',
    names: ['images', 'pull', 'tag', 'untag', 'rmi', 'prune', 'du', 'save', 'load', 'history', 'diff', 'unpack'],
  },
  {
    title: 'Build an image step by step, in a container',
    names: ['from', 'run', 'add', 'commit', 'containers', 'mount', 'umount', 'rename', 'rm', 'unshare'],
  },
  {
    title: 'An index of images, one by one',
    names: ['create', 'add', 'annotate', 'remove', 'inspect', 'push', 'exists', 'rm'].map((verb) => `manifest ${verb}`),
  },
  { title: 'Make an image by hand', names: ['layer', 'config', 'manifest', 'assemble'] },
  { title: 'About the program', names: [] },
];

/** What there is, and kaniko's form. */
export function overviewText(): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  const placed = new Set(overview.flatMap(({ names }) => names));
  const groups = overview.map(({ title, names }) => ({
    title,
    listed:
      names.length === 0
        ? commands.filter(({ name }) => !placed.has(name))
        : names.flatMap((name) => commands.find((each) => each.name === name) ?? []),
  }));
  return lines([
    `Usage: ${program} COMMAND [flags]`,
    `       executor [flags]                  ${executor.about}`,
    ...groups.flatMap(({ title, listed }) => ['', `${title}:`, ...listed.map(({ name, about }) => `  ${name.padEnd(width)}${about}`)]),
    `  ${'help'.padEnd(width)}print this, or the help of a command or an error's code; --all has every flag`,
  ]);
}

/** The commands whose first word it is: `cache`; undefined where there are none. */
export function familyText(word: string): string | undefined {
  const family = commands.filter(({ name }) => name.startsWith(`${word} `));
  const width = Math.max(...family.map(({ name }) => name.length)) + 2;
  const listed = family.map(({ name, about }) => `  ${name.padEnd(width)}${about}`);
  return family.length === 0 ? undefined : lines([`Usage: ${program} ${word} COMMAND [flags]`, '', ...listed]);
}

/** One screen: the flags that most people need, and the names of the others; all of them with `isWhole`. */
export function helpText(command: Command, isWhole = false): string {
  const groups = command.groups.map(({ title, flags }) => ({ title, flags: flags.filter(({ about }) => about !== '') }));
  const width = Math.max(...groups.flatMap(({ flags }) => flags.filter(isShown).map((spec) => leftSide(spec).length))) + 2;
  return lines([
    `Usage: ${usageOf(command)}`,
    '',
    upperCase(command.about),
    '',
    ...groups.flatMap((group) => (isWhole ? wholeGroup(group) : shortGroup(group, width))),
    '',
    ...(isWhole ? describeEmpty(flagsOf(command)) : [`\`${program} help ${command.name} --all\` says what each flag does.`]),
  ]);
}

function upperCase(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

/** `yadokari build [flags] [CONTEXT]`. */
export function usageOf({ name, usage }: Command): string {
  return [name === executor.name ? name : `${program} ${name}`, usage].filter((part) => part !== '').join(' ');
}

function isShown({ isCommon }: FlagSpec): boolean {
  return isCommon === true;
}

function shortGroup({ title, flags }: FlagGroup, width: number): readonly string[] {
  const common = flags.filter(isShown);
  const others = flags.filter((spec) => !isShown(spec)).map(({ name }) => `--${name}`);
  const also = others.length === 0 ? [] : wrap(`also ${others.join(', ')}`, '  ');
  return [`${title}:`, ...common.map((spec) => `${leftSide(spec).padEnd(width)}${spec.about}`), ...also];
}

function wholeGroup({ title, flags }: FlagGroup): readonly string[] {
  const described = flags.flatMap((spec) => {
    return [leftSide(spec), ...wrap(spec.details ?? spec.about, ' '.repeat(10))];
  });
  return [`${title}:`, ...described];
}

function leftSide(spec: FlagSpec): string {
  const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
  return `  ${short}--${spec.name}${spec.kind === 'boolean' ? '' : ` ${spec.value ?? 'VALUE'}`}`;
}

/** Most empty values say nothing, and these do. */
function describeEmpty(flags: readonly FlagSpec[]): readonly string[] {
  const names = (meaning: EmptyValue): string =>
    flags
      .filter((spec) => spec.about !== '' && spec.kind !== 'boolean' && emptyValueOf(spec) === meaning)
      .map((spec) => `--${spec.name}`)
      .join(', ');
  const [none, refused, clears] = [names('none'), names('refused'), names('clears')];
  return [
    'An empty value (--target "$STAGE" of a variable that is not set) is as good as no flag.',
    ...(none === '' ? [] : wrap(`It is an empty list for ${none}.`, '')),
    ...(clears === '' ? [] : wrap(`It takes away what was set for ${clears}.`, '')),
    ...(refused === '' ? [] : wrap(`It is a mistake for ${refused}.`, '')),
  ];
}

function wrap(text: string, indent: string): readonly string[] {
  const wrapped: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    if (line.length + word.length > columns && line !== indent) {
      wrapped.push(line.trimEnd());
      line = indent;
    }
    line += `${word} `;
  }
  return [...wrapped, line.trimEnd()];
}

function lines(of: readonly string[]): string {
  return `${of.join('\n')}\n`;
}
