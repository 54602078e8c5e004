// Copies what was selected into the image's tree: types, owners, modes, attributes, times, and which files are one file. Contents stay
// where they are until the layer is written.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ByteString, textFromBytes } from '../../bytes.ts';
import { type IgnoreRules, judge } from '../../context/ignore.ts';
import type { Selection } from '../../context/select.ts';
import type { SourceTree } from '../../context/tree.ts';
import { type WalkItem, walkSelection } from '../../context/walk.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { FileStat } from '../../files/file-view.ts';
import type { Spool } from '../../files/spool.ts';
import type { Metadata, Timestamp } from '../../layer/entry.ts';
import { childPath, pathBelow, splitPath } from '../../paths.ts';
import type { ModeChange } from './copy-mode.ts';
import type { CopyTarget, NewDirectory, Owner } from './copy-target.ts';

/** What copies get in place of what their sources have. */
export interface CopyPolicy {
  /** Undefined keeps the owner of each source. */
  readonly owner?: Owner;
  readonly chmod?: ModeChange;
  /** Seconds since 1970 for everything that is made; undefined keeps the times of the sources. */
  readonly mtimeSeconds?: number;
  /** Directories that only lead to a destination. */
  readonly parents: NewDirectory;
}

/** Where an instruction's copies go: `path` below the root, `isDirectory` where the author says so with a slash. */
export interface Destination {
  readonly path: ByteString;
  readonly isDirectory: boolean;
}

/** A file that is in no tree: a heredoc or a download. */
export interface LooseFile {
  readonly name: ByteString;
  readonly content: Iterable<Buffer> | AsyncIterable<Buffer>;
  readonly mode: number;
  /** Seconds since 1970; the time of the instruction where not given. */
  readonly mtimeSeconds?: number;
}

export interface CopyJob {
  readonly target: CopyTarget;
  readonly policy: CopyPolicy;
  readonly destination: Destination;
  /** Sources that became the destination itself, in their order: each but the last was overwritten. */
  readonly written: string[];
  readonly excludes?: IgnoreRules;
  /** Keeps content that can be had only once. */
  readonly spool: Spool;
  readonly warn: (code: string, message: string) => void;
  readonly signal: AbortSignal;
}

const turnMs = 10;

/** Copies a file as itself, or the content of a directory. @throws BuilderError ERR_ROOTFS */
export async function copySelection(job: CopyJob, tree: SourceTree, selection: Selection): Promise<void> {
  const copier = new Copier(job, tree);
  if (selection.stat.type !== 'directory') {
    if (job.excludes !== undefined && judge(job.excludes, textFromBytes(selection.name)).isIgnored) return;
    const place = placeFile(job, selection.name);
    job.target.makeWayForFile(place, textFromBytes(selection.name));
    if (place === job.destination.path) job.written.push(textFromBytes(selection.path));
    copier.copyItem({ path: selection.path, relative: selection.name, stat: selection.stat }, place);
    return;
  }
  job.target.makeDirectories(job.destination.path, job.policy.parents);
  await copier.copyContent(selection);
}

/** Puts a file that is in no tree. @throws BuilderError as copySelection, and what its content throws */
export async function copyLooseFile(job: CopyJob, file: LooseFile): Promise<void> {
  const { target, policy, spool } = job;
  const place = placeFile(job, file.name);
  target.makeWayForFile(place, textFromBytes(file.name));
  if (place === job.destination.path) job.written.push(textFromBytes(file.name));
  const spooled = await spool.add(file.content, job.signal);
  const seconds = policy.mtimeSeconds ?? file.mtimeSeconds;
  const metadata = {
    ...(policy.owner ?? { uid: 0, gid: 0 }),
    mode: policy.chmod?.apply(file.mode, false) ?? file.mode,
    mtime: seconds === undefined ? target.draft.now : { seconds, nanoseconds: 0 },
    xattrs: new Map<string, Buffer>(),
  };
  target.put(place, { type: 'file', size: spooled.size, ...metadata }, { open: () => spool.open(spooled) });
}

/** The path that a file named `name` gets, with its directories made. */
function placeFile({ target, destination, policy }: Pick<CopyJob, 'target' | 'destination' | 'policy'>, name: ByteString): ByteString {
  target.makeDirectories(destination.isDirectory ? destination.path : splitPath(destination.path).parent, policy.parents);
  const isInside = destination.isDirectory || target.isDirectory(destination.path);
  return isInside ? childPath(destination.path, name) : destination.path;
}

class Copier {
  readonly #job: CopyJob;
  readonly #tree: SourceTree;
  /** First copy of each file that has several names, by identity. */
  readonly #linked = new Map<string, ByteString>();
  readonly #directories: { readonly place: ByteString; readonly stat: FileStat }[] = [];
  #turnStart = performance.now();

  constructor(job: CopyJob, tree: SourceTree) {
    this.#job = job;
    this.#tree = tree;
  }

  async copyContent(selection: Selection): Promise<void> {
    const { target, destination } = this.#job;
    for (const item of walkSelection(this.#tree, selection, this.#job.excludes)) {
      await this.#giveTurn();
      const place = pathBelow(destination.path, item.relative);
      if (item.stat.type === 'directory') this.#copyDirectory(item, place, selection.includes === undefined);
      else {
        target.makeWayForFile(place, textFromBytes(item.relative));
        this.copyItem(item, place);
      }
    }
    // Deepest first, and last of all: every entry put into a directory changed its time.
    for (const { place, stat } of this.#directories.toReversed()) target.draft.setTime(place, this.#mtimeOf(stat));
    if (selection.includes === undefined) {
      target.draft.touch(destination.path);
      target.draft.setTime(destination.path, this.#mtimeOf(selection.stat));
    }
  }

  /** Copies anything but a directory. */
  copyItem(item: WalkItem, place: ByteString): void {
    const { stat, path } = item;
    const { target } = this.#job;
    const { files, noteRead } = this.#tree;
    noteRead?.(path);
    if (stat.type === 'socket') {
      this.#job.warn('copy-socket', `'${textFromBytes(path)}' in ${this.#tree.label} is a socket, which an image can't hold: left out`);
      return;
    }
    if (stat.type === 'directory') throw new BuilderError('ERR_INTERNAL', 'Cannot copy a directory as a file');
    if (stat.type === 'file' && this.#linkTo(stat, place)) return;
    const node = {
      type: stat.type,
      size: stat.size,
      ...this.#metadataOf(path, stat),
      ...(stat.type === 'symlink' ? { linkTarget: files.linkTarget(path) } : {}),
      ...given({ device: stat.device }),
    };
    const source = { files, path, open: () => files.open(path) };
    target.put(place, node, stat.type === 'file' ? source : undefined);
  }

  #copyDirectory(item: WalkItem, place: ByteString, overwrites: boolean): void {
    const { target, policy } = this.#job;
    const isThere = target.isDirectory(place);
    if (isThere && !overwrites) return;
    if (!isThere) {
      if (!target.replaces && target.draft.tree.at(place) !== undefined) {
        throw new BuilderError(
          'ERR_ROOTFS',
          `Cannot copy directory '${textFromBytes(item.relative)}' to '/${textFromBytes(place)}': what is there is not a directory`,
        );
      }
      target.makeDirectory(place, policy.parents);
    }
    target.update(place, this.#metadataOf(item.path, item.stat));
    this.#directories.push({ place, stat: item.stat });
    target.draft.touch(place);
  }

  #linkTo(stat: FileStat, place: ByteString): boolean {
    if (stat.links < 2) return false;
    const first = this.#linked.get(stat.identity);
    if (first === undefined) {
      this.#linked.set(stat.identity, place);
      return false;
    }
    this.#job.target.draft.link(place, first);
    return true;
  }

  #metadataOf(path: ByteString, stat: FileStat): Metadata {
    const { policy } = this.#job;
    const kept = this.#tree.keepsOwners ? { uid: stat.uid, gid: stat.gid } : { uid: 0, gid: 0 };
    // A link's own mode is always the same.
    const mode = stat.type === 'symlink' ? stat.mode : (policy.chmod?.apply(stat.mode, stat.type === 'directory') ?? stat.mode);
    return { ...(policy.owner ?? kept), mode, mtime: this.#mtimeOf(stat), xattrs: this.#tree.files.xattrs(path) };
  }

  #mtimeOf({ mtime }: FileStat): Timestamp {
    const { mtimeSeconds } = this.#job.policy;
    return mtimeSeconds === undefined ? mtime : { seconds: mtimeSeconds, nanoseconds: 0 };
  }

  // Looking at files is synchronous, which is several times faster; others get their turn every 10 ms.
  async #giveTurn(): Promise<void> {
    if (performance.now() - this.#turnStart < turnMs) return;
    await nextTurn();
    this.#job.signal.throwIfAborted();
    this.#turnStart = performance.now();
  }
}
