// RUN --mount: each kind as a thing that stands at its target while the command runs.
import { isUtf8 } from 'node:buffer';
import { chmod, lchown, mkdir, writeFile } from 'node:fs/promises';
import { type ByteString, fsPath } from '../../bytes.ts';
import type { SourceTree } from '../../context/tree.ts';
import type { Flag } from '../../dockerfile/instruction.ts';
import { BuilderError, DockerfileError } from '../../errors.ts';
import type { Emit } from '../../events.ts';
import { type CacheMount, CacheMounts, type KeptCaches, cacheOnDisk } from './cache-mounts.ts';
import type { CacheInVolume, CacheVolumes } from './cache-volumes.ts';
import { copyTree } from './mount-copy.ts';
import { findSource } from './mount-source.ts';
import { type Mount, parseMount } from './mount.ts';
import type { MountTargets, Thing } from './mount-targets.ts';
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
  /** Where what they hold is kept between builders, where it is. */
  readonly kept?: KeptCaches | undefined;
  /** The pod's volumes, where there can be any. */
  readonly volumes?: CacheVolumes | undefined;
}

export interface MountScope {
  readonly sources: MountSources;
  readonly expand: (word: string) => string;
  readonly workingDir: string;
  /** Gets what is held until all targets are restored. */
  readonly held: DisposableStack;
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
export async function putMounts(flags: readonly Flag[], placements: MountTargets, scope: MountScope): Promise<PutMounts> {
  const mounts = flags.map((flag) => ({ flag, mount: parseMount(flag, scope.expand, scope.workingDir) }));
  const work = new MountWork(scope);
  try {
    const inVolumes = mounts.flatMap(({ mount }) => volumeOf(mount, scope.sources) ?? []);
    const others = mounts.filter(({ mount }) => inVolumes.every((one) => one.mount !== mount));
    await scope.sources.volumes?.use(inVolumes, scope);
    await work.lockCaches(others.flatMap(({ mount }) => (mount.type === 'cache' ? [mount] : [])));
    const placed = others.flatMap(({ flag, mount }) => work.thingFor(flag, mount));
    for (const { target, thing } of placed.toSorted((a, b) => (a.target < b.target ? -1 : 1))) await placements.put(target, await thing());
  } catch (error) {
    work.close();
    throw error;
  }
  return { env: work.env, secretIds: work.secretIds, close: () => work.close() };
}

/** Begins to fetch what is kept of caches, while a RUN is made ready; what is wrong with a mount is said when it is put. */
export function foreseeMounts(flags: readonly Flag[], scope: Pick<MountScope, 'sources' | 'expand' | 'workingDir'>): void {
  const { kept, cacheFolder } = scope.sources;
  if (kept === undefined) return;
  for (const flag of flags) {
    try {
      const mount = parseMount(flag, scope.expand, scope.workingDir);
      if (mount.type === 'cache' && volumeOf(mount, scope.sources) === undefined) kept.foresee(cacheOnDisk(cacheFolder, mount));
    } catch (error) {
      if (!(error instanceof BuilderError)) throw error;
    }
  }
}

function volumeOf(mount: Mount, { volumes }: MountSources): CacheInVolume | undefined {
  return mount.type === 'cache' ? volumes?.find(mount) : undefined;
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
  readonly #caches: CacheMounts;
  #agents = 0;

  constructor(scope: MountScope) {
    this.#scope = scope;
    const { cacheFolder, kept, tree } = scope.sources;
    this.#caches = new CacheMounts({ ...scope, cacheFolder, kept, treeOf: tree });
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  async lockCaches(mounts: readonly CacheMount[]): Promise<void> {
    await this.#caches.lock(mounts);
  }

  thingFor(flag: Flag, mount: Mount): readonly Wanted[] {
    switch (mount.type) {
      case 'bind':
        return [{ target: mount.target, thing: () => this.#bind(flag, mount) }];
      case 'cache':
        return [{ target: mount.target, thing: () => this.#caches.thing(flag, mount) }];
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
      const why = bytes.includes(0) ? 'it holds a NUL byte' : isUtf8(bytes) ? undefined : 'it is not UTF-8 text';
      if (why !== undefined) throw new DockerfileError(`Cannot put secret ${mount.id} into ${mount.env}: ${why}`, flag.range);
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

async function makeFolder(path: ByteString, mode: number): Promise<void> {
  await mkdir(fsPath(path));
  await chmod(fsPath(path), mode);
}
