// What stands around every RUN, which runs as root beside us: files with secrets are out of reach while it lasts, contexts that
// it can write to are put back as they were, and the builder's own files are compared after it.
import { accessSync, constants, realpathSync } from 'node:fs';
import { type ByteString, bytesFromText, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import type { Emit, StepLabel } from '../events.ts';
import { hideFiles } from '../linux/hidden-files.ts';
import type { Launcher } from '../linux/launch.ts';
import { type Mount, readMounts } from '../linux/mounts.ts';
import { type KeptFolder, keepFolder } from '../rootfs/keep.ts';

export interface RunGuard {
  /** Files with secrets; those that can't be taken away are told of once. */
  readonly secretFiles: readonly string[];
  /** Folders that somebody gave us to read from. */
  readonly folders: readonly string[];
  readonly builderFolder: string;
  /** The step that is being executed. */
  readonly step: () => StepLabel | undefined;
  /** @throws ERR_TAMPERED when a RUN changed the builder's own files. */
  readonly verifySeal: () => void;
  readonly emit: Emit;
}

/** `launch` with the guard around it. */
export function guardLaunch(launch: Launcher['launch'], guard: RunGuard): Launcher['launch'] {
  const { verifySeal, emit } = guard;
  const folders = guardedFolders(guard.folders);
  const { ours, notes } = sortSecrets(guard.secretFiles, folders);
  let kept: Promise<readonly KeptContext[]> | undefined;
  let isTold = false;
  return async (request) => {
    kept ??= keepContexts(folders, guard.builderFolder, emit, request.signal);
    const contexts = await kept;
    for (const { copy } of contexts) await copy.settle(request.signal);
    const hidden = hideFiles(ours);
    try {
      for (const { path, reason } of hidden.left) notes.set(path, reason);
      if (!isTold)
        for (const [path, reason] of notes) emit({ kind: 'note', level: 'debug', message: `${path} stays readable for RUN: ${reason}` });
      isTold = true;
      return await launch(request);
    } finally {
      try {
        hidden.restore();
      } finally {
        for (const context of contexts) await restoreContext(context, guard);
      }
      verifySeal();
    }
  };
}

interface KeptContext {
  readonly folder: string;
  readonly copy: KeptFolder;
}

/** Those a RUN could write to, without those in another one. A context that is mounted read-only costs nothing. */
function guardedFolders(folders: readonly string[]): readonly string[] {
  const writable = [...new Set(folders.map((folder) => realpathSync(folder)))].filter(isWritable);
  return writable.filter((folder) => !writable.some((outer) => folder.startsWith(outer === '/' ? '/' : `${outer}/`) && folder !== outer));
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false; // a RUN has no more rights than we
  }
}

async function keepContexts(
  folders: readonly string[],
  builderFolder: string,
  emit: Emit,
  signal: AbortSignal,
): Promise<readonly KeptContext[]> {
  const kept: KeptContext[] = [];
  for (const folder of folders) {
    try {
      if (`${realpathSync(builderFolder)}/`.startsWith(folder === '/' ? '/' : `${folder}/`))
        throw new BuilderError('ERR_CONTEXT', "the builder's own folder is in it");
      kept.push({ folder, copy: await keepFolder(bytesFromText(folder), builderFolder, signal) });
    } catch (error) {
      signal.throwIfAborted();
      if (systemCode(error) === undefined && !(error instanceof BuilderError)) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const message = `a RUN can change the context ${folder}, and it can't be put back: ${reason} (mount it read-only to keep it safe)`;
      emit({ kind: 'warning', code: `context-unkept ${folder}`, message });
    }
  }
  return kept;
}

async function restoreContext({ folder, copy }: KeptContext, { emit, step }: RunGuard): Promise<void> {
  const { changed, lost } = await copy.restore();
  if (changed.length === 0) return;
  const running = step();
  const name = (path: ByteString): string => (path === '.' ? folder : `${folder}/${textFromBytes(path)}`);
  const list = (paths: readonly ByteString[]): string => `${paths.slice(0, 3).map(name).join(', ')}${paths.length > 3 ? ', …' : ''}`;
  const state = lost.length === 0 ? 'all is as it was' : `${list(lost)} could not be put back`;
  emit({
    kind: 'warning',
    code: `context-changed ${running?.number ?? 0}`,
    message: `this RUN changed the context (${changed.length} paths: ${list(changed)}): ${state}`,
    ...(running === undefined ? {} : { range: running.range }),
  });
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

/** Passes events on, and remembers which step they are about. */
export function followSteps(emit: Emit): { readonly emit: Emit; readonly step: () => StepLabel | undefined } {
  let step: StepLabel | undefined;
  return {
    emit: (event) => {
      if (event.kind === 'step.started') step = event.step;
      emit(event);
    },
    step: () => step,
  };
}
