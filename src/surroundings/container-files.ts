// What stood in the root before the first build of a container: CI systems run several builds in one, and what an earlier one
// left behind must not be taken for the container's own.
import { isFolder } from '../linux/files.ts';
import { existsSync, lstatSync, readFileSync, readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { makeFolder } from '../folders.ts';
import { type ByteString, bytesFromBuffer, bytesFromText, fsPath, joinBytes, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode, isMissing } from '../errors.ts';
import { childPath, isWithin } from '../paths.ts';
import { replaceSmallFileSync } from '../small-file.ts';

export interface ContainerFiles {
  /** Paths below the root that are not an image's. */
  readonly names: readonly ByteString[];
  /** Absolute: where earlier builds wrote their results, and what a job put into folders that images have, too. */
  readonly kept: readonly string[];
  /** Remembers, at the end of a build, what it leaves behind: all that is added later is somebody's own. */
  readonly leave: () => void;
}

interface Memory {
  /** Tells this container's root from that of another one which has the same builder's folder mounted. */
  readonly root: string;
  readonly names: readonly ByteString[];
  /** Undefined while a build runs, and for good where it was killed. */
  readonly left?: readonly ByteString[];
  /** Of all builds up to now. */
  readonly outputs?: readonly string[];
}

/** Folders of images in which jobs keep things between builds: a login, a Dockerfile, notes. */
const looseFolders: readonly ByteString[] = ['root', 'tmp', 'var/tmp'].map(bytesFromText);

/** Where the list is kept in the builder's folder; no RUN may change it. */
export const containerFilesList = 'container-files.json';

/**
 * Who lives in the root: of an earlier build in this container nothing does, and neither does a folder that only leads to what is
 * mounted. `shared` are names that images have too, `mounts` paths below the root, `written` what this build is to write, absolute.
 * @throws ERR_ROOTFS where the builder's folder can't be written
 */
export function findContainerFiles(
  rootPath: string,
  builderFolder: string,
  shared: ReadonlySet<string>,
  { mounts = [], written = [] }: { readonly mounts?: readonly ByteString[]; readonly written?: readonly string[] } = {},
): ContainerFiles {
  const root = identityOf(rootPath);
  const file = join(builderFolder, containerFilesList);
  const memory = readMemory(file, root);
  const folder = bytesFromText(rootPath);
  const list = (): readonly ByteString[] => [
    ...listNames(folder).flatMap((name) => (shared.has(name) ? [] : livingIn(folder, name, mounts))),
    ...looseIn(folder, mounts),
  ];
  const living = list().filter((name) => memory === undefined || memory.names.includes(name) || memory.left?.includes(name) === false);
  const outputs = (memory?.outputs ?? []).filter((place) => existsSync(place));
  const known = { root, names: living, outputs: [...new Set([...outputs, ...written])] };
  writeMemory(file, known);
  const isLoose = (name: ByteString): boolean => looseFolders.some((each) => isWithin(name, each));
  return {
    names: living.filter((name) => !isLoose(name)),
    kept: [...outputs, ...living.filter(isLoose).map((name) => join(rootPath, textFromBytes(name)))],
    leave: () => writeMemory(file, { ...known, left: list().filter((name) => !living.includes(name)) }),
  };
}

// A file or a folder with something in it, whole; of a folder that leads to a mount, what else is in it.
function livingIn(root: ByteString, path: ByteString, mounts: readonly ByteString[]): readonly ByteString[] {
  if (mounts.includes(path)) return [];
  const onDisk = joinBytes(root, path);
  if (!isFolder(onDisk)) return [path];
  const names = listNames(onDisk);
  if (names.length === 0) return [];
  if (!mounts.some((mount) => mount.startsWith(`${path}/`))) return [path];
  return names.flatMap((name) => livingIn(root, childPath(path, name), mounts));
}

function looseIn(root: ByteString, mounts: readonly ByteString[]): readonly ByteString[] {
  return looseFolders.flatMap((name) => {
    const folder = joinBytes(root, name);
    // What a link leads to is found at its own place.
    if (!isFolder(folder) || mounts.some((mount) => isWithin(name, mount))) return [];
    return listNames(folder).map((each) => childPath(name, each));
  });
}

function listNames(folder: ByteString): ByteString[] {
  return readdirSync(fsPath(folder), { encoding: 'buffer' }).map((name) => bytesFromBuffer(name));
}

/** The host name is there because numbers of removed directories are used again. */
function identityOf(rootPath: string): string {
  return `${lstatSync(rootPath, { bigint: true }).ino} ${hostname()}`;
}

function readMemory(file: string, root: string): Memory | undefined {
  try {
    const memory = JSON.parse(readFileSync(file, 'utf8')) as Memory; // written below; a RUN that touched it ended its build
    return memory.root === root ? memory : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new BuilderError('ERR_ROOTFS', `Cannot read ${file}: ${systemCode(error) ?? 'it is damaged'}`, {
      cause: error,
      hint: 'start a new container',
    });
  }
}

function writeMemory(file: string, memory: Memory): void {
  try {
    makeFolder(dirname(file), 0o755);
    replaceSmallFileSync(file, JSON.stringify(memory), 0o600);
  } catch (error) {
    throw new BuilderError('ERR_ROOTFS', `Cannot use ${dirname(file)} as the builder's folder`, {
      cause: error,
      hint: 'it must be writable; --kaniko-dir moves it',
    });
  }
}
