// `yadokari run CONTAINER COMMAND…`: a command in a container; its exit status is ours.
import { isatty } from 'node:tty';
import { parseMount, parseVolume } from '../../containers/mounts.ts';
import { type RunRequest, runInContainer } from '../../containers/run.ts';
import type { ContainerState } from '../../containers/state.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { formatTime } from '../../oci/time.ts';
import type { CommandInput } from '../command.ts';
import { containersOf, waiting } from './from-command.ts';
import { passSignals } from '../sandbox/pass-signals.ts';
import { parseSize } from '../requests/size.ts';

/** Gives the command's status. @throws BuilderError, where there is none */
export async function runRunCommand(input: CommandInput): Promise<number> {
  const { settings, report, signal } = input;
  const [name, ...rest] = input.positionals;
  const argv = rest[0] === '--' ? rest.slice(1) : rest;
  if (name === undefined || argv.length === 0)
    throw new BuilderError('ERR_USAGE', `Cannot run: ${name === undefined ? 'no container is named' : 'no command is given'}`, {
      hint: 'yadokari run CONTAINER -- COMMAND ARGUMENT…',
    });
  if (settings.boolean('terminal') && !isatty(0))
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot honour --terminal: standard input is no terminal, and none is made', {
      hint: 'a terminal is passed on where there is one, without the flag',
    });
  const containers = containersOf(input);
  const container = await containers.open(name, 'shared', signal, () => waiting(input, name));
  const request = requestOf(input, container.state, argv);
  const exit = await runInContainer(container, request, {
    store: containers,
    nodePath: process.execPath,
    onSignal: (send) => passSignals(send, signal),
    emit: report.emit,
    signal,
  });
  if (exit.refusal !== undefined) report.line('error', `error: Cannot run ${argv[0] ?? ''}: ${exit.refusal}`);
  if (settings.boolean('add-history')) await addHistory(input, container.state.id, `${shellOf(container.state)} ${argv.join(' ')}`);
  return exit.status;
}

/** Notes what was done, for the image's history. */
export async function addHistory(input: CommandInput, id: string, createdBy: string): Promise<void> {
  const entry = { created: formatTime(Date.now()), createdBy, emptyLayer: true };
  const add = (state: ContainerState): ContainerState => ({
    ...state,
    settings: { ...state.settings, history: [...state.settings.history, entry] },
  });
  await containersOf(input).update(id, add, input.signal);
}

function shellOf({ config }: ContainerState): string {
  const { shell = [] } = config.config;
  return shell.length === 0 ? '/bin/sh -c' : shell.join(' ');
}

function requestOf({ settings, env }: CommandInput, { run }: ContainerState, argv: readonly string[]): RunRequest {
  const text = <Key extends string>(key: Key, flag: string): { readonly [K in Key]?: string } => {
    const value = settings.text(flag);
    return given({ [key]: value }) as { [K in Key]?: string }; // TypeScript widens a computed key
  };
  const memory = settings.text('memory') ?? run.memory;
  const pidsLimit = settings.number('pids-limit') ?? run.pidsLimit;
  return {
    argv,
    ...text('user', 'user'),
    ...text('workingDir', 'workingdir'),
    ...text('hostName', 'hostname'),
    env: settings.list('env').flatMap((item) => variableOf(item, env)),
    fallbackEnv: proxiesIn(env),
    mounts: [...[...run.volumes, ...settings.list('volume')].map(parseVolume), ...settings.list('mount').map(parseMount)],
    isOffline: (settings.text('network') ?? run.network) === 'none',
    keepsHosts: settings.boolean('no-hosts'),
    addedCapabilities: settings.list('cap-add'),
    droppedCapabilities: settings.list('cap-drop'),
    ...(memory === undefined ? {} : { memoryBytes: parseSize('memory', memory) }),
    // As with podman, nothing is no limit.
    ...(pidsLimit === undefined || pidsLimit < 1 ? {} : { pidsLimit }),
  };
}

/** `NAME=value`, or `NAME` with the value that it has here; one that is not set is none. */
function variableOf(item: string, env: CommandInput['env']): readonly string[] {
  if (item.includes('=')) return [item];
  const value = env[item];
  return value === undefined ? [] : [`${item}=${value}`];
}

function proxiesIn(env: CommandInput['env']): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(env).flatMap(([name, value]): [string, string][] =>
      value !== undefined && /^(?:https?|ftp|all|no)_proxy$/i.test(name) ? [[name, value]] : [],
    ),
  );
}
