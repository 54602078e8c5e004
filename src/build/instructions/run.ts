// RUN: one command in the root, as the stage's user, with nothing but the stage's environment, and nothing of it left running.
import { chmod, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { posix } from 'node:path';
import { trim } from '../../blanks.ts';
import { type ByteString, bytesFromText, fsPath, textFromBytes } from '../../bytes.ts';
import { BuilderError, CommandError, DockerfileError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { Command, RunInstruction } from '../../dockerfile/instruction.ts';
import { homeOf, resolveUser } from '../../linux/accounts.ts';
import type { LaunchRequest, LaunchResult } from '../../linux/launch.ts';
import { type Strikes, limitStrikes, memoryLimit, processLimit } from '../../linux/limits.ts';
import { mayExecuteIn } from '../../linux/statfs.ts';
import { absolutePath, resolvePath } from '../../files/resolve.ts';
import { checkLength, clampPath } from '../../paths.ts';
import type { Root } from '../../files/root.ts';
import type { Effect, StageState, StepScope } from '../effect.ts';
import { shellOf } from './metadata.ts';
import { explainPrograms } from './examine-programs.ts';
import { MountTargets, type Thing } from './mount-targets.ts';
import { readAccounts } from './read-accounts.ts';
import { refusalHint, refusedMounts } from './refused-mounts.ts';
import { type MountSources, putMounts } from './run-mounts.ts';

/** What RUN needs besides its scope. */
export interface RunScope extends StepScope {
  readonly launch: (request: LaunchRequest) => Promise<LaunchResult>;
  /** HTTP_PROXY and friends from --build-arg; they reach RUN without ARG. */
  readonly proxies: ReadonlyMap<string, string>;
  /** One word of a mount, expanded from the environment before this instruction. */
  readonly expand: (word: string) => string;
  readonly mounts: MountSources;
  /** The network of commands that name none. */
  readonly network: 'default' | 'host' | 'none';
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const longestShownText = 200;

/**
 * Runs the command and waits for its end; the layer is whatever it changed.
 * @throws CommandError when it fails, ERR_DOCKERFILE, ERR_UNSUPPORTED, ERR_ABORTED.
 */
export async function executeRun(instruction: RunInstruction, state: StageState, scope: RunScope): Promise<Effect> {
  refuseWhatNeedsPrivileges(instruction, scope.network);
  if (isEmptyCommand(instruction.command)) {
    const message = `RUN has no command: ${instruction.command.form === 'exec' ? 'nothing is run' : 'the shell gets an empty one'}`;
    scope.emit({ kind: 'warning', code: `run-empty ${instruction.range.start.line}`, message, range: instruction.range });
    if (instruction.command.form === 'exec')
      return { state, touched: { kind: 'drafted', draft: scope.files.detachedDraft() }, history: { createdBy: runHistory(state, []) } };
  }
  for (const { value = '', range } of instruction.devices)
    scope.emit({ kind: 'warning', code: 'run-device', message: `device ${value} is not handed to the command`, range });
  // Of the image, whatever a pod mounts there.
  const accounts = await readAccounts(await scope.files.view(), scope.signal);
  const user = pinned(instruction, () => resolveUser(state.config.user, accounts));
  const home = state.environment.get('HOME') || pinned(instruction, () => homeOf(user.uid, accounts));
  const command = commandOf(instruction.command, shellOf(state.config));
  const workingDir = state.config.workingDir ?? '/';
  checkLength(clampPath(bytesFromText(workingDir)), 'run in');
  const strikesBefore = limitStrikes();
  const { paths: foreign } = scope.files.disk.root.protection;
  const refusedAt = new Set<string>();
  const { result, mountTargets, unchanged, secretIds } = await withMounts(instruction, command, workingDir, scope, (argv, extra) => {
    refuseForeignFolder(scope.files.disk.root, workingDir);
    const ended = scope.launch({
      argv,
      env: new Map([['PATH', defaultPath], ...scope.proxies, ...state.environment, ['HOME', home], ...extra]),
      cwd: bytesFromText(workingDir),
      ...(scope.files.disk.root.path === '/' ? {} : { root: scope.files.disk.root.path }),
      user,
      onOutput: (stream, line) => {
        for (const place of refusedMounts(line, foreign)) refusedAt.add(place);
        scope.emit({ kind: 'output', step: scope.step, stream, line });
      },
      signal: scope.signal,
    });
    return ended.finally(() => scope.files.disk.ground?.followMounts(instruction.range));
  });
  if (result.lacksGroups === true) {
    const message = 'supplementary groups could not be set here; the command ran with those of the builder';
    scope.emit({ kind: 'warning', code: 'run-groups', message, range: instruction.range });
  }
  if (!('exitCode' in result) || result.exitCode !== 0) {
    const path = state.environment.get('PATH') ?? defaultPath;
    const examine = (): string | undefined =>
      explainPrograms(command.argv.at(-1) ?? '', { root: scope.files.disk.root, cwd: workingDir, path });
    throw failure({ instruction, command, state, hint: refusalHint([...refusedAt]) }, result, strikesBefore, examine);
  }
  const createdBy = runHistory(state, command.argv);
  return { state, touched: { kind: 'anything', except: mountTargets, unchanged }, history: { createdBy }, secretIds };
}

/** A missing working folder is made as runc does, but not in what is somebody else's. */
function refuseForeignFolder(root: Root, workingDir: string): void {
  const { path, mode, isProtected } = resolvePath(root, bytesFromText(workingDir), 'follow');
  if (mode !== undefined || !isProtected) return;
  const message = `Cannot run in ${workingDir}: /${textFromBytes(path)} is this container's here, not the image's`;
  throw new BuilderError('ERR_UNSUPPORTED', message, { hint: 'give the image another folder, or mount yours elsewhere' });
}

interface MountedResult {
  readonly result: LaunchResult;
  readonly mountTargets: readonly ByteString[];
  /** Folders that the mounts changed and that are as before again; complete once they are restored. */
  readonly unchanged: readonly ByteString[];
  readonly secretIds: readonly string[];
}

/** Runs `action` while the mounts stand, and leaves no trace of them however it ends. */
async function withMounts(
  instruction: RunInstruction,
  command: RunCommand,
  workingDir: string,
  scope: RunScope,
  action: (argv: readonly string[], env: ReadonlyMap<string, string>) => Promise<LaunchResult>,
): Promise<MountedResult> {
  const placements = new MountTargets(scope.files.disk.root, scope.files.disk.newFolder);
  using held = new DisposableStack();
  try {
    const script = command.script === undefined ? undefined : placeForScript(scope.files.disk.root, command.script.path);
    if (command.script !== undefined && script !== undefined) await placements.put(script, scriptFile(command.script.body));
    const argv = script === undefined ? command.argv : [...command.argv.slice(0, -1), script];
    const { expand, emit, signal, mounts: sources } = scope;
    const mounts = await putMounts(instruction.mounts, placements, { sources, expand, workingDir, held, emit, signal });
    try {
      const mountTargets = placements.targets;
      const { secretIds } = mounts;
      return { result: await action(argv, mounts.env), mountTargets, unchanged: placements.unchanged, secretIds };
    } finally {
      mounts.close();
    }
  } finally {
    await placements.restore();
  }
}

interface RunCommand {
  readonly argv: readonly string[];
  /** A heredoc that begins with `#!`, which is executed as a file. */
  readonly script?: { readonly path: string; readonly body: string };
}

/** What to execute: heredocs alone become the shell's script or a file of their own, others are handed to the shell as written. */
export function commandOf(command: Command, shell: readonly string[]): RunCommand {
  if (command.form === 'exec') return { argv: command.argv };
  const [first] = command.heredocs;
  if (first === undefined) return { argv: [...shell, command.text] };
  const isAlone = command.heredocs.length === 1 && /^\d*<<-?[\t\n\f\r ]*[^<\t-\r ]+$/.test(trim(command.text));
  if (!isAlone) {
    const bodies = command.heredocs.map((heredoc) => `\n${heredoc.body}${heredoc.name}`);
    return { argv: [...shell, command.text + bodies.join('')] };
  }
  if (!first.body.startsWith('#!')) return { argv: [...shell, first.body] };
  const path = `/dev/pipes/${first.name}`;
  return { argv: [...shell, path], script: { path, body: first.body } };
}

function isEmptyCommand(command: Command): boolean {
  return command.form === 'exec' ? command.argv.length === 0 : command.text === '';
}

/** `created_by` of a RUN: the ARGs in scope, counted, then the command. */
export function runHistory(state: StageState, argv: readonly string[]): string {
  const args = [...state.args].map(([name, value]) => `${name}=${state.environment.get(name) ?? value ?? ''}`);
  return ['RUN', ...(args.length === 0 ? [] : [`|${args.length}`, ...args]), ...argv, '# buildkit'].join(' ');
}

/** Where a heredoc can be executed: where BuildKit has it, unless the container's /dev (as podman's) is mounted noexec. */
function placeForScript(root: Root, path: string): string {
  const places = [path, `/tmp/${path.slice(1)}`, `/.pipes/${posix.basename(path)}`];
  const works = (place: string): boolean => {
    for (let folder = posix.dirname(place); ; folder = posix.dirname(folder)) {
      const found = resolvePath(root, bytesFromText(folder), 'follow');
      if (found.mode !== undefined) return mayExecuteIn(absolutePath(root, found.path));
    }
  };
  return places.find(works) ?? path;
}

function scriptFile(body: string): Thing {
  const make = async (path: ByteString): Promise<void> => {
    await writeFile(fsPath(path), body, { flag: 'wx' });
    await chmod(fsPath(path), 0o755); // whatever our umask
  };
  return { type: 'file', make };
}

/** `network` is that of the whole build. @throws ERR_UNSUPPORTED for what a plain container has not */
export function refuseWhatNeedsPrivileges(instruction: RunInstruction, network: RunScope['network']): void {
  const refuse = (what: string, why: string, hint: string): never => {
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot run with ${what}: ${why}`, { hint });
  };
  if (instruction.security === 'insecure')
    refuse('--security=insecure', 'commands never get more privileges than the builder', 'remove it');
  const isOwnNetwork = instruction.network === undefined || instruction.network === 'default';
  if (instruction.network === 'none' || (isOwnNetwork && network === 'none'))
    refuse('--network=none', 'commands share the network of the builder', 'remove it, or give the container no network');
  const device = instruction.devices.find(({ value = '' }) => value.split(',').some((part) => /^required(?:=true)?$/i.test(part)));
  if (device !== undefined) refuse(`--device=${device.value ?? ''}`, 'devices are not handed to commands', 'remove "required"');
}

function failure(
  { instruction, command: { argv }, state, hint }: FailedRun,
  result: LaunchResult,
  before: Strikes,
  examine: () => string | undefined,
): CommandError {
  const text = instruction.text.length > longestShownText ? `${instruction.text.slice(0, longestShownText)}…` : instruction.text;
  const limit = memoryLimit();
  const strikes = limitStrikes();
  const wasOutOfMemory = strikes.memory > before.memory;
  const lackedProcesses = strikes.processes > before.processes;
  const ranAs = ranAsOf(state);
  const memory = `for want of memory${limit === undefined ? '' : `: the limit of this container is ${Math.round(limit / 1_048_576)} MiB`}`;
  const about = {
    ...given({ ranAs, hint }),
    ...(lackedProcesses
      ? { hint: 'raise the limit of processes (podPidsLimit of the kubelet), or have the command do less at a time (make -j1)' }
      : {}),
    ...(wasOutOfMemory ? { hint: 'raise resources.limits.memory of the pod, or have the command do less at a time (make -j1)' } : {}),
  };
  if (!('exitCode' in result)) {
    const why = wasOutOfMemory && result.signalName === 'SIGKILL' ? ` ${memory}` : '';
    return new CommandError(`${text} was killed by ${result.signalName}${why}`, { argv, signalName: result.signalName }, about);
  }
  const { exitCode, refusal } = result;
  // A shell says by 126 and 127 alone that it could not execute something.
  const seen = refusal === undefined && [126, 127, 139].includes(exitCode) ? examine() : undefined;
  const most = processLimit();
  const crowded = lackedProcesses
    ? `no further process could be started${most === undefined ? '' : `: the limit of this container is ${most}`}`
    : undefined;
  const meaning =
    wasOutOfMemory && exitCode === 137 ? `a process was killed ${memory}` : (refusal ?? seen ?? meaningOf(exitCode) ?? crowded);
  const message = `${text} failed with exit code ${exitCode}${meaning === undefined ? '' : `: ${meaning}`}`;
  return new CommandError(message, { argv, exitCode }, about);
}

interface FailedRun {
  readonly instruction: RunInstruction;
  readonly command: RunCommand;
  readonly state: StageState;
  readonly hint: string | undefined;
}

/** Who ran it and where, as far as that is not root in `/`. */
function ranAsOf({ config }: StageState): string | undefined {
  const { user = '', workingDir = '/', shell } = config;
  const facts = [
    /^(?:0|root)?(?::(?:0|root))?$/.test(user) ? '' : `USER ${user}`,
    workingDir === '/' ? '' : `WORKDIR ${workingDir}`,
    shell === undefined ? '' : `SHELL ${JSON.stringify(shell)}`,
  ].filter((fact) => fact !== '');
  return facts.length === 0 ? undefined : facts.join(', ');
}

/** What shells mean by a code; undefined for a program's own. */
function meaningOf(exitCode: number): string | undefined {
  if (exitCode === 126) return "a command can't be executed";
  if (exitCode === 127) return 'a command was not found';
  const signal = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128);
  return signal === undefined ? undefined : `a process was killed by ${signal[0]}`;
}

/** Runs `action`; a mistake of the Dockerfile is pinned to the instruction. */
function pinned<Value>(instruction: RunInstruction, action: () => Value): Value {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof BuilderError) || error.code !== 'ERR_DOCKERFILE' || error instanceof DockerfileError) throw error;
    throw new DockerfileError(error.message, instruction.range, {
      cause: error,
      hint: error.hint,
    });
  }
}
