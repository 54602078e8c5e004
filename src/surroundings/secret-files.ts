// Files that hold what no RUN should know: credentials of registries, and those of --secret.
import { existsSync, lstatSync, realpathSync, rmSync } from 'node:fs';
import { relative } from 'node:path';
import { type ByteString, bytesFromText } from '../bytes.ts';
import { createProtection } from '../rootfs/protect.ts';
import type { BuildRequest, SecretSpec } from '../build/request.ts';
import { inWords, orElse } from '../errors.ts';
import { readSmallFileSync } from '../small-file.ts';

/** A file that no RUN should read, and how to give the same out of its reach. */
export interface SecretFile {
  readonly path: string;
  readonly instead: string;
  /** All there is to know of it has been read, and stays in our memory. */
  readonly isRead: boolean;
}

/** Whoever copies a file for one build alone says so by a file of this name: the build may delete both. */
export function onceMark(path: string): string {
  return `${path}.once`;
}

/** A plain file of ours or root's beside it: nobody else decides what is deleted. */
export function isForOnce({ path, isRead }: SecretFile): boolean {
  const mark = lstatSync(onceMark(path), { throwIfNoEntry: false });
  if (!isRead || mark?.isFile() !== true || (mark.uid !== 0 && mark.uid !== process.getuid?.())) return false;
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** Deletes those and their marks. */
export function takeForGood(files: readonly SecretFile[]): void {
  for (const { path } of files) {
    rmSync(path, { force: true }); // one file may have two names
    rmSync(onceMark(path), { force: true });
  }
}

/** Those that are there: of the credentials, and of --secret. */
export function presentSecretFiles(
  { secrets }: Pick<BuildRequest, 'secrets'>,
  credentialFiles: readonly SecretFile[],
): readonly SecretFile[] {
  const named = secrets.flatMap(({ id, source }) =>
    source.kind === 'file' ? [{ path: source.path, instead: `--secret id=${id},env=NAME`, isRead: true }] : [],
  );
  return [...credentialFiles, ...named].filter(({ path }) => existsSync(path));
}

/**
 * Those of `files` that outlive the unpacking of a base: below one of `protectedPaths` (as paths in the root), or outside of the root. At any
 * other place the image may have a file of that name, which is its own.
 */
export function findSecretFiles(
  files: readonly SecretFile[],
  { rootPath }: Pick<BuildRequest, 'rootPath'>,
  protectedPaths: readonly ByteString[],
): readonly SecretFile[] {
  const protection = createProtection(protectedPaths);
  return files.filter(({ path }) => {
    const inRoot = relative(rootPath, realpathSync(path));
    return inRoot.startsWith('../') || protection.covers(bytesFromText(inRoot));
  });
}

const secretLimitBytes = 512 * 1024;

/** What a secret holds. @throws ERR_USAGE where its file can't be read, or has more than half a MiB */
export function readSecret(secret: SecretSpec): Buffer {
  if (secret.source.kind === 'value') return Buffer.from(secret.source.value);
  const { path } = secret.source;
  return orElse(() => readSmallFileSync(path, secretLimitBytes), inWords('ERR_USAGE', `Cannot read secret ${secret.id} from ${path}`));
}
