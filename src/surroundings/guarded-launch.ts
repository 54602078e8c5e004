// What stands around every RUN, which runs as root beside us: files with secrets are out of reach while it lasts, and contexts
// that it can write to and the builder's own files are compared after it.
import { existsSync, realpathSync } from 'node:fs';
import { bytesFromText } from '../bytes.ts';
import type { BuildPorts } from '../build/ports.ts';
import { BuilderError, systemCode } from '../errors.ts';
import type { Emit, StepLabel } from '../events.ts';
import { Capability, hasCapability } from '../linux/capabilities.ts';
import { hideFiles } from '../linux/hidden-files.ts';
import { type Launcher, createLauncher } from '../linux/launch.ts';
import { type Mount, readMounts } from '../linux/mounts.ts';
import { Processes } from '../linux/process.ts';
import type { ContextWatch } from './context-watch.ts';
import type { MountWatch } from './mount-watch.ts';
import { type SecretFile, isForOnce, takeForGood } from './secret-files.ts';

export interface RunGuard {
  /** Files with secrets; one warning names those that can't be taken away. */
  readonly secretFiles: readonly SecretFile[];
  /** Folders that somebody gave us to read from. */
  readonly folders: readonly string[];
  readonly watch: ContextWatch;
  readonly mounts: MountWatch;
  /** The step that is being executed. */
  readonly step: () => StepLabel | undefined;
  /** @throws ERR_TAMPERED when a RUN changed the builder's own files. */
  readonly verifySeal: () => void;
  readonly emit: Emit;
}

/** The program of the launcher's thread: beside the bundle, or its source. */
export const runThread = new URL(import.meta.url.endsWith('.ts') ? './run-thread.ts' : './run-thread.js', import.meta.url);

/** The launcher is a thread, which only builds with a RUN are to pay for (20 ms). */
export function launcherOf(stack: AsyncDisposableStack): Required<Pick<BuildPorts, 'openLauncher' | 'launch' | 'lookAgain' | 'readAhead'>> {
  const processes = new Processes();
  stack.defer(() => processes.close());
  let launcher: Launcher | undefined;
  stack.defer(async () => await launcher?.close());
  return {
    openLauncher: async () => {
      launcher ??= await createLauncher(processes, { thread: runThread });
    },
    launch: async (request) => {
      if (launcher === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot start a command: the launcher was not opened');
      return await launcher.launch(request);
    },
    lookAgain: (request) => launcher?.tell(request),
    readAhead: (request) => launcher?.tell(request),
  };
}

/** `launch` with the guard around it. */
export function guardLaunch(launch: Launcher['launch'], guard: RunGuard): Launcher['launch'] {
  const { verifySeal, watch, mounts, step, emit } = guard;
  const { ours, others, once } = sortSecrets(guard.secretFiles, guard.folders);
  let isTold = false;
  return async (request) => {
    await watch.before(request.signal);
    takeForGood(once.splice(0));
    const byRealPath = new Map(ours.flatMap((file) => (existsSync(file.path) ? [[realpathSync(file.path), file] as const] : [])));
    const hidden = hideFiles(ours.map(({ path }) => path));
    try {
      if (!isTold) {
        warnOfReadable([...others, ...hidden.left.flatMap(({ path }) => byRealPath.get(path) ?? [])], emit);
        if (!hasCapability(Capability.fsetid)) emit({ kind: 'warning', code: 'no-fsetid', message: lostBits });
      }
      isTold = true;
      mounts.before();
      // What was told before belongs to nobody's output.
      emit({ kind: 'phase', phase: 'running' });
      return await launch(request);
    } finally {
      hidden.restore();
      verifySeal();
      // A command that failed is looked after too; a build that was stopped wants to end.
      if (!request.signal.aborted) {
        mounts.after(request.argv.join(' '), step());
        await watch.after(step(), request.signal);
      }
    }
  };
}

/** Those that are ours to take away while a RUN runs, those that are not, and those to be deleted before the first one. */
function sortSecrets(files: readonly SecretFile[], folders: readonly string[]) {
  const mounts = readMounts();
  const isGiven = ({ path }: SecretFile): boolean => !folders.some((folder) => path.startsWith(`${folder}/`));
  const once = files.filter((file) => isGiven(file) && isForOnce(file));
  const rest = files.filter((file) => !once.includes(file));
  const isOurs = (file: SecretFile): boolean => isGiven(file) && isForUsToRemove(file.path, mounts);
  return { ours: rest.filter(isOurs), others: rest.filter((file) => !isOurs(file)), once };
}

/** The kernel says nothing of it: chmod(2) and chown(2) succeed. */
const lostBits =
  "without CAP_FSETID, what a RUN makes or changes has no set-group-ID bit where the group is not root's, whatever it asks for; securityContext.capabilities.add: [FSETID] in the pod's manifest";

/** A RUN is root and sees all that is mounted here. */
function warnOfReadable(files: readonly SecretFile[], emit: Emit): void {
  if (files.length === 0) return;
  const paths = [...new Set(files.map(({ path }) => path))].join(', ');
  const instead = [...new Set(files.map((file) => file.instead))].join(' and ');
  const message = `every RUN of this build can read ${paths}, which can't be taken away while one runs; where not all that they run is trusted, give ${instead}, or copy the file by an init container (executor login --help: --once)`;
  emit({ kind: 'warning', code: 'secrets-readable', message });
}

/** The sandbox's copies of the host's files: in memory, and gone with the sandbox. */
const copies = '/kaniko/host';

/**
 * A file is kept in our memory while it is away: if this process is killed then, it is lost. That is right in the container's
 * own root and in the sandbox, and wrong on anything that outlives us.
 */
export function isForUsToRemove(path: string, mounts: readonly Mount[]): boolean {
  let real: string;
  try {
    real = bytesFromText(realpathSync(path));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'].includes(systemCode(error) ?? '')) return true; // nothing to lose
    throw error;
  }
  let nearest: Mount | undefined;
  for (const mount of mounts) {
    const { target } = mount;
    const covers = target === '/' || real === target || real.startsWith(`${target}/`);
    // Of mounts on one place the last is on top.
    if (covers && target.length >= (nearest?.target.length ?? 0)) nearest = mount;
  }
  return nearest === undefined || nearest.target === '/' || nearest.target === copies || nearest.isReadOnly;
}

/** Passes events on, remembers which step they are about, and tells the end of one. */
export function followSteps(
  emit: Emit,
  onEnd: (step: StepLabel) => void,
): { readonly emit: Emit; readonly step: () => StepLabel | undefined } {
  let step: StepLabel | undefined;
  return {
    emit: (event) => {
      if (event.kind === 'step.started') step = event.step;
      if (event.kind === 'step.finished') onEnd(event.step);
      emit(event);
    },
    step: () => step,
  };
}
