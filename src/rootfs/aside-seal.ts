// Tells whether a RUN has changed what is set aside of another stage: it lies in the builder's folder, where a RUN is root as anywhere.
// Size and times can be put right again; a ctime can't.
import type { ByteString } from '../bytes.ts';
import { absolutePath, isDirectoryMode } from '../files/resolve.ts';
import { plainRoot } from '../files/root.ts';
import { StatField, statFieldCount, statInto } from '../linux/files.ts';
import { keepsChangeTimes } from '../linux/statfs.ts';
import { foldersAbove, rootPath } from '../paths.ts';
import { scanRoot, settleClock } from './scan.ts';
import type { Tree } from './scanned-tree.ts';

type Time = Tree['newestChange'];

export class AsideSeal {
  readonly #folder: ByteString;
  readonly #time: Time;
  readonly #inode: number | undefined;
  /** Directories that were looked at since the last RUN. */
  readonly #known = new Set<ByteString>();
  #isBroken = false;

  private constructor(folder: ByteString) {
    this.#folder = folder;
    // A change of what was just looked at may be stamped by the fine clock (Linux 6.13), before which the coarse one is.
    const ms = Date.now() + 1;
    this.#time = { seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1_000_000 };
    // Elsewhere times are no sign of anything.
    if (keepsChangeTimes(folder)) this.#inode = this.#stat(rootPath)[StatField.inode] ?? 0;
  }

  /** Seals all that is in a folder now; what changes it from here on is noticed. @throws the signal's reason */
  static async of(folder: ByteString, signal: AbortSignal): Promise<AsideSeal> {
    const seal = new AsideSeal(folder);
    await settleClock({ newestChange: seal.#time }, signal);
    return seal;
  }

  /** True once something was found to be changed. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** A RUN has been here. */
  forget(): void {
    this.#known.clear();
  }

  /** False where what is at a path, or a folder above it, has changed since. */
  isIntact(path: ByteString): boolean {
    if (this.#inode === undefined) return true;
    const isSame = this.#isOld(path) && [...foldersAbove(path), rootPath].every((folder) => this.#isOldFolder(folder));
    if (!isSame) this.#isBroken = true;
    return isSame;
  }

  /** The same of all that is in the folder. @throws ERR_ROOTFS and the signal's reason */
  async isWhole(signal: AbortSignal): Promise<boolean> {
    if (this.#inode === undefined) return true;
    if (this.#isBroken || !this.#isOldFolder(rootPath)) return false;
    const { newestChange } = await scanRoot(plainRoot(this.#folder), signal);
    return isUpTo(newestChange, this.#time);
  }

  #isOldFolder(path: ByteString): boolean {
    if (this.#known.has(path)) return true;
    const stat = this.#stat(path);
    const isOwn = path !== rootPath || stat[StatField.inode] === this.#inode;
    const isOld = isOwn && isDirectoryMode(stat[StatField.mode] ?? 0) && this.#isOldStat(stat);
    if (isOld) this.#known.add(path);
    return isOld;
  }

  #isOld(path: ByteString): boolean {
    return this.#isOldStat(this.#stat(path));
  }

  #isOldStat(stat: Float64Array): boolean {
    const time = { seconds: stat[StatField.ctimeSeconds] ?? 0, nanoseconds: stat[StatField.ctimeNanoseconds] ?? 0 };
    return isUpTo(time, this.#time);
  }

  #stat(path: ByteString): Float64Array {
    const stat = new Float64Array(statFieldCount);
    statInto(absolutePath(plainRoot(this.#folder), path), stat);
    return stat;
  }
}

function isUpTo(time: Time, latest: Time): boolean {
  return time.seconds < latest.seconds || (time.seconds === latest.seconds && time.nanoseconds <= latest.nanoseconds);
}
