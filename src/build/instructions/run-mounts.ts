// RUN --mount: each kind as a thing that stands at its target while the command runs.
import { createHash } from 'node:crypto';
import { chmod, lchown, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../../bytes.ts';
import { judgePath } from '../../context/ignore.ts';
import { type SourceTree, locate, pathIn } from '../../context/tree.ts';
import type { Flag } from '../../dockerfile/instruction.ts';
import { BuilderError, DockerfileError, systemCode } from '../../errors.ts';
import type { Emit } from '../../events.ts';
import { copyTree } from './mount-copy.ts';
import { type Mount, parseMount } from './mount.ts';
import type { Placements, Thing } from './placement.ts';
import { type AgentSocket, openAgentSocket } from './ssh-socket.ts';

/** Where mounts get their content. */
export interface MountSources {
  /** What `from` names, as for COPY; undefined is the build context. @throws BuilderError where there is none */
  readonly tree: (from: string | undefined) => Promise<SourceTree>;
  /** The bytes of `--secret id=…`; undefined where it was not given. */
  readonly secret: (id: string) => Buffer | undefined;
  /** The agent's socket of `--ssh id`; undefined where it was not given. */
  readonly ssh: (id: string) => string | undefined;
  /** Where cache mounts live between RUNs: a folder of the builder's. */
  readonly cacheFolder: ByteString;
}

export interface MountScope {
  readonly sources: MountSources;
  readonly expand: (word: string) => string;
  readonly workingDir: string;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** What the mounts of one RUN brought about besides what stands at their targets. */
export interface PutMounts {
  /** Variables that the command gets. */
  readonly env: ReadonlyMap<string, string>;
  /** Ids of the secrets that the command can read. */
  readonly secretIds: readonly string[];
  /** Ends the agent sockets; to be called before the targets are restored. */
  readonly close: () => void;
}

/**
 * Puts all mounts in place, parents before what is below them.
 * @throws DockerfileError for a wrong flag or a missing source, ERR_UNSAFE_PATH, ERR_ROOTFS
 */
export async function putMounts(flags: readonly Flag[], placements: Placements, scope: MountScope): Promise<PutMounts> {
  const mounts = flags.map((flag) => ({ flag, mount: parseMount(flag, scope.expand, scope.workingDir) }));
  const work = new MountWork(scope);
  try {
    const placed = mounts.flatMap(({ flag, mount }) => work.thingFor(flag, mount));
    for (const { target, thing } of placed.toSorted((a, b) => (a.target < b.target ? -1 : 1))) await placements.put(target, await thing());
  } catch (error) {
    work.close();
    throw error;
  }
  return { env: work.env, secretIds: work.secretIds, close: () => work.close() };
}

interface Wanted {
  readonly target: string;
  readonly thing: () => Promise<Thing>;
}

class MountWork {
  readonly env = new Map<string, string>();
  readonly secretIds: string[] = [];
  readonly #scope: MountScope;
  readonly #sockets: AgentSocket[] = [];
  /** Cache folders in use, to the targets where they stand. */
  readonly #caches = new Map<string, string>();
  #agents = 0;

  constructor(scope: MountScope) {
    this.#scope = scope;
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  thingFor(flag: Flag, mount: Mount): readonly Wanted[] {
    switch (mount.type) {
      case 'bind':
        return [{ target: mount.target, thing: () => this.#bind(flag, mount) }];
      case 'cache':
        return [{ target: mount.target, thing: () => this.#cache(flag, mount) }];
      case 'tmpfs':
        return [{ target: mount.target, thing: () => Promise.resolve(this.#tmpfs(flag, mount)) }];
      case 'secret':
        return this.#secret(flag, mount);
      case 'ssh':
        return this.#ssh(flag, mount);
      default:
        return mount satisfies never;
    }
  }

  async #bind(flag: Flag, mount: Extract<Mount, { type: 'bind' }>): Promise<Thing> {
    const tree = await this.#scope.sources.tree(mount.from);
    const source = findSource(flag, tree, mount.source);
    // A copy: what the command writes to it is discarded, as BuildKit does with a writable bind mount.
    return { type: source.isDirectory ? 'directory' : 'file', make: (path) => copyTree(tree, source.path, path, this.#scope.signal) };
  }

  async #cache(flag: Flag, mount: Extract<Mount, { type: 'cache' }>): Promise<Thing> {
    const { cacheFolder, tree: treeOf } = this.#scope.sources;
    const key = mount.from === undefined ? mount.id : [mount.id, mount.from, mount.source].join('\0');
    const standing = this.#caches.get(key);
    if (standing !== undefined && mount.sharing !== 'private') {
      return { type: 'symlink', make: (path) => symlink(standing, fsPath(path)) };
    }
    const name = standing === undefined ? key : `${key}\0${mount.target}`;
    this.#caches.set(name, mount.target);
    const folder = joinBytes(cacheFolder, bytesFromText(createHash('sha256').update(name).digest('hex')));
    await this.#initCache(flag, mount, folder, treeOf);
    const kept = mount.from === undefined && mount.source !== '/' ? await cacheSubfolder(flag, folder, mount.source) : folder;
    const copy = (from: ByteString, to: ByteString): Promise<void> => copyTree(keptTree(from), bytesFromText(''), to, this.#scope.signal);
    if (mount.isReadOnly) return { type: 'directory', make: (path) => copy(kept, path) };
    return {
      type: 'directory',
      make: (path) => moveFolder(kept, path, copy),
      keep: async (path) => {
        await rm(fsPath(kept), { recursive: true, force: true });
        await moveFolder(path, kept, copy);
      },
    };
  }

  /** A new cache has the attributes that the mount asks for, and what `from` has. */
  async #initCache(flag: Flag, mount: Extract<Mount, { type: 'cache' }>, folder: ByteString, treeOf: MountSources['tree']): Promise<void> {
    await mkdir(fsPath(this.#scope.sources.cacheFolder), { recursive: true, mode: 0o700 });
    try {
      await mkdir(fsPath(folder), { mode: 0o700 });
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return;
      throw error;
    }
    if (mount.from !== undefined) {
      const tree = await treeOf(mount.from);
      const source = findSource(flag, tree, mount.source);
      if (!source.isDirectory)
        throw new DockerfileError(`Cannot use ${mount.source} of ${tree.label} as a cache: it is not a folder`, flag.range);
      await rm(fsPath(folder), { recursive: true });
      await copyTree(tree, source.path, folder, this.#scope.signal);
    }
    await lchown(fsPath(folder), mount.uid, mount.gid);
    await chmod(fsPath(folder), mount.mode);
  }

  #tmpfs(flag: Flag, mount: Extract<Mount, { type: 'tmpfs' }>): Thing {
    if (mount.sizeBytes !== undefined) {
      const message = `the size of the tmpfs at ${mount.target} is not limited: it is a plain folder here`;
      this.#scope.emit({ kind: 'warning', code: 'mount-tmpfs-size', message, range: flag.range });
    }
    return { type: 'directory', make: (path) => makeFolder(path, 0o1777) };
  }

  #secret(flag: Flag, mount: Extract<Mount, { type: 'secret' }>): readonly Wanted[] {
    const bytes = this.#scope.sources.secret(mount.id);
    if (bytes === undefined) return this.#absent(flag, mount.isRequired, `secret ${mount.id}`, `--secret id=${mount.id},src=FILE`);
    this.secretIds.push(mount.id);
    if (mount.env !== undefined) {
      if (bytes.includes(0)) throw new DockerfileError(`Cannot put secret ${mount.id} into ${mount.env}: it holds a NUL byte`, flag.range);
      this.env.set(mount.env, bytes.toString());
    }
    if (mount.target === undefined) return [];
    const make = async (path: ByteString): Promise<void> => {
      await writeFile(fsPath(path), bytes, { flag: 'wx', mode: 0o600 });
      await lchown(fsPath(path), mount.uid, mount.gid);
      await chmod(fsPath(path), mount.mode);
    };
    return [{ target: mount.target, thing: () => Promise.resolve({ type: 'file', make, isSecret: true }) }];
  }

  #ssh(flag: Flag, mount: Extract<Mount, { type: 'ssh' }>): readonly Wanted[] {
    const agent = this.#scope.sources.ssh(mount.id);
    if (agent === undefined) return this.#absent(flag, mount.isRequired, `SSH agent ${mount.id}`, `--ssh ${mount.id}=SOCKET`);
    const target = mount.target ?? `/run/buildkit/ssh_agent.${this.#agents}`;
    this.#agents += 1;
    if (!this.env.has('SSH_AUTH_SOCK')) this.env.set('SSH_AUTH_SOCK', target);
    const make = async (path: ByteString): Promise<void> => {
      this.#sockets.push(await openAgentSocket(path, agent));
      await lchown(fsPath(path), mount.uid, mount.gid);
      await chmod(fsPath(path), mount.mode);
    };
    return [{ target, thing: () => Promise.resolve({ type: 'socket', make }) }];
  }

  #absent(flag: Flag, isRequired: boolean, what: string, option: string): readonly Wanted[] {
    if (isRequired)
      throw new DockerfileError(`Cannot run: ${what} is required and was not given`, flag.range, { hint: `give it with ${option}` });
    return [];
  }
}

/** A source as the build sees it: links stay inside the tree, and what the ignore file hides is not there. */
function findSource(flag: Flag, tree: SourceTree, source: string): { readonly path: ByteString; readonly isDirectory: boolean } {
  const located = locate(tree.folder, bytesFromText(source));
  const isVisible =
    located.kind === 'found' &&
    tree.hides?.(located.path) !== true &&
    (tree.ignore === undefined ||
      located.path === '' ||
      located.stats.isDirectory() ||
      !judgePath(tree.ignore, textFromBytes(located.path)).isIgnored);
  if (!isVisible) throw new DockerfileError(`Cannot mount ${source}: it is not in ${tree.label}`, flag.range);
  if (!located.stats.isDirectory() && !located.stats.isFile()) {
    throw new DockerfileError(`Cannot mount ${source} of ${tree.label}: it is neither a file nor a folder`, flag.range);
  }
  return { path: located.path, isDirectory: located.stats.isDirectory() };
}

/** `source` inside a cache, made where it is missing; a link that a command left there leads nowhere but into the cache. */
async function cacheSubfolder(flag: Flag, folder: ByteString, source: string): Promise<ByteString> {
  const located = locate(folder, bytesFromText(source));
  if (located.kind === 'found' && located.stats.isDirectory()) return pathIn(folder, located.path);
  if (located.kind !== 'missing' || located.link !== undefined) {
    throw new DockerfileError(`Cannot mount ${source} of the cache: it is not a folder`, flag.range);
  }
  const path = pathIn(folder, [located.path, ...located.rest].join('/') as ByteString); // joined from ByteStrings
  await mkdir(fsPath(path), { recursive: true, mode: 0o755 });
  return path;
}

function keptTree(folder: ByteString): SourceTree {
  return { folder, label: 'the cache', keepsOwners: true };
}

/** Moves a folder; across filesystems it is copied, and the original left. */
async function moveFolder(from: ByteString, to: ByteString, copy: (from: ByteString, to: ByteString) => Promise<void>): Promise<void> {
  try {
    await rename(fsPath(from), fsPath(to));
  } catch (error) {
    if (systemCode(error) !== 'EXDEV') throw new BuilderError('ERR_ROOTFS', `Cannot move ${textFromBytes(from)}`, { cause: error });
    await copy(from, to);
  }
}

async function makeFolder(path: ByteString, mode: number): Promise<void> {
  await mkdir(fsPath(path));
  await chmod(fsPath(path), mode);
}
