// One run of the program: argv and env in, an exit status out.
import { BuilderError } from '../errors.ts';
import { buildFlags, parseFlags } from './flags.ts';
import { helpText } from './help.ts';
import { Settings, type Environment } from './settings.ts';
import { describeFailure, exitStatusOf } from './exit.ts';
import { createReport, type LogFormat, type Report, type Verbosity } from './report.ts';
import { openSink } from './sink.ts';
import { runBuildCommand } from './build-command.ts';
import { runCheckCommand } from './check-command.ts';
import { version } from './version.ts';

export interface Invocation {
  /** Without the interpreter and the script. */
  readonly argv: readonly string[];
  readonly env: Environment;
}

const commands = ['build', 'check', 'version', 'help'] as const;

/** Runs one command; never throws. */
export async function runCommandLine(invocation: Invocation, signal: AbortSignal): Promise<number> {
  const stderr = openSink(2, process.stderr.isTTY === true, () => process.stderr.columns ?? 80);
  const stdout = openSink(1, process.stdout.isTTY === true, () => process.stdout.columns ?? 80);
  const plain = createReport({ format: 'text', verbosity: 'info', timestamps: false, sink: stderr, now: Date.now });
  let report: Report = plain;
  let isVerbose = false;
  try {
    const first = invocation.argv.findIndex((word) => word !== '');
    const named = commands.find((command) => command === invocation.argv[first]);
    const parsed = parseFlags(named === undefined ? invocation.argv : invocation.argv.slice(first + 1), buildFlags);
    if (named === 'help' || parsed.values.has('help')) {
      stdout.write(helpText('executor', buildFlags));
      return 0;
    }
    if (named === 'version' || parsed.values.has('version')) {
      stdout.write(`yadokari ${version}\n`);
      return 0;
    }
    if (named === undefined && parsed.positionals.length > 0) {
      const stray = parsed.positionals[0] ?? '';
      throw new BuilderError('ERR_USAGE', `Cannot run command ${JSON.stringify(stray)}: there is no such command`, {
        hint: `one of ${commands.join(', ')}; see --help`,
      });
    }
    const settings = new Settings(parsed, buildFlags, invocation.env);
    isVerbose = ['trace', 'debug'].includes(settings.text('verbosity') ?? 'info');
    report = createReport({ ...reportSettings(settings, stderr.isTerminal), sink: stderr, now: Date.now });
    const hasTerminal = stderr.isTerminal && (invocation.env['CI'] ?? '') === '';
    const command = {
      settings,
      positionals: parsed.positionals,
      flags: parsed.values,
      env: invocation.env,
      report,
      stdout,
      hasTerminal,
      signal,
    };
    return named === 'check' ? await runCheckCommand(command) : await runBuildCommand(command);
  } catch (error) {
    report.close();
    for (const line of describeFailure(error, isVerbose)) report.line('error', line);
    return exitStatusOf(error);
  }
}

function reportSettings(
  settings: Settings,
  isTerminal: boolean,
): { readonly format: LogFormat; readonly verbosity: Verbosity; readonly timestamps: boolean } {
  return {
    format: settings.choice('log-format', ['text', 'color', 'json'], isTerminal ? 'color' : 'text'),
    verbosity: settings.choice('verbosity', ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'panic'], 'info'),
    timestamps: settings.boolean('log-timestamp'),
  };
}
