// RUN --mount=type=cache in a volume of the pod (an emptyDir or a claim at /root/.cache): the volume is the cache, as where kaniko lets
// commands write into it. Nothing is put over it, nothing that is in it goes away, and none of it is in the image or kept elsewhere.
import { type BigIntStats, accessSync, chmodSync, constants, lchownSync, lstatSync } from 'node:fs';
import { type ByteString, bytesFromText, fsPath, textFromBytes } from '../../bytes.ts';
import { BuilderError, inWords, orElse, systemCode } from '../../errors.ts';
import type { Emit } from '../../events.ts';
import { absolutePath, resolvePath } from '../../files/resolve.ts';
import type { Root } from '../../files/root.ts';
import { makeFolder } from '../../folders.ts';
import { type LockKind, waitForFolderLock } from '../../linux/file-lock.ts';
import { lstatIfThere } from '../../linux/files.ts';
import { isWithin } from '../../paths.ts';
import { mountsBelow } from '../../rootfs/protect.ts';
import { engineOwn } from '../../tree/pod-map.ts';
import type { CacheMount, CacheScope } from './cache-mounts.ts';
import { scratchMounts } from './mount-targets.ts';

/** What commands may not take for a volume of theirs, and who wants to know of one that they do. */
export interface VolumeClaims {
  /** Below the root: what the builder has, reads and writes by itself. */
  readonly claimed: readonly ByteString[];
  /** Gets the absolute path of the volume: what commands leave there need not be in the image. */
  readonly onCache: (volume: string) => void;
}

/** A cache in a volume; both paths are below the root. */
export interface CacheInVolume {
  readonly mount: CacheMount;
  readonly volume: ByteString;
  readonly path: ByteString;
}

type VolumeScope = Pick<CacheScope, 'held' | 'emit' | 'signal'>;

/** The volumes of one build that are caches. */
export class CacheVolumes {
  readonly #root: Root;
  readonly #claims: VolumeClaims;
  readonly #mounted: () => readonly ByteString[];
  readonly #told = new Set<string>();

  /** `mounted` gives what is mounted in the root now, an outer one before those in it. */
  constructor(root: Root, claims: VolumeClaims, mounted = (): readonly ByteString[] => mountsBelow(root.path)) {
    this.#root = root;
    this.#claims = claims;
    this.#mounted = mounted;
  }

  /** The volume that a cache is in; undefined where it is a folder of the builder's that is put into its place. */
  find(mount: CacheMount): CacheInVolume | undefined {
    const { path, isProtected } = resolvePath(this.#root, bytesFromText(mount.target), 'follow');
    const volume = isProtected ? this.#mounted().findLast((each) => isWithin(path, each)) : undefined;
    if (volume === undefined || engineOwn.test(volume) || (volume !== path && scratchMounts.includes(volume))) return undefined;
    const isClaimed = this.#claims.claimed.some((one) => isWithin(path, one) || isWithin(one, path));
    return isClaimed ? undefined : { mount, volume, path };
  }

  /**
   * Makes the folders that are missing, which stay, and waits for builders that have one of them to themselves.
   * @throws ERR_UNSAFE_PATH for what a volume can't be, ERR_ROOTFS where the folder can't be made
   */
  async use(caches: readonly CacheInVolume[], scope: VolumeScope): Promise<void> {
    const locks = new Map<string, { readonly cache: CacheInVolume; readonly kind: LockKind }>();
    for (const cache of caches) {
      const { dev, ino } = this.#prepare(cache, scope.emit);
      const key = `${dev}:${ino}`;
      // Once, also where two targets are one folder: nobody waits for himself.
      const isShared = cache.mount.sharing === 'shared' && locks.get(key)?.kind !== 'exclusive';
      locks.set(key, { cache, kind: isShared ? 'shared' : 'exclusive' });
    }
    // In one order: nobody waits in a ring.
    for (const [, lock] of [...locks].toSorted(([a], [b]) => (a < b ? -1 : 1))) await this.#lock(lock.cache, lock.kind, scope);
  }

  #prepare(cache: CacheInVolume, emit: Emit): BigIntStats {
    const { mount, volume, path } = cache;
    const [place, folder] = [absolutePath(this.#root, volume), absolutePath(this.#root, path)];
    const found = lstatIfThere(folder);
    refuse(cache, found, isReadOnly(place));
    if (found === undefined) make(folder, mount);
    const stats = lstatSync(fsPath(folder), { bigint: true });
    this.#claims.onCache(textFromBytes(place));
    const stays = 'what RUN --mount=type=cache has there stays on it, and is neither in the image nor kept elsewhere';
    this.#tell(`/${textFromBytes(volume)} is a volume, and so the cache itself: ${stays}`, emit);
    const idle = [mount.id === mount.target ? '' : `id=${mount.id}`, isAsAsked(mount, stats) ? '' : 'uid, gid and mode'].filter(Boolean);
    if (idle.length > 0) this.#tell(`without effect for the cache at ${mount.target}, as it is the volume's: ${idle.join('; ')}`, emit);
    return stats;
  }

  async #lock({ mount: { target }, path }: CacheInVolume, kind: LockKind, { held, emit, signal }: VolumeScope): Promise<void> {
    const onWait = (): void => emit({ kind: 'note', level: 'info', message: `waiting for the cache ${target}, which another build has` });
    const onNone = (): void => {
      const message = `the cache ${target} can't be locked on its volume: other builds must not use it now`;
      if (kind === 'exclusive') emit({ kind: 'warning', code: `cache-lock ${target}`, message });
    };
    held.use(await waitForFolderLock(absolutePath(this.#root, path), signal, { kind, onWait, onNone }));
  }

  #tell(message: string, emit: Emit): void {
    if (!this.#told.has(message)) emit({ kind: 'note', level: 'info', message });
    this.#told.add(message);
  }
}

function refuse({ mount, volume }: CacheInVolume, found: BigIntStats | undefined, isVolumeReadOnly: boolean): void {
  const fail = (why: string, hint: string): never => {
    const message = `Cannot have the cache at ${mount.target}: the volume at /${textFromBytes(volume)} ${why}`;
    throw new BuilderError('ERR_UNSAFE_PATH', message, { hint: `${hint}; or mount the volume at /kaniko/caches, which keeps all caches` });
  };
  const given = mount.from === undefined ? 'source' : 'from';
  if (given === 'from' || mount.source !== '/') fail(`is the cache itself, without "${given}"`, `leave ${given}= out`);
  if (found !== undefined && !found.isDirectory()) fail('has a file there', 'give it another target');
  if (isVolumeReadOnly && !mount.isReadOnly) fail('is read-only', 'mount it writable, or add "readonly" to the --mount');
  if (isVolumeReadOnly && found === undefined) fail('is read-only, and has no such folder', 'mount it writable');
  if (mount.isReadOnly && !isVolumeReadOnly)
    fail('is the cache itself, and writable', 'leave "readonly" out, or mount the volume readOnly');
}

/** Whatever its mode says: root may write, and the command may be somebody else. */
function isReadOnly(volume: ByteString): boolean {
  return orElse(() => accessSync(fsPath(volume), constants.W_OK), systemCode) === 'EROFS';
}

/** What is not asked for is left to the volume, which may give files a group (fsGroup) or have no other owners (NFS). */
function make(folder: ByteString, { hasAttributes, uid, gid, mode, target }: CacheMount): void {
  const work = (): void => {
    makeFolder(fsPath(folder), 0o755);
    if (!hasAttributes) return;
    lchownSync(fsPath(folder), uid, gid);
    chmodSync(fsPath(folder), mode);
  };
  orElse(work, inWords('ERR_ROOTFS', `Cannot make the cache's folder ${target} in its volume`));
}

function isAsAsked({ hasAttributes, uid, gid, mode }: CacheMount, stats: BigIntStats): boolean {
  return !hasAttributes || (stats.uid === BigInt(uid) && stats.gid === BigInt(gid) && (stats.mode & 0o7777n) === BigInt(mode));
}
