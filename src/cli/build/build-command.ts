// `executor [build]`: in a container of our own the build itself, anywhere else the same in a throwaway root.
import { existsSync, fstatSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { makeFolder } from '../../folders.ts';
import { buildImage } from '../../build/build.ts';
import { readDockerfile, withIgnoreFile } from '../../build/dockerfile-file.ts';
import type { BuildRequest, BuildResult } from '../../build/request.ts';
import { splitDigest } from '../../oci/digest.ts';
import type { OutputRequest } from '../../outputs/output-request.ts';
import { standardOutput } from '../../store/whole-file.ts';
import { filesVariable } from '../../registry/credentials.ts';
import { contextsFolder } from '../../surroundings/contexts.ts';
import { withRealPlaces } from '../../surroundings/real-places.ts';
import { openSurroundings } from '../../surroundings/surroundings.ts';
import { parseDockerfile } from '../../dockerfile/parse.ts';
import type { Dockerfile } from '../../dockerfile/instruction.ts';
import { BuilderError, DockerfileError, firstFailure, messageOf } from '../../errors.ts';
import type { Emit, StepLabel } from '../../events.ts';
import { given } from '../../given.ts';
import { appFolder, findContainerSign, insideContainer, realSurroundings, sandboxVariable } from '../../sandbox/detect.ts';
import { tellAccepted } from '../accepted.ts';
import { codeLine, describeBuildFailure, exitStatusOf, failureRange, signalNumbers } from '../exit.ts';
import type { CommandInput } from '../command.ts';
import { isQuiet } from '../settings.ts';
import { ownBuildFlags } from '../tables/own-build.ts';
import { withHostPaths } from '../sandbox/host-paths.ts';
import { trackProgress, type Progress } from '../../report/progress.ts';
import { capabilityHint, idHint, readPowers, refuseUnfitPod } from './pod-security.ts';
import { makeRegistryRequest } from '../requests/registry-request.ts';
import type { Report } from '../../report/report.ts';
import { openReportFiles, reportPaths, withReportFiles } from './report-files.ts';
import { makeBuildRequest } from '../requests/build-request.ts';
import { withPolicy } from '../requests/transport-request.ts';
import { runBuildInSandbox } from '../sandbox/sandbox-command.ts';
import { openTelemetry } from './telemetry.ts';
import { openContextInput, readStandardInput } from '../standard-input.ts';
import { runTargets } from './targets-command.ts';

/** Where the builder is, in its image as in the sandbox. */
const home = dirname(appFolder);

/** What else of the builder is beside its code. */
const ownFiles = ['node', 'ld', 'lib', 'nss.conf', 'package.json', 'executor', 'yadokari', 'warmer', 'ssl'] as const;

/** kaniko's command line, which has no command, or our own. */
export type BuildForm = 'executor' | 'build';

/** Builds, reports, and gives the exit status. */
export async function runBuildCommand(asked: CommandInput, form: BuildForm): Promise<number> {
  const input = withNamedFiles(asked);
  const { settings, env } = input;
  if (settings.has('targets-file') || settings.has('targets')) return await runTargets(input, form);
  const mainPath = realpathSync(process.argv[1] ?? '');
  const isSandboxed = env[sandboxVariable] === '1';
  const verdict = insideContainer({
    mainPath,
    isSandboxed,
    isForced: settings.boolean('force'),
    sign: findContainerSign(realSurroundings(env['container'])),
  });
  if (!verdict.isInside) {
    return await runBuildInSandbox(input, { mainPath, form, reason: verdict.reason });
  }
  const workingDirectory = isSandboxed ? (env['YADOKARI_WORKING_DIRECTORY'] ?? '/') : process.cwd();
  using files = openReportFiles(settings, { env, workingDirectory, now: Date.now });
  const withFiles = withReportFiles(withPlanOnStdout(input), files);
  const telemetry = await openTelemetry(settings, { env, workingDirectory, command: form, emit: withFiles.emit });
  const report = telemetry === undefined ? withFiles : withListener(withFiles, telemetry.emit);
  const shown = isSandboxed ? withHostPaths(report, env) : report;
  tellAccepted(settings, ownBuildFlags, env, report.emit);
  const started = performance.now();
  const elapsedMs = (): number => performance.now() - started;
  try {
    return await buildHere({ ...input, report: shown }, { mainPath, form, workingDirectory, elapsedMs });
  } catch (error) {
    // Whoever called us prints it.
    telemetry?.emit({ kind: 'build.finished', durationMs: elapsedMs(), failure: messageOf(error) });
    files.emit({ kind: 'build.finished', durationMs: elapsedMs(), failure: messageOf(error) });
    throw error;
  } finally {
    await telemetry?.finish();
  }
}

/**
 * Of the places where credentials may be, --authfile leaves the one that it names; of policies, the flag for it. @throws ERR_USAGE where
 * there is no such file
 */
function withNamedFiles(asked: CommandInput): CommandInput {
  const input = { ...asked, env: withPolicy(asked.settings, asked.env) };
  const path = input.settings.text('authfile');
  if (path === undefined) return input;
  if (!existsSync(path)) throw new BuilderError('ERR_USAGE', `Cannot use --authfile ${path}: it does not exist`);
  const { DOCKER_AUTH_CONFIG: _, ...env } = input.env;
  return { ...input, env: { ...env, [filesVariable]: resolve(path) } };
}

/** A plan that was asked for is a result, and no log; programs get it with the other events. */
function withPlanOnStdout({ settings, report, stdout }: CommandInput): Report {
  if (!settings.boolean('dryrun') || settings.text('log-format') === 'json') return report;
  const emit: Emit = (event) => {
    if (event.kind === 'plan') stdout.write(`${event.message}\n`);
    else report.emit(event);
  };
  return { ...report, emit };
}

/** The report, with somebody else who hears its events. */
function withListener(report: Report, listen: Emit): Report {
  const emit: Emit = (event) => {
    listen(event);
    report.emit(event);
  };
  return { ...report, emit };
}

interface BuildPlace {
  readonly mainPath: string;
  readonly form: BuildForm;
  readonly workingDirectory: string;
  /** Since the build began. */
  readonly elapsedMs: () => number;
}

async function buildHere(input: CommandInput, { mainPath, form, workingDirectory, elapsedMs }: BuildPlace): Promise<number> {
  const { settings, env, report, signal } = input;
  const powers = readPowers();
  refuseUnfitPod(powers);
  const asked = makeBuildRequest(settings, input.positionals, {
    env,
    workingDirectory,
    nodeArch: process.arch,
    builderFolder: home,
    defaultContext: '/workspace/',
    isKanikos: form === 'executor',
    hasTerminal: input.hasTerminal,
  });
  const progress = trackProgress(report.emit);
  let dockerfile: Dockerfile | undefined;
  try {
    const registry = makeRegistryRequest(settings, env, workingDirectory);
    const { request, standardInput } = await withInput(withRealPlaces(asked), settings.has('dockerfile'), signal);
    const ownFolders = [dirname(mainPath), process.execPath, ...ownFiles.map((name) => join(home, name))];
    const growingFiles = [...reportPaths(settings, workingDirectory), ...redirections()];
    const around = { env, workingDirectory, ownFolders, growingFiles, standardInput, emit: progress.emit, signal };
    await using world = await openSurroundings(request, registry, around);
    // What came by standard input has its Dockerfile in itself, whatever lies here; so has, for docker build, what no --file is named for.
    const isInContext = asked.context === '-' || (form === 'build' && !settings.has('dockerfile'));
    const { contextFolder } = world;
    const file = await readDockerfile(
      request.dockerfile,
      { workingDirectory: isInContext ? contextFolder : workingDirectory, contextFolder },
      {
        standardInput: async () => await readStandardInput('the Dockerfile', standardInput),
        download: async (url) => (await world.ports.download(url, { signal })).body,
      },
    );
    if (file.isOther === true) {
      const message = `${file.path} of the working directory is the Dockerfile, and not the one in the context (as with kaniko)`;
      progress.emit({ kind: 'warning', code: 'dockerfile-elsewhere', message });
    }
    try {
      dockerfile = parseDockerfile(file.text, file.name);
    } catch (error) {
      if (!(error instanceof DockerfileError)) throw error;
      const unparsed = { name: file.name, text: file.text.toString('utf8') };
      const at = { dockerfile: unparsed, step: undefined, elapsedMs };
      return fail(report, error, at, describeBuildFailure(error, at, false));
    }
    const { ignoreFile } = request;
    const ports = withIgnoreFile(world.ports, file, { workingDirectory, ...given({ ignoreFile }) });
    const result = await buildImage(dockerfile, request, ports);
    if (result !== undefined) summarize(input, { result, output: request.output }, elapsedMs());
    return 0;
  } catch (caught) {
    if (signal.aborted) return reportAbort(report, signal, progress, elapsedMs());
    const error = firstFailure(caught, progress.emit);
    return reportFailure(input, error, { progress, dockerfile, hint: capabilityHint(error, powers), elapsedMs });
  } finally {
    report.close();
  }
}

/** The files that standard output and standard error are redirected to. */
function redirections(): readonly string[] {
  return [1, 2].flatMap((fd) => (fstatSync(fd).isFile() ? [readlinkSync(`/proc/self/fd/${fd}`)] : []));
}

/**
 * Looks at what a build gets whose context is `-`: the context, or a Dockerfile that has none.
 * @throws ERR_USAGE where a Dockerfile comes and another one is named
 */
async function withInput(
  request: BuildRequest,
  namesDockerfile: boolean,
  signal: AbortSignal,
): Promise<{ readonly request: BuildRequest; readonly standardInput?: AsyncIterable<Buffer> }> {
  if (request.context !== '-') return { request };
  const { kind, bytes } = await openContextInput(signal);
  if (kind === 'archive') return { request: { ...request, context: 'tar://stdin' }, standardInput: bytes };
  if (namesDockerfile)
    throw new BuilderError('ERR_USAGE', 'Cannot use --dockerfile: what comes by standard input is no archive, and so a Dockerfile itself', {
      hint: 'a folder as context and --dockerfile=-, or an archive on standard input',
    });
  const context = join(request.builderFolder, contextsFolder, 'none');
  makeFolder(context);
  return { request: { ...request, dockerfile: '-', context }, standardInput: bytes };
}

function summarize(
  { report, settings, stdout }: CommandInput,
  { result, output }: { readonly result: BuildResult; readonly output: OutputRequest },
  durationMs: number,
): void {
  for (const { destination } of result.pushed) report.line('info', `  ${destination}`);
  const [pushed] = result.pushed;
  // Tags move: the digest is what a script wants to hold.
  const isTaken = output.exports.some(({ path }) => path === standardOutput);
  // As buildah, which scripts take the id from.
  if (output.store !== undefined && pushed === undefined && !isTaken) stdout.write(`${splitDigest(result.imageId).hex}\n`);
  else if (isQuiet(settings) && !isTaken) stdout.write(`${pushed === undefined ? '' : `${pushed.destination}@`}${result.digest}\n`);
  report.emit({ kind: 'build.finished', digest: result.digest, durationMs });
}

function reportAbort(report: Report, signal: AbortSignal, progress: Progress, durationMs: number): number {
  report.close({ message: 'stopped' });
  const name = signal.reason instanceof BuilderError ? signal.reason.message : 'SIGTERM';
  report.emit({ kind: 'build.finished', durationMs, failure: `stopped by ${name}` });
  report.line('error', `error: received ${name} ${progress.where()}: stopped, ${progress.outcome()}`);
  report.line('error', codeLine('ERR_ABORTED'));
  return 128 + (signalNumbers[name] ?? 15);
}

function reportFailure(
  { settings, env, report }: CommandInput,
  error: unknown,
  at: Pick<FailedAt, 'elapsedMs'> & {
    readonly progress: Progress;
    readonly dockerfile: Dockerfile | undefined;
    readonly hint: string | undefined;
  },
): number {
  const { progress, dockerfile, elapsedMs } = at;
  const isVerbose = ['trace', 'debug'].includes(settings.text('verbosity') ?? 'info');
  const place = { dockerfile, step: progress.failedStep(), elapsedMs };
  const ids = idHint(error, env);
  const lines = describeBuildFailure(error, place, isVerbose).filter((line) => ids === undefined || !line.startsWith('  try: '));
  const hint = ids ?? at.hint;
  const hasHint = hint === undefined || lines.some((line) => line.startsWith('  try: '));
  return fail(
    report,
    error,
    place,
    hasHint ? lines : lines.flatMap((line) => (line.startsWith('  code: ') ? [`  try: ${hint}`, line] : [line])),
  );
}

interface FailedAt {
  readonly dockerfile: Pick<Dockerfile, 'name'> | undefined;
  readonly step: StepLabel | undefined;
  readonly elapsedMs: () => number;
}

function fail(report: Report, error: unknown, { dockerfile, step, elapsedMs }: FailedAt, lines: readonly string[]): number {
  const range = failureRange(error, step);
  const place = dockerfile === undefined || range === undefined ? {} : { place: { file: dockerfile.name, range } };
  const message = messageOf(error);
  report.close({ message, ...place });
  report.emit({ kind: 'build.finished', durationMs: elapsedMs(), failure: message });
  for (const line of lines) report.line('error', line);
  return exitStatusOf(error);
}
