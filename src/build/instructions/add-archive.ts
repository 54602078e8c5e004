// ADD of an archive: its entries into a directory of the image's tree, as `tar -x` would put them there, what they bring winning over
// what is there. RED: names come from strangers; every parent is resolved inside the destination.
import { type ByteString, textFromBytes } from '../../bytes.ts';
import { BuilderError, messageOf, systemCode } from '../../errors.ts';
import { given } from '../../given.ts';
import { needRoom } from '../../files/entry-failure.ts';
import type { OpenContent } from '../../files/file-view.ts';
import { decompressArchive } from '../../layer/decompress-archive.ts';
import type { Entry, Metadata, Timestamp } from '../../layer/entry.ts';
import { blockSize, isZeroBlock, parseHeader } from '../../layer/header.ts';
import { readEntries } from '../../layer/read.ts';
import { isReservedName } from '../../layer/whiteout.ts';
import { checkLength, childPath, clampPath, isWithin, namesOf, pathBelow, rootPath, splitPath } from '../../paths.ts';
import type { NodeType } from '../../tree/node.ts';
import { type TreePlace, resolveInTree } from '../../tree/resolve.ts';
import type { CopyJob } from './copy-tree.ts';

/** Bytes from the start of a file that are enough to tell an archive; the first block of bzip2 may take 900 kB. */
export const archiveProbeSize = 1024 * 1024;

/** True where the bytes, plain or compressed, begin with the header of a tar archive, or can't be read here; names say nothing. */
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
    // Unpacking it says why it can't be read; a copy would be taken for what is in it.
    if (error instanceof BuilderError && error.code === 'ERR_UNSUPPORTED') return true;
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

/** True where the file is an archive by its content; closes it. */
export async function isArchiveFile({ chunks, close }: OpenContent, signal: AbortSignal): Promise<boolean> {
  const head: Buffer[] = [];
  let length = 0;
  try {
    for (const chunk of chunks) {
      head.push(Buffer.from(chunk));
      length += chunk.length;
      if (length >= archiveProbeSize) break;
    }
  } finally {
    close();
  }
  return await beginsArchive(Buffer.concat(head), signal);
}

/** `extractArchive` of an open file, which is closed then. */
export async function extractArchiveFile(job: CopyJob, name: string, { chunks, close }: OpenContent): Promise<void> {
  async function* bytes(): AsyncGenerator<Buffer> {
    yield* chunks;
  }
  try {
    await extractArchive(job, name, bytes());
  } finally {
    close();
  }
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
    const reason = messageOf(error);
    const { code, hint } = error instanceof BuilderError ? error : { code: 'ERR_ROOTFS' as const, hint: undefined };
    throw new BuilderError(code, `Cannot unpack '${name}': ${reason}`, { cause: error, hint });
  }
}

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
    if (path === rootPath) {
      if (entry.type !== 'directory') this.#job.warn('add-archive-nameless', `${this.#name}: an entry without a name was left out`);
      return;
    }
    if (isReservedName(path)) {
      throw new BuilderError('ERR_LAYER', `entry '${textFromBytes(path)}' has a name by which layers delete files`);
    }
    const { target } = this.#job;
    const { parent, name } = splitPath(path);
    const place = childPath(this.#enter(parent), name);
    checkLength(place, 'make');
    if (entry.type === 'hardlink') return target.draft.link(place, this.#linked(entry, place));
    if (entry.type === 'directory' && target.isDirectory(place)) target.update(place, this.#metadataOf(entry));
    else await this.#put(entry, entry.type, place);
    if (entry.type === 'directory') this.#times.set(place, this.#timeOf(entry));
    target.draft.touch(place);
  }

  /** Directories get their times at last, children first. */
  finish(): void {
    const { target } = this.#job;
    for (const [place, time] of [...this.#times].toReversed()) if (target.isDirectory(place)) target.draft.setTime(place, time);
  }

  async #put(entry: Entry, type: NodeType, place: ByteString): Promise<void> {
    const { target, spool, signal } = this.#job;
    const node = {
      type,
      size: 0,
      ...this.#metadataOf(entry),
      ...given({ linkTarget: entry.linkTarget, device: entry.device }),
    };
    if (type !== 'file') return target.put(place, node);
    needRoom(entry, spool.folder);
    const spooled = await spool.add(entry.content ?? [], signal);
    target.put(place, { ...node, size: spooled.size }, { open: () => spool.open(spooled) });
  }

  // The directory an entry goes to; made where the archive doesn't bring it.
  #enter(parent: ByteString): ByteString {
    const { target, destination, policy } = this.#job;
    const inside = target.replaces ? parent : this.#resolve(parent, 'follow').path;
    const resolved = pathBelow(destination.path, inside);
    // Each folder on the way would be made, half a million of one name in a header of 1 MiB.
    checkLength(resolved, 'make');
    target.makeDirectories(resolved, { ...policy.parents, owner: policy.owner ?? { uid: 0, gid: 0 }, mode: 0o755 });
    return resolved;
  }

  #linked(entry: Entry, place: ByteString): ByteString {
    const wanted = this.#pathOf(entry.linkTarget ?? entry.path);
    const { path, node } = this.#resolve(wanted, 'keep');
    const linked = pathBelow(this.#job.destination.path, path);
    const isReplaced = linked !== place && isWithin(linked, place);
    if (node !== undefined && !isReplaced && !this.#job.target.draft.tree.isDirectory(node)) return linked;
    const state = node === undefined ? 'which does not exist' : isReplaced ? 'which it would replace' : 'which is a directory';
    throw new BuilderError('ERR_LAYER', `entry '${textFromBytes(entry.path)}' is a hard link to '${textFromBytes(wanted)}', ${state}`);
  }

  // Unpacked as if the destination were the root, as engines do: no link leads out of it, `..` at the top stays there.
  #resolve(path: ByteString, leaf: 'keep' | 'follow'): TreePlace {
    const { tree } = this.#job.target.draft;
    return resolveInTree(tree, path, leaf, tree.at(this.#job.destination.path));
  }

  #pathOf(path: ByteString): ByteString {
    let depth = 0;
    for (const name of namesOf(path))
      if ((depth += name === '..' ? -1 : 1) < 0)
        throw new BuilderError('ERR_UNSAFE_PATH', `entry '${textFromBytes(path)}' leads out of the archive`);
    return clampPath(path);
  }

  #metadataOf(entry: Entry): Metadata {
    const { mode, uid, gid, xattrs } = entry;
    return { mode, uid, gid, ...this.#job.policy.owner, mtime: this.#timeOf(entry), xattrs };
  }

  #timeOf(entry: Entry): Timestamp {
    const { mtimeSeconds } = this.#job.policy;
    return mtimeSeconds === undefined ? entry.mtime : { seconds: mtimeSeconds, nanoseconds: 0 };
  }
}
