// RUN --mount=type=cache: folders that are kept from RUN to RUN, and that other builders may use at the same time where the builder's
// folder is a volume. Sharing is as BuildKit has it: a `locked` one waits for all others; a `shared` one is used together with others
// of its kind; who comes upon somebody it can't share with gets another folder.
import { createHash } from 'node:crypto';
import { chmod, lchown, mkdir, rename, rm, symlink } from 'node:fs/promises';
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../../bytes.ts';
import { type SourceTree, locate } from '../../context/tree.ts';
import type { Flag } from '../../dockerfile/instruction.ts';
import { BuilderError, DockerfileError, systemCode } from '../../errors.ts';
import type { Emit } from '../../events.ts';
import { diskView } from '../../files/disk-view.ts';
import { plainRoot } from '../../files/root.ts';
import { pathIn, rootPath } from '../../paths.ts';
import { tryLock, waitForLock } from '../../linux/file-lock.ts';
import { scanRoot } from '../../rootfs/scan.ts';
import type { Tree } from '../../rootfs/scanned-tree.ts';
import { mergeChanges } from './cache-merge.ts';
import { copyTree } from './mount-copy.ts';
import { findSource } from './mount-source.ts';
import type { Mount } from './mount.ts';
import type { Thing } from './mount-targets.ts';

export type CacheMount = Extract<Mount, { type: 'cache' }>;

export interface CacheScope {
  /** What `from` names. */
  readonly treeOf: (from: string) => Promise<SourceTree>;
  /** Where caches live: a folder of the builder's. */
  readonly cacheFolder: ByteString;
  /** Gets the locks, until all targets are restored. */
  readonly held: DisposableStack;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const unlockable: ReadonlySet<string> = new Set(['ENOLCK', 'ENOSYS', 'ENOTSUP', 'EINVAL']);

/** The cache mounts of one RUN. */
export class CacheMounts {
  readonly #scope: CacheScope;
  /** Which folder each mount uses, and where those stand already. */
  readonly #names = new Map<CacheMount, string>();
  readonly #standing = new Map<string, string>();

  constructor(scope: CacheScope) {
    this.#scope = scope;
  }

  /** Takes all locks, before anything is made. Only `locked` ones are waited for, first and in one order: nobody waits in a ring. */
  async lock(mounts: readonly CacheMount[]): Promise<void> {
    if (mounts.length === 0) return;
    await mkdir(fsPath(this.#scope.cacheFolder), { recursive: true, mode: 0o700 });
    const rank = { locked: 0, shared: 1, private: 2 };
    const ordered = mounts
      .map((mount) => ({ mount, name: nameOf(mount) }))
      .toSorted((a, b) => rank[a.mount.sharing] - rank[b.mount.sharing] || (a.name < b.name ? -1 : 1));
    for (const { mount, name } of ordered) this.#names.set(mount, await this.#lockOne(mount, name));
  }

  async #lockOne(mount: CacheMount, name: string): Promise<string> {
    const isOurs = (each: string): boolean => [...this.#names.values()].includes(each);
    if (mount.sharing !== 'private' && isOurs(name)) return name;
    const kind = mount.sharing === 'shared' ? 'shared' : 'exclusive';
    try {
      if (mount.sharing === 'locked') {
        const onWait = (): void => {
          this.#scope.emit({ kind: 'note', level: 'info', message: `waiting for the cache ${mount.id}, which another build has locked` });
        };
        this.#scope.held.use(await waitForLock(this.#file(name, 'lock'), kind, this.#scope.signal, onWait));
        return name;
      }
      for (let number = 0; ; number++) {
        const each = number === 0 ? name : `${name}\0${number}`;
        const lock = isOurs(each) ? undefined : tryLock(this.#file(each, 'lock'), kind);
        if (lock === undefined) continue;
        this.#scope.held.use(lock);
        return each;
      }
    } catch (error) {
      if (!unlockable.has(systemCode(error) ?? '')) throw error;
      const message = `the cache ${mount.id} can't be locked here (${systemCode(error)}): other builds must not use it now`;
      this.#scope.emit({ kind: 'warning', code: `cache-lock ${mount.id}`, message });
      return name;
    }
  }

  /** What stands at the target: the folder itself, a copy of it where it is on another filesystem, or a link to where it stands already. */
  async thing(flag: Flag, mount: CacheMount): Promise<Thing> {
    const name = this.#names.get(mount) ?? nameOf(mount);
    const standing = this.#standing.get(name);
    if (standing !== undefined) return { type: 'symlink', make: (path) => symlink(standing, fsPath(path)) };
    this.#standing.set(name, mount.target);
    const { signal } = this.#scope;
    const copying = (kind: 'shared' | 'exclusive'): Promise<Disposable> => waitForLock(this.#file(name, 'copy'), kind, signal);
    const folder = this.#file(name);
    const kept = await this.#open(flag, mount, folder, copying);
    const copyOut = async (path: ByteString): Promise<void> => {
      using _ = await copying('shared');
      await copyTree(keptTree(kept), rootPath, path, signal);
    };
    if (mount.isReadOnly) return { type: 'directory', make: copyOut };
    let copied: Tree | undefined;
    return {
      type: 'directory',
      make: async (path) => {
        if (await wasMoved(kept, path)) return;
        await copyOut(path);
        copied = await scanRoot(plainRoot(path), signal);
      },
      keep: async (path) => {
        // A build that is stopped leaves the cache as it was.
        if (copied !== undefined && signal.aborted) return;
        if (copied !== undefined) {
          using _ = await copying('exclusive');
          return await mergeChanges({ path, before: copied }, kept, this.#file(name, 'new'), signal);
        }
        await rm(fsPath(kept), { recursive: true, force: true });
        if (!(await wasMoved(path, kept))) await copyTree(keptTree(path), rootPath, kept, signal);
      },
    };
  }

  /** The folder to show. A new cache has the attributes that the mount asks for, and what `from` has. */
  async #open(flag: Flag, mount: CacheMount, folder: ByteString, copying: (kind: 'exclusive') => Promise<Disposable>): Promise<ByteString> {
    const { cacheFolder, treeOf, signal } = this.#scope;
    await mkdir(fsPath(cacheFolder), { recursive: true, mode: 0o700 });
    using _ = await copying('exclusive');
    if (await isNew(folder)) {
      if (mount.from !== undefined) {
        const tree = await treeOf(mount.from);
        const source = findSource(flag, tree, mount.source);
        if (!source.isDirectory)
          throw new DockerfileError(`Cannot use ${mount.source} of ${tree.label} as a cache: it is not a folder`, flag.range);
        await rm(fsPath(folder), { recursive: true });
        await copyTree(tree, source.path, folder, signal);
      }
      await lchown(fsPath(folder), mount.uid, mount.gid);
      await chmod(fsPath(folder), mount.mode);
    }
    return mount.from === undefined && mount.source !== '/' ? await subfolder(flag, folder, mount.source) : folder;
  }

  /** Names may hold anything, so they are hashed. */
  #file(name: string, end?: 'lock' | 'copy' | 'new'): ByteString {
    const hashed = createHash('sha256').update(name).digest('hex');
    return joinBytes(this.#scope.cacheFolder, bytesFromText(end === undefined ? hashed : `${hashed}.${end}`));
  }
}

/** One cache for each owner, mode and origin of an id, as BuildKit has it. */
function nameOf({ id, from, source, hasAttributes, uid, gid, mode }: CacheMount): string {
  const owner = hasAttributes ? [`${uid}:${gid}:${mode.toString(8)}`] : [];
  return [id, ...(from === undefined ? [] : [from, source]), ...owner].join('\0');
}

async function isNew(folder: ByteString): Promise<boolean> {
  try {
    await mkdir(fsPath(folder), { mode: 0o700 });
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** `source` inside a cache, made where it is missing; a link that a command left there leads nowhere but into the cache. */
async function subfolder(flag: Flag, folder: ByteString, source: string): Promise<ByteString> {
  const located = locate(diskView(folder), bytesFromText(source));
  if (located.kind === 'found' && located.stat.type === 'directory') return pathIn(folder, located.path);
  if (located.kind !== 'missing' || located.link !== undefined) {
    throw new DockerfileError(`Cannot mount ${source} of the cache: it is not a folder`, flag.range);
  }
  const path = pathIn(folder, located.path);
  await mkdir(fsPath(path), { recursive: true, mode: 0o755 });
  return path;
}

function keptTree(folder: ByteString): SourceTree {
  return { files: diskView(folder), label: 'the cache', keepsOwners: true };
}

/** Moves a folder; false where the other place is on another filesystem, which is where builders share caches. */
async function wasMoved(from: ByteString, to: ByteString): Promise<boolean> {
  try {
    await rename(fsPath(from), fsPath(to));
    return true;
  } catch (error) {
    if (systemCode(error) === 'EXDEV') return false;
    throw new BuilderError('ERR_ROOTFS', `Cannot move ${textFromBytes(from)}`, { cause: error });
  }
}
