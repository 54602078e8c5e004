// Every command, in one table: the dispatch, help, completion and the page of all flags are made from it.
import { runBuildCommand } from './build/build-command.ts';
import { cacheCommands } from './build/cache-commands.ts';
import { runCheckCommand } from './build/check-command.ts';
import { type Command, buildahFailure } from './command.ts';
import { runCompletionCommand } from './completion.ts';
import { containerCommands } from './containers/commands.ts';
import { runExplainCommand } from './build/explain-command.ts';
import { runLoginCommand, runLogoutCommand } from './transports/login-command.ts';
import { runPushCommand } from './images/push-command.ts';
import { runReportCommand } from './build/report-command.ts';
import { buildFlags, buildGroups } from './tables/build.ts';
import { checkGroups } from './tables/check.ts';
import { logFlags } from './tables/log.ts';
import { ownBuildGroups, ownFlags } from './tables/own-build.ts';
import { registryFlags } from './tables/registry.ts';
import { loginGroups, logoutGroups, pushGroups } from './tables/push.ts';
import { runStepsCommand } from './steps/steps-command.ts';
import { storeCommands } from './images/commands.ts';
import { transportCommands } from './transports/commands.ts';
import { stepsGroups } from './tables/steps.ts';
import { warmerGroups } from './tables/warmer.ts';
import { unshareCommand } from './sandbox/unshare-command.ts';
import { version } from './version.ts';
import { runWarmCommand } from './build/warm-command.ts';
import { group, text } from './tables/flag.ts';

/** A command line without a command: kaniko's executor. */
export const executor: Command = {
  name: 'executor',
  usage: '[flags]',
  about: 'build an image and push it, as kaniko does',
  groups: buildGroups,
  tellsAccepted: true,
  run: async (input) => await runBuildCommand(input, 'executor'),
};

export const commands: readonly Command[] = [
  {
    name: 'build',
    aliases: ['bud', 'build-using-dockerfile'],
    usage: '[flags] [CONTEXT]',
    about: 'build an image, as docker build and buildah do',
    groups: ownBuildGroups,
    tellsAccepted: true,
    run: async (input) => await runBuildCommand(input, 'build'),
  },
  {
    name: 'check',
    usage: '[flags] [CONTEXT]',
    about: 'check a Dockerfile without building it',
    groups: checkGroups,
    accepts: [...buildFlags, ...ownFlags],
    run: runCheckCommand,
  },
  {
    name: 'explain',
    usage: '[flags] [CONTEXT]',
    about: 'print what a build would do and, with --cache, what it would not',
    groups: ownBuildGroups,
    tellsAccepted: true,
    run: async (input) => await runExplainCommand(input),
  },
  {
    name: 'steps',
    aliases: ['builds submit', 'acr run'],
    usage: '[flags] [FOLDER]',
    about: 'do what a cloudbuild.yaml or an acr-task.yaml says',
    groups: stepsGroups,
    run: async (input) => await runStepsCommand(input, (argv) => findCommand(argv) ?? { command: executor, rest: argv }),
  },
  {
    name: 'push',
    usage: '[flags] IMAGE [DESTINATION]',
    about: 'push an image of the store, an archive or a layout',
    groups: pushGroups,
    failureStatus: (_error, words) => (words.some((word) => /^(?:-d|--?destination)\b/.test(word)) ? undefined : buildahFailure),
    accepts: registryFlags,
    run: runPushCommand,
  },
  {
    name: 'login',
    usage: '[flags] [REGISTRY]',
    about: 'keep credentials where builds look for them',
    groups: loginGroups,
    run: runLoginCommand,
  },
  {
    name: 'logout',
    usage: '[flags] REGISTRY',
    about: 'take credentials away again',
    groups: logoutGroups,
    run: runLogoutCommand,
  },
  ...transportCommands,
  ...storeCommands,
  ...containerCommands,
  unshareCommand,
  ...cacheCommands,
  {
    name: 'warmer',
    usage: '[flags]',
    about: 'keep base images in a folder, for builds with --cache-dir',
    groups: warmerGroups,
    run: runWarmCommand,
  },
  {
    name: 'report',
    usage: '[flags] EVENTS',
    about: "make a page of a build's events file",
    groups: [
      group('Where it goes', [text('output', 'FILE', 'write the page here (default: stdout)', { short: 'o' })]),
      group('What is told', logFlags),
    ],
    run: runReportCommand,
  },
  {
    name: 'version',
    usage: '',
    about: 'print the version',
    groups: [group('Flags', logFlags)],
    run: async ({ stdout }) => {
      stdout.write(`yadokari ${version}\n`);
    },
  },
  {
    name: 'completion',
    usage: 'bash|zsh|fish',
    about: 'print a completion script for a shell',
    groups: [group('Flags', logFlags)],
    run: async (input) => await runCompletionCommand(input, commands, executor),
  },
];

/** The command that the words begin with, and the words after its name; undefined where they begin with none. */
export function findCommand(words: readonly string[]): { readonly command: Command; readonly rest: readonly string[] } | undefined {
  const named = commands
    .flatMap((command) => [command.name, ...(command.aliases ?? [])].map((name) => ({ command, parts: name.split(' ') })))
    .filter(({ parts }) => parts.every((part, position) => words[position] === part))
    .toSorted((a, b) => b.parts.length - a.parts.length)[0];
  return named === undefined ? undefined : { command: named.command, rest: words.slice(named.parts.length) };
}
