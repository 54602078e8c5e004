// RUN --mount=type=cache: folders that are kept from RUN to RUN, and that other builders may use at the same time where the builder's
// folder is a volume. Sharing is as BuildKit has it: a `locked` one waits for all others; a `shared` one is used together with others
// of its kind; who comes upon somebody it can't share with gets another folder.
import { createHash } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { chmod, lchown, mkdir, rename, rm, symlink } from 'node:fs/promises';
import { makeFolder } from '../../folders.ts';
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../../bytes.ts';
import { type SourceTree, locate } from '../../context/tree.ts';
import type { Flag } from '../../dockerfile/instruction.ts';
import { BuilderError, DockerfileError, ifCode, orElse, systemCode } from '../../errors.ts';
import type { Emit } from '../../events.ts';
import { diskView } from '../../files/disk-view.ts';
import { plainRoot } from '../../files/root.ts';
import { pathIn, rootPath } from '../../paths.ts';
import { tryLock, waitForLock } from '../../linux/file-lock.ts';
import { scanRoot } from '../../rootfs/scan.ts';
import type { Tree } from '../../rootfs/scanned-tree.ts';
import { cutLinks } from './cache-links.ts';
import { mergeChanges } from './cache-merge.ts';
import { copyTree } from './mount-copy.ts';
import { findSource } from './mount-source.ts';
import type { Mount } from './mount.ts';
import type { Thing } from './mount-targets.ts';

export type CacheMount = Extract<Mount, { type: 'cache' }>;

/** A cache, and where it is on this disk. */
export interface CacheOnDisk {
  /** What tells it from others. */
  readonly name: string;
  readonly id: string;
  readonly folder: ByteString;
  /** Where the folder, or a file of it, is made before it gets its place. */
  readonly beside: ByteString;
  /** Held while a RUN uses the cache; its ctime is when that was last. */
  readonly lock: ByteString;
  /** Held while files are copied from the folder, or into it. */
  readonly copy: ByteString;
}

/** What caches hold, kept elsewhere between builders. */
export interface KeptCaches {
  /** Begins to look for what is kept of a cache. */
  readonly foresee: (cache: CacheOnDisk) => void;
  /** Puts that into the folder, where it is newer than what is there. @throws the signal's reason only */
  readonly bring: (cache: CacheOnDisk) => Promise<void>;
  /** A RUN is going to change it. */
  readonly use: (cache: CacheOnDisk) => void;
  /** The RUN has succeeded. */
  readonly confirm: () => void;
}

export interface CacheScope {
  /** What `from` names. */
  readonly treeOf: (from: string) => Promise<SourceTree>;
  /** Where caches live: a folder of the builder's. */
  readonly cacheFolder: ByteString;
  readonly kept?: KeptCaches | undefined;
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
    makeFolder(fsPath(this.#scope.cacheFolder), 0o700);
    const { kept, cacheFolder } = this.#scope;
    // Before they are locked: who waits for another build here has what that build leaves.
    if (kept !== undefined) await Promise.all(mounts.map((mount) => kept.bring(cacheOnDisk(cacheFolder, mount))));
    const rank = { locked: 0, shared: 1, private: 2 };
    const ordered = mounts
      .map((mount) => ({ mount, name: nameOf(mount) }))
      .toSorted((a, b) => rank[a.mount.sharing] - rank[b.mount.sharing] || (a.name < b.name ? -1 : 1));
    for (const { mount, name } of ordered) {
      const taken = await this.#lockOne(mount, name);
      this.#names.set(mount, taken);
      // A folder that was only made since another build has the cache is nobody's afterwards.
      if (taken === name && !mount.isReadOnly) kept?.use(cacheOnDisk(cacheFolder, mount));
    }
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

  /** The folder, for who can mount it; made where it is new. All of them have to be locked. */
  async folder(flag: Flag, mount: CacheMount): Promise<ByteString> {
    const name = this.#names.get(mount) ?? nameOf(mount);
    return await this.#open(flag, mount, this.#file(name), (kind) => waitForLock(this.#file(name, 'copy'), kind, this.#scope.signal));
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
        this.#noteUse(name);
        // A build that is stopped leaves the cache as it was.
        if (copied !== undefined && signal.aborted) return;
        if (copied !== undefined) {
          using _ = await copying('exclusive');
          return await mergeChanges({ path, before: copied }, kept, this.#file(name, 'new'), signal);
        }
        await rm(fsPath(kept), { recursive: true, force: true });
        if (!(await wasMoved(path, kept))) return await copyTree(keptTree(path), rootPath, kept, signal);
        if (!signal.aborted) await cutLinks(folder, this.#file(name, 'new'), signal);
      },
    };
  }

  /** The folder to show. A new cache has the attributes that the mount asks for, and what `from` has. */
  async #open(flag: Flag, mount: CacheMount, folder: ByteString, copying: (kind: 'exclusive') => Promise<Disposable>): Promise<ByteString> {
    const { cacheFolder, treeOf, signal } = this.#scope;
    makeFolder(fsPath(cacheFolder), 0o700);
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

  #noteUse(name: string): void {
    // a RUN can remove it
    orElse(() => chmodSync(fsPath(this.#file(name, 'lock')), 0o600), ifCode(['ENOENT']));
  }

  #file(name: string, end?: FileEnd): ByteString {
    return fileOf(this.#scope.cacheFolder, name, end);
  }
}

/** The cache of a mount, in the folder where caches live. */
export function cacheOnDisk(cacheFolder: ByteString, mount: CacheMount): CacheOnDisk {
  const name = nameOf(mount);
  const file = (end?: FileEnd): ByteString => fileOf(cacheFolder, name, end);
  return { name, id: mount.id, folder: file(), beside: file('new'), lock: file('lock'), copy: file('copy') };
}

type FileEnd = 'lock' | 'copy' | 'new';

/** Names may hold anything, so they are hashed. */
function fileOf(cacheFolder: ByteString, name: string, end?: FileEnd): ByteString {
  const hashed = createHash('sha256').update(name).digest('hex');
  return joinBytes(cacheFolder, bytesFromText(end === undefined ? hashed : `${hashed}.${end}`));
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
  makeFolder(fsPath(path), 0o755);
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
