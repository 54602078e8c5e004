// One run of the program: argv and env in, an exit status out.
import { didYouMean } from '../suggest.ts';
import { BuilderError, firstFailure } from '../errors.ts';
import { parseDuration } from '../dockerfile/duration.ts';
import { given } from '../given.ts';
import { tellAccepted } from './accepted.ts';
import { type Command, type CommandInput, type Invocation, flagsOf, listedFlags } from './command.ts';
import { commands, executor, findCommand } from './commands.ts';
import { describeFailure, exitStatusOf } from './exit.ts';
import { errorText } from './error-help.ts';
import { type ParsedFlags, parseFlags } from './flags.ts';
import { familyText, helpText, overviewText, usageOf } from './help.ts';
import { ciNames, dialectOf } from '../report/dialect.ts';
import { logFormats, quietFormat, verbosities } from '../report/level.ts';
import { pluginInvocation } from './plugin.ts';
import { createReport, type Report, type ReportOptions } from '../report/report.ts';
import { Settings, type Environment, isQuiet } from './settings.ts';
import { type Sink, openSink } from '../report/sink.ts';
import { enterWorkingDirectory } from './working-directory.ts';
import { version } from './version.ts';

/** Runs one command; never throws. */
export async function runCommandLine(invocation: Invocation, signal: AbortSignal): Promise<number> {
  const stderr = openSink(2, process.stderr.isTTY === true, sizeOf(process.stderr));
  const stdout = openSink(1, process.stdout.isTTY === true, sizeOf(process.stdout));
  return await runInvocation(invocation, { stdout, stderr }, signal);
}

/** The same with streams of the caller's own. */
export async function runInvocation(
  invocation: Invocation,
  streams: { readonly stdout: Sink; readonly stderr: Sink },
  signal: AbortSignal,
): Promise<number> {
  const { stdout, stderr } = streams;
  const plain = createReport({ format: 'text', verbosity: 'info', timestamps: false, sink: stderr, now: Date.now });
  let report: Report = plain;
  let isVerbose = false;
  let running = signal;
  let statusOf: (error: unknown) => number | undefined = () => undefined;
  try {
    const words = invocation.argv.slice(
      Math.max(
        0,
        invocation.argv.findIndex((word) => word !== ''),
      ),
    );
    if (words[0] === 'help') {
      stdout.write(askedHelp(words.slice(1)));
      return 0;
    }
    const plugin = words.some((word) => word !== '') ? undefined : pluginInvocation(invocation.env, flagsOf(executor));
    const env = plugin?.env ?? invocation.env;
    const { command, rest } = findCommand(words) ?? findBehindFlags(words) ?? { command: executor, rest: plugin?.words ?? words };
    statusOf = (error) => command.failureStatus?.(error, rest);
    refuseUnknown(command, words);
    const table = flagsOf(command);
    const parsed = parseFlags(rest, table, command.endsAtOperand);
    if (parsed.values.has('help') || parsed.values.has('version')) {
      // A word before --help that kaniko's form has no use for is a command's, or the first of one.
      const asked = command === executor ? parsed.positionals : [];
      const help = (): string => (asked.length === 0 ? helpText(command) : askedHelp(asked));
      stdout.write(parsed.values.has('help') ? help() : `yadokari ${version}\n`);
      return 0;
    }
    refuseStray(command, parsed, rest);
    const settings = new Settings(parsed, table, env);
    isVerbose = ['trace', 'debug'].includes(verbosityOf(settings));
    report = createReport({ ...reportSettings(settings, stderr.isTerminal, env), sink: stderr, now: Date.now });
    const hasTerminal = stderr.isTerminal && (env['CI'] ?? '') === '';
    const { values: flags, positionals } = parsed;
    enterWorkingDirectory(env);
    // A build tells it by itself: once, though it is run again in a sandbox, and to its report.
    if (command.tellsAccepted !== true) tellAccepted(settings, listedFlags(command), env, report.emit);
    running = withDeadline(settings, signal);
    const again: CommandInput['again'] = async (next, other) =>
      await runInvocation(next, { ...streams, ...given({ stdout: other?.stdout }) }, other?.signal ?? signal);
    return (await command.run({ settings, positionals, flags, env, report, stdout, hasTerminal, signal: running, again })) ?? 0;
  } catch (caught) {
    const first = firstFailure(caught, report.emit);
    // Node's own word for it says neither who stopped it nor that it was somebody.
    const error: unknown = running.aborted && first instanceof Error && first.name === 'AbortError' ? running.reason : first;
    report.close();
    for (const line of describeFailure(error, isVerbose)) report.line('error', line);
    return statusOf(error) ?? exitStatusOf(error);
  }
}

/** The text for `help`, `help build` and `help build --all`. @throws ERR_USAGE */
function askedHelp(words: readonly string[]): string {
  const names = words.filter((word) => !['--all', '--help', '-h', ''].includes(word));
  if (names.length === 0) return words.includes('--all') ? helpText(executor, true) : overviewText();
  const [first = ''] = names;
  const ofError = names.length === 1 ? errorText(first) : undefined;
  if (ofError !== undefined) return ofError;
  const command = names.join(' ') === executor.name ? executor : findCommand(names)?.command;
  if (command !== undefined) return helpText(command, words.includes('--all'));
  const family = names.length === 1 ? familyText(first) : undefined;
  if (family === undefined) throw unknownCommand(names);
  return family;
}

/** A command whose flags stand before it, as skopeo, podman and buildah have their own there: `--insecure-policy copy A B`. */
function findBehindFlags(words: readonly string[]): ReturnType<typeof findCommand> {
  if (words[0]?.startsWith('-') !== true) return undefined;
  for (const position of words.keys()) {
    const found = findCommand(words.slice(position));
    const before = words.slice(0, position);
    if (found !== undefined && areFlagsOf(found.command, before)) return { command: found.command, rest: [...before, ...found.rest] };
  }
  return undefined;
}

/** Whether the words are whole flags: none of them waits for a value. */
function areFlagsOf(command: Command, words: readonly string[]): boolean {
  try {
    return parseFlags(words, flagsOf(command)).positionals.length === 0;
  } catch (error) {
    if (error instanceof BuilderError) return false;
    throw error;
  }
}

/** Of a command that there is none of its flags are not what is wrong. */
function refuseUnknown(command: Command, words: readonly string[]): void {
  const [first = '-'] = words;
  const asksHelp = words.some((word) => ['-h', '--help', '--version'].includes(word));
  if (command !== executor || asksHelp || !/^[a-z][\w-]*$/.test(first)) return;
  throw unknownCommand(
    words.filter((word) => !word.startsWith('-')),
    meantBy(first, undefined),
  );
}

/** kaniko's form takes flags only, and a command's operands are named in its usage. @throws ERR_USAGE */
function refuseStray(command: Command, { positionals }: ParsedFlags, words: readonly string[]): void {
  const [first] = positionals;
  if (first === undefined) return;
  if (command === executor) throw unknownCommand(positionals, meantBy(first, words[words.indexOf(first) - 1]));
  if (command.usage.replace('[flags]', '').trim() !== '') return; // it names some
  throw new BuilderError('ERR_USAGE', `Cannot use argument ${JSON.stringify(first)}: there is nothing it could mean`, {
    hint: usageOf(command),
  });
}

const signers = 'signatures lie beside images in registries: copy --sign-by-sigstore-private-key, and policy.json';

/** Words of img, podman, skopeo and docker that mean one thing with one of them and another with another. */
const wordsElsewhere: Readonly<Record<string, string>> = {
  lint: 'yadokari check checks a Dockerfile',
  ls: 'yadokari images lists images, yadokari containers lists containers',
  list: 'yadokari images lists images, yadokari containers lists containers',
  remove: 'yadokari rmi removes images, yadokari rm removes containers',
  create: 'yadokari from IMAGE makes a container',
  exec: 'yadokari run CONTAINER COMMAND runs a command in a container that yadokari from IMAGE has made',
  info: 'yadokari version, du, images and containers say what there is',
  'standalone-sign': signers,
  'standalone-verify': signers,
  image: 'yadokari images, rmi, prune, tag, history, save, load and others stand for themselves',
  system: 'yadokari du and yadokari prune',
};

/** What a word may have been meant for where kaniko's form takes none. */
function meantBy(word: string, before: string | undefined): string | undefined {
  if (before?.startsWith('--') === true && /^(?:true|false)$/i.test(word)) return `a switch has its value behind a "=": ${before}=${word}`;
  if (/^[\u2010-\u2015\u2212]/.test(word))
    return `flags begin with two plain dashes, and this one with a long one: --${word.replace(/^[^\w]+/, '')}`;
  if (/(?:^|\/)(?:sh|bash|cat|sleep)$/.test(word))
    return `the image runs the builder: for ${word} set its entry point (command in a pod; tag debug has /busybox)`;
  if (word === '.' || word.includes('/')) return `a context is given by --context=${word}`;
  return undefined;
}

/** For who finds no command by its name. */
const lost = '`help` lists the commands; without one there are only flags, and values with blanks need quotes';

function unknownCommand([word = '', next]: readonly string[], meant?: string): BuilderError {
  const names = [...commands.map(({ name }) => name), 'help'];
  const family = names.filter((name) => name.startsWith(`${word} `));
  const text = family.length > 0 && next !== undefined ? `${word} ${next}` : word;
  const state = family.length > 0 && next === undefined ? 'it is the first word of several' : 'there is no such command';
  const other = meant ?? wordsElsewhere[word] ?? didYouMean(word, names);
  return new BuilderError('ERR_USAGE', `Cannot run command ${JSON.stringify(text)}: ${state}`, {
    hint: family.length > 0 ? `one of ${family.join(', ')}` : (other ?? lost),
  });
}

function reportSettings(settings: Settings, isTerminal: boolean, env: Environment): Omit<ReportOptions, 'sink' | 'now'> {
  const dialect = dialectOf(settings.choice('ci', ciNames, 'auto'), env);
  const canDraw = isTerminal && env['TERM'] !== 'dumb' && dialect === undefined;
  // no-color.org: what is set and not empty; a flag is the user's own word.
  const asked = settings.text('log-format');
  const usual = canDraw && (env['NO_COLOR'] ?? '') === '' ? 'color' : 'text';
  const format = asked === quietFormat ? usual : settings.choice('log-format', logFormats, usual);
  return {
    format,
    isQuiet: isQuiet(settings),
    verbosity: verbosityOf(settings),
    timestamps: settings.boolean('log-timestamp'),
    isLive: canDraw && asked !== 'text' && format !== 'json',
    ...given({ dialect }),
  };
}

function verbosityOf(settings: Settings): (typeof verbosities)[number] {
  return settings.boolean('debug') ? 'debug' : settings.choice('verbosity', verbosities, 'info');
}

/** The signal, which is also given once the command has had the time that it may take. */
function withDeadline(settings: Settings, signal: AbortSignal): AbortSignal {
  const limit = settings.text('command-timeout') ?? '0';
  const limitMs = Math.min((parseDuration(limit) ?? 0) / 1_000_000, 2 ** 31 - 1); // the longest that a timer waits, 24 days
  if (limitMs === 0) return signal;
  const deadline = new AbortController();
  const reason = new BuilderError('ERR_ABORTED', `Cannot finish in --command-timeout=${limit}: the time is over`);
  setTimeout(() => deadline.abort(reason), limitMs).unref();
  return AbortSignal.any([signal, deadline.signal]);
}

function sizeOf(stream: NodeJS.WriteStream): { readonly columns: () => number; readonly rows: () => number } {
  // A terminal that nobody gave a size has none: 0 by 0.
  return { columns: () => stream.columns || 80, rows: () => stream.rows || 24 };
}
