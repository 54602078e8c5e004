// Files that hold what no RUN should know: credentials of registries, and those of --secret.
import { existsSync, realpathSync } from 'node:fs';
import { relative } from 'node:path';
import { type ByteString, bytesFromText } from '../bytes.ts';
import { createProtection } from '../rootfs/protect.ts';
import type { BuildRequest } from '../build/request.ts';

/** A file that no RUN should read, and how to give the same out of its reach. */
export interface SecretFile {
  readonly path: string;
  readonly instead: string;
}

/**
 * Those that outlive the unpacking of a base: below one of `protectedPaths` (as paths in the root), or outside of the root. At any
 * other place the image may have a file of that name, which is its own.
 */
export function findSecretFiles(
  { secrets, rootPath }: Pick<BuildRequest, 'secrets' | 'rootPath'>,
  credentialFiles: readonly SecretFile[],
  protectedPaths: readonly ByteString[],
): readonly SecretFile[] {
  const protection = createProtection(protectedPaths);
  const files = [
    ...credentialFiles,
    ...secrets.flatMap(({ id, source }) => (source.kind === 'file' ? [{ path: source.path, instead: `--secret id=${id},env=NAME` }] : [])),
  ];
  return files.filter(({ path }) => {
    if (!existsSync(path)) return false;
    const inRoot = relative(rootPath, realpathSync(path));
    return inRoot.startsWith('../') || protection.covers(bytesFromText(inRoot));
  });
}
