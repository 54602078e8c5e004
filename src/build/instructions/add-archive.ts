// ADD of an archive: its entries into a directory of the root, as `tar -x` would put them there, what they bring winning over
// what is there. RED: names come from strangers; every parent is resolved inside the root.
import { createReadStream, openSync, readSync, closeSync } from 'node:fs';
import { fsPath, textFromBytes } from '../../bytes.ts';
import type { ByteString } from '../../bytes.ts';
import { joinPath } from '../../context/tree.ts';
import { BuilderError, systemCode } from '../../errors.ts';
import { decompressArchive } from '../../layer/decompress-archive.ts';
import type { Entry, Timestamp } from '../../layer/entry.ts';
import { blockSize, isZeroBlock, parseHeader } from '../../layer/header.ts';
import { readEntries } from '../../layer/read.ts';
import { isReservedName } from '../../layer/whiteout.ts';
import { setTimes } from '../../linux/files.ts';
import { createDirectory, createFile, createHardlink, createNode, createSymlink } from '../../rootfs/create.ts';
import { applyMetadata } from '../../rootfs/metadata.ts';
import { clampPath, type Resolution, resolvePath } from '../../rootfs/resolve.ts';
import type { Protection } from '../../rootfs/root.ts';
import { parentOf } from './copy-target.ts';
import type { CopyJob } from './copy-tree.ts';

/** Bytes from the start of a file that are enough to tell an archive; the first block of bzip2 may take 900 kB. */
export const archiveProbeSize = 1024 * 1024;

/** True where the bytes, plain or compressed, begin with the header of a tar archive; names say nothing. */
export async function beginsArchive(head: Buffer, signal: AbortSignal): Promise<boolean> {
  const source = async function* (): AsyncGenerator<Buffer> {
    yield head;
  };
  let start = Buffer.alloc(0);
  try {
    for await (const chunk of decompressArchive(source(), signal)) {
      start = Buffer.concat([start, chunk]);
      if (start.length >= blockSize) break;
    }
  } catch (error) {
    signal.throwIfAborted();
    // Cut off after its first bytes, any compressed stream is damaged: what came out before that counts.
    if (!(error instanceof BuilderError) && systemCode(error) === undefined) throw error;
  }
  if (start.length < blockSize || isZeroBlock(start)) return false;
  try {
    parseHeader(start.subarray(0, blockSize));
    return true;
  } catch (error) {
    if (error instanceof BuilderError && error.code === 'ERR_LAYER') return false;
    throw error;
  }
}

/** True where the file is an archive by its content. */
export async function isArchiveFile(path: ByteString, signal: AbortSignal): Promise<boolean> {
  const head = Buffer.alloc(archiveProbeSize);
  const fd = openSync(fsPath(path), 'r');
  let length = 0;
  try {
    for (let got = -1; got !== 0 && length < head.length; length += got) got = readSync(fd, head, length, head.length - length, length);
  } finally {
    closeSync(fd);
  }
  return await beginsArchive(head.subarray(0, length), signal);
}

/** The bytes of a file on disk. */
export function readFileBytes(path: ByteString): AsyncIterable<Buffer> {
  return createReadStream(fsPath(path), { highWaterMark: 1 << 18 });
}

/**
 * Unpacks an archive into the job's destination, which becomes a directory. Owners are the archive's unless --chown is given;
 * --chmod does not apply, not to new directories either, and the archive's own root entry changes nothing.
 * @throws BuilderError ERR_LAYER, ERR_UNSAFE_PATH or ERR_ROOTFS naming archive and entry
 */
export async function extractArchive(job: CopyJob, name: string, bytes: AsyncIterable<Buffer>): Promise<void> {
  job.target.makeDirectories(job.destination.path, { ...job.policy.parents, mode: 0o755 });
  const extraction = new Extraction(job, name);
  const oddity = (message: string): void => job.warn('add-archive', `${name}: ${message}`);
  try {
    for await (const entry of readEntries(decompressArchive(bytes, job.signal), job.signal, oddity)) await extraction.apply(entry);
    extraction.finish();
  } catch (error) {
    if (job.signal.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const code = error instanceof BuilderError ? error.code : 'ERR_ROOTFS';
    throw new BuilderError(code, `Cannot unpack '${name}': ${reason}`, { cause: error });
  }
}

// Whoever resolves inside the destination asks about the whole path afterwards.
const unprotected: Protection = { covers: () => false, holds: () => false, paths: [] };

class Extraction {
  readonly #job: CopyJob;
  readonly #name: string;
  readonly #times = new Map<ByteString, Timestamp>();

  constructor(job: CopyJob, name: string) {
    this.#job = job;
    this.#name = name;
  }

  async apply(entry: Entry): Promise<void> {
    const path = this.#pathOf(entry.path);
    if (path === '.') {
      if (entry.type !== 'directory') this.#job.warn('add-archive-nameless', `${this.#name}: an entry without a name was left out`);
      return;
    }
    if (isReservedName(path)) {
      throw new BuilderError('ERR_LAYER', `entry '${textFromBytes(path)}' has a name by which layers delete files`);
    }
    const { target, policy } = this.#job;
    const parent = this.#enter(parentOf(path));
    const place = joinPath(parent === '' ? [lastOf(path)] : [parent, lastOf(path)]);
    target.refuseProtected(place);
    if (entry.type === 'directory' && target.isDirectory(place)) {
      applyMetadata(target.onDisk(place), this.#owned(entry), false, this.#refuse);
    } else {
      target.removeIfThere(place);
      await this.#create(entry, place);
    }
    if (entry.type === 'directory') this.#times.set(place, this.#timeOf(entry));
    target.touch(place);
    if (policy.mtimeSeconds !== undefined && entry.type !== 'directory' && entry.type !== 'hardlink') {
      setTimes(target.onDisk(place), policy.mtimeSeconds, 0);
    }
  }

  /** Directories get their times at last, children first. */
  finish(): void {
    for (const [place, { seconds, nanoseconds }] of [...this.#times].toReversed()) {
      if (this.#job.target.isDirectory(place)) setTimes(this.#job.target.onDisk(place), seconds, nanoseconds);
    }
  }

  async #create(entry: Entry, place: ByteString): Promise<void> {
    const onDisk = this.#job.target.onDisk(place);
    const owned = this.#owned(entry);
    switch (entry.type) {
      case 'file':
        return await createFile(onDisk, owned, this.#refuse);
      case 'directory':
        return createDirectory(onDisk, owned, this.#refuse);
      case 'symlink':
        return createSymlink(onDisk, owned, this.#refuse);
      case 'hardlink':
        return createHardlink(onDisk, this.#linked(entry));
      case 'fifo':
      case 'character':
      case 'block':
        return createNode(onDisk, owned, entry.type, this.#refuse);
      default:
        entry.type satisfies never;
    }
  }

  // The directory an entry goes to; made where the archive doesn't bring it.
  #enter(parent: ByteString): ByteString {
    const { target, destination, policy } = this.#job;
    const inside = target.replaces ? parent : this.#resolve(parent, 'follow').path;
    const resolved = below(destination.path, inside);
    target.makeDirectories(resolved, { ...policy.parents, owner: policy.owner ?? { uid: 0, gid: 0 }, mode: 0o755 });
    return resolved;
  }

  #linked(entry: Entry): ByteString {
    const { target, destination } = this.#job;
    const wanted = this.#pathOf(entry.linkTarget ?? entry.path);
    const { path, mode } = this.#resolve(wanted, 'keep');
    const place = below(destination.path, path);
    target.refuseProtected(place);
    if (mode === undefined) {
      throw new BuilderError(
        'ERR_LAYER',
        `entry '${textFromBytes(entry.path)}' is a hard link to '${textFromBytes(wanted)}', which does not exist`,
      );
    }
    return target.onDisk(place);
  }

  // Unpacked as if the destination were the root, as engines do: no link leads out of it, `..` at the top stays there.
  #resolve(path: ByteString, leaf: 'keep' | 'follow'): Pick<Resolution, 'path' | 'mode'> {
    const { target, destination } = this.#job;
    return resolvePath({ path: target.onDisk(destination.path), protection: unprotected }, path, leaf);
  }

  #pathOf(path: ByteString): ByteString {
    if (path.split('/').includes('..'))
      throw new BuilderError('ERR_UNSAFE_PATH', `entry '${textFromBytes(path)}' leads out of the archive`);
    return clampPath(path);
  }

  #owned(entry: Entry): Entry {
    return { ...entry, ...this.#job.policy.owner };
  }

  #timeOf(entry: Entry): Timestamp {
    const { mtimeSeconds } = this.#job.policy;
    return mtimeSeconds === undefined ? entry.mtime : { seconds: mtimeSeconds, nanoseconds: 0 };
  }

  readonly #refuse = (_: ByteString, name: string): void => {
    this.#job.warn('copy-xattr', `Extended attribute ${name} can't be set here: left out`);
  };
}

/** A path inside the destination as one below the root. */
function below(destination: ByteString, path: ByteString): ByteString {
  return joinPath([destination, path].filter((part) => part !== '' && part !== '.'));
}

function lastOf(path: ByteString): ByteString {
  return joinPath(path.split('/').slice(-1) as ByteString[]); // a part of bytes
}
