// What a build in the sandbox writes for the host: it waits in the sandbox's folder, so no RUN can reach the place it is for,
// and is brought there when everything inside has ended.
import { constants, lstatSync, realpathSync, statSync } from 'node:fs';
import { copyFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeFolder } from '../../folders.ts';
import { BuilderError, systemReason, systemCode } from '../../errors.ts';
import { copyImage } from '../../oci/copy-image.ts';
import { checkOutputPlace } from '../../outputs/output-place.ts';
import { openLayoutSink, openLayoutSource } from '../../store/oci-layout.ts';

/** A file or an OCI layout that the command line asks for; the path is absolute, on the host. */
export interface SandboxOutput {
  readonly path: string;
  readonly kind: 'file' | 'layout';
  /** A report: written also where the build failed. */
  readonly isReport?: true;
}

/** Makes the folders in the outbox. @throws ERR_USAGE for an output that could not be put in its place later */
export function prepareOutputs(outputs: readonly SandboxOutput[], outbox: string): void {
  for (const { path, kind } of outputs) {
    checkOutputPlace(path, kind);
    makeFolder(dirname(join(outbox, path)));
  }
}

/** Brings what the build wrote to its place. @throws ERR_TAMPERED when a RUN laid a trail out of the outbox, ERR_ROOTFS */
export async function deliverOutputs(
  outputs: readonly SandboxOutput[],
  outbox: string,
  options: { readonly tag: string; readonly signal: AbortSignal; readonly isFailed?: boolean },
): Promise<void> {
  const own = realpathSync(outbox);
  for (const { path, kind, isReport = false } of outputs) {
    if (options.isFailed === true && !isReport) continue;
    const written = join(own, path);
    const found = lstatSync(written, { throwIfNoEntry: false });
    if (found === undefined) continue; // a dry run writes nothing
    if (realpathSync(written) !== written || !(kind === 'file' ? found.isFile() : found.isDirectory()))
      throw new BuilderError('ERR_TAMPERED', `Cannot write ${path}: a RUN put something else in the place where it was waiting`);
    if (kind === 'layout') await deliverLayout(written, path, options);
    else await deliverFile(written, path);
  }
}

async function deliverLayout(from: string, to: string, options: { readonly tag: string; readonly signal: AbortSignal }): Promise<void> {
  const { tag, signal } = options;
  const source = await openLayoutSource({ folder: from, tag }, undefined, signal);
  await copyImage(source, openLayoutSink({ folder: to, tag }), signal);
}

async function deliverFile(from: string, to: string): Promise<void> {
  try {
    makeFolder(dirname(to));
    const target = statSync(to, { throwIfNoEntry: false }) === undefined ? to : realpathSync(to);
    const temporary = join(dirname(target), `.${basename(target)}.yadokari`);
    try {
      await rm(temporary, { force: true });
      await copyFile(from, temporary, constants.COPYFILE_EXCL);
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      // A file in a folder that is not ours, or one that is a mount: only its content can be changed.
      if (!['EACCES', 'EPERM', 'EBUSY', 'EROFS'].includes(systemCode(error) ?? '')) throw error;
      await copyFile(from, target);
    }
  } catch (error) {
    throw new BuilderError('ERR_ROOTFS', `Cannot write ${to}: ${systemReason(error)}`, { cause: error });
  }
}
