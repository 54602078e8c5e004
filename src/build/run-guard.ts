// What stands around every RUN, which runs as root beside us: files with secrets are out of reach while it lasts, and contexts
// that it can write to and the builder's own files are compared after it.
import { realpathSync } from 'node:fs';
import { bytesFromText } from '../bytes.ts';
import { systemCode } from '../errors.ts';
import type { Emit, StepLabel } from '../events.ts';
import { hideFiles } from '../linux/hidden-files.ts';
import type { Launcher } from '../linux/launch.ts';
import { type Mount, readMounts } from '../linux/mounts.ts';
import type { ContextWatch } from './context-watch.ts';

export interface RunGuard {
  /** Files with secrets; those that can't be taken away are told of once. */
  readonly secretFiles: readonly string[];
  /** Folders that somebody gave us to read from. */
  readonly folders: readonly string[];
  readonly watch: ContextWatch;
  /** The step that is being executed. */
  readonly step: () => StepLabel | undefined;
  /** @throws ERR_TAMPERED when a RUN changed the builder's own files. */
  readonly verifySeal: () => void;
  readonly emit: Emit;
}

/** `launch` with the guard around it. */
export function guardLaunch(launch: Launcher['launch'], guard: RunGuard): Launcher['launch'] {
  const { verifySeal, watch, step, emit } = guard;
  const { ours, notes } = sortSecrets(guard.secretFiles, guard.folders);
  let isTold = false;
  return async (request) => {
    await watch.before(request.signal);
    const hidden = hideFiles(ours);
    try {
      for (const { path, reason } of hidden.left) notes.set(path, reason);
      if (!isTold)
        for (const [path, reason] of notes) emit({ kind: 'note', level: 'debug', message: `${path} stays readable for RUN: ${reason}` });
      isTold = true;
      return await launch(request);
    } finally {
      hidden.restore();
      verifySeal();
      // A command that failed is looked after too; a build that was stopped wants to end.
      if (!request.signal.aborted) await watch.after(step(), request.signal);
    }
  };
}

function sortSecrets(
  paths: readonly string[],
  folders: readonly string[],
): { readonly ours: readonly string[]; readonly notes: Map<string, string> } {
  const mounts = readMounts();
  const notes = new Map<string, string>();
  const ours = paths.filter((path) => {
    if (folders.some((folder) => path.startsWith(`${folder}/`))) notes.set(path, 'it is in the context');
    else if (!isForUsToRemove(path, mounts))
      notes.set(path, 'it is in a mounted folder, whose owner must find it there whatever becomes of us');
    return !notes.has(path);
  });
  return { ours, notes };
}

/** The sandbox's copies of the host's files: in memory, and gone with the sandbox. */
const copies = '/yadokari/host';

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
