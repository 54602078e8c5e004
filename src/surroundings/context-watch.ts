// Notices what changes in a context that a RUN can write to. Nothing is copied and nothing put back: others may work in that folder
// too, and what changed while a RUN ran is as likely theirs.
import { accessSync, constants, realpathSync } from 'node:fs';
import { type ByteString, bytesFromText, joinBytes, textFromBytes } from '../bytes.ts';
import type { Emit, StepLabel } from '../events.ts';
import { isWithin } from '../paths.ts';
import { diffTrees } from '../rootfs/diff.ts';
import { createProtection } from '../rootfs/protect.ts';
import { listPaths } from '../rootfs/recover-from-copy.ts';
import { isDirectoryMode } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import { scanLiving, settleClock } from '../rootfs/scan.ts';
import type { Change, Tree } from '../rootfs/scanned-tree.ts';

export interface ContextWatch {
  /** Looks at the folders, right before a RUN starts. */
  readonly before: (signal: AbortSignal) => Promise<void>;
  /** Looks again, after a RUN has ended, and warns of what is different. */
  readonly after: (step: StepLabel | undefined, signal: AbortSignal) => Promise<void>;
  /** To be told of each file (its path on disk) that an instruction reads into the image. */
  readonly noteRead: (path: ByteString) => void;
  /** The line of the RUN that ran when something was changed that is not there any more: a path on disk, or what it was in. */
  readonly lostIn: (path: ByteString) => number | undefined;
  /** Warns, at the end of a step, of the files that it read and that had changed while a RUN ran. */
  readonly tellReads: (step: StepLabel) => void;
}

interface Watched {
  readonly root: Root;
  tree: Tree | undefined;
  /** How long the last walk took, and when it ended: on the clock of `performance.now()`. */
  walkMs: number;
  seenAt: number;
}

/** Watches those of `folders` that can be written to; one that is mounted read-only costs nothing. `rootPath` is the image's root. */
export function watchContexts(
  folders: readonly string[],
  options: {
    readonly rootPath: string;
    readonly builderFolder: string;
    /** True for a folder that an image works in at the moment: whoever lent it looks after it. */
    readonly isMoved?: (folder: ByteString) => boolean;
    /** What the builder writes there itself. */
    readonly ownFiles?: readonly string[];
    readonly emit: Emit;
  },
): ContextWatch {
  const { emit, isMoved = () => false } = options;
  const watched = watchable(folders, options);
  const changedIn = new Map<ByteString, StepLabel | undefined>();
  const reads = new Set<ByteString>();
  return {
    before: async (signal) => {
      for (const each of watched) {
        if (isMoved(each.root.path)) each.tree = undefined;
        else await lookBefore(each, signal);
      }
    },
    after: async (step, signal) => {
      for (const each of watched) {
        const before = each.tree;
        if (before === undefined) continue;
        await look(each, signal);
        if (each.tree === undefined) continue;
        const changes = diffTrees(before, each.tree).filter((change) => isWorthTelling(change, before));
        if (changes.length === 0) continue;
        const paths = Array.from(changes, (change) => joinBytes(each.root.path, change.path));
        // What somebody else writes all the time, such as a log by way of tee, is told once.
        const isNew = paths.some((path) => !changedIn.has(path));
        for (const path of paths) changedIn.set(path, step);
        if (isNew) emit(changeWarning(each.root.path, paths, step));
      }
    },
    noteRead: (path) => {
      if (changedIn.has(path)) reads.add(path);
    },
    lostIn: (path) => [...changedIn].findLast(([changed]) => isWithin(path, changed))?.[1]?.range.start.line,
    tellReads: (step) => {
      if (reads.size === 0) return;
      const message = `this step reads ${listPaths([...reads])}, which changed while a RUN ran (${linesOf([...reads], changedIn)})`;
      emit({ kind: 'warning', code: `context-read ${step.overall.number}`, message, range: step.range });
      reads.clear();
    },
  };
}

/** Those a RUN could write to, without those in another one. */
function watchable(
  folders: readonly string[],
  { rootPath, builderFolder, ownFiles = [], emit }: Omit<Parameters<typeof watchContexts>[1], 'isMoved'>,
): readonly Watched[] {
  const writable = [...new Set(folders.map((folder) => realpathSync(folder)))].filter(isWritable);
  const outermost = writable.filter((folder) => !writable.some((outer) => outer !== folder && isBelow(folder, outer)));
  return outermost.flatMap((folder) => {
    if (isBelow(rootPath, folder)) {
      const message = `the context ${folder} holds the root of the image: what a RUN changes in it is not told apart`;
      emit({ kind: 'warning', code: `context-unwatched ${folder}`, message });
      return [];
    }
    const inside = [builderFolder, ...ownFiles].filter((path) => isBelow(path, folder));
    const own = inside.map((path) => bytesFromText(path.slice(folder.length + 1)));
    const root: Root = { path: bytesFromText(folder), protection: createProtection(own) };
    return [{ root, tree: undefined, walkMs: 0, seenAt: 0 }];
  });
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false; // a RUN has no more rights than we
  }
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}

// The walk after one RUN is also the one before the next, unless so much time has gone by that another one is shorter: whatever
// somebody did in between is then not taken for something that happened while a RUN ran.
async function lookBefore(watched: Watched, signal: AbortSignal): Promise<void> {
  if (watched.tree === undefined || performance.now() - watched.seenAt > watched.walkMs) await look(watched, signal);
  if (watched.tree !== undefined) await settleClock(watched.tree, signal);
}

async function look(watched: Watched, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  watched.tree = await scanLiving(watched.root, signal);
  watched.seenAt = performance.now();
  watched.walkMs = watched.seenAt - started;
}

// A directory whose time alone is different has got or lost a name, and that is told by itself.
function isWorthTelling(change: Change, before: Tree): boolean {
  if (change.kind !== 'modified' || !isDirectoryMode(change.entry.mode)) return true;
  const was = before.get(change.path);
  return was === undefined || was.mode !== change.entry.mode || was.uid !== change.entry.uid || was.gid !== change.entry.gid;
}

function changeWarning(folder: ByteString, paths: readonly ByteString[], step: StepLabel | undefined): Parameters<Emit>[0] {
  const amount = paths.length === 1 ? '1 path' : `${paths.length} paths`;
  return {
    kind: 'warning',
    code: `context-changed ${step?.number ?? 0} ${textFromBytes(folder)}`,
    message: `the context changed while this RUN ran, by it or by somebody else (${amount}: ${listPaths(paths)}); what a RUN makes there is not the image's, and mounted read-only it can't be changed`,
    ...(step === undefined ? {} : { range: step.range }),
  };
}

function linesOf(paths: readonly ByteString[], changedIn: ReadonlyMap<ByteString, StepLabel | undefined>): string {
  const lines = new Set(paths.flatMap((path) => changedIn.get(path)?.range.start.line ?? []));
  return `line ${[...lines].sort((a, b) => a - b).join(', ')}`;
}
