// A repository into a folder: fetched without a git program, checked by hash, written without following a link.
import { chmodSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../folders.ts';
import { bytesFromText, type ByteString, joinBytes, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { type FetchedCommit, type Wish, fetchCommit } from './fetch-commit.ts';
import { writeGitFolder } from './git-folder.ts';
import type { GitLocation } from './location.ts';
import { parseCommit } from './objects.ts';
import { type GitServer, type UploadPack, meet } from './protocol.ts';
import { type GitRemote, describeRemote, resolveRemote } from './remote.ts';
import { parseSubmodules, type Submodule } from './submodules.ts';
import { type WrittenItem, writeTree } from './write-tree.ts';

export interface CheckOutOptions {
  /** Opens a conversation; `isSubmodule` where the place comes out of a repository, not from a person. */
  readonly open: (remote: GitRemote, isSubmodule: boolean, signal: AbortSignal) => Promise<UploadPack>;
  readonly keepsGitFolder: boolean;
  readonly submodules: boolean;
  /** Commits of history; 0 is all. 1 where left out. */
  readonly depth?: number;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export interface CheckedOut {
  /** The folder that was asked for, inside the checkout. */
  readonly folder: string;
  readonly commit: string;
  /** Seconds since 1970. */
  readonly commitTimeSeconds: number;
}

const maxSubmoduleDepth = 8;
const submodulesFileLimitBytes = 1 << 20;

/**
 * Checks a repository out into `into`, an empty folder of ours. Times are those of the checkout unless the place says otherwise.
 * @throws ERR_CONTEXT, ERR_AUTH, ERR_DIGEST_MISMATCH, ERR_UNSAFE_PATH; then the folder's content means nothing
 */
export async function checkOut(location: GitLocation, into: string, options: CheckOutOptions): Promise<CheckedOut> {
  const packs = mkdtempSync(`${into}-packs-`);
  try {
    const top = bytesFromText(into);
    makeFolder(into);
    chmodSync(into, 0o755);
    const { remote, folder } = location;
    const keepsGitFolder = options.keepsGitFolder && folder === undefined;
    if (options.keepsGitFolder && folder !== undefined) {
      const message = `${describeRemote(remote)}: .git is not kept, because only folder '${folder}' was asked for`;
      options.emit({ kind: 'warning', code: 'git-folder', message });
    }
    const walk = { ...options, keepsGitFolder, packs, mtime: location.mtime };
    const done = await checkOutOne({ remote, wish: location, folder: top, depth: 0 }, walk);
    return { folder: enterFolder(into, folder, describeRemote(remote)), ...done };
  } finally {
    rmSync(packs, { recursive: true, force: true });
  }
}

interface Job {
  readonly remote: GitRemote;
  readonly wish: Wish;
  readonly folder: ByteString;
  /** How many repositories this one is in. */
  readonly depth: number;
}

interface Walk extends CheckOutOptions {
  readonly packs: string;
  readonly mtime: GitLocation['mtime'];
}

async function checkOutOne(job: Job, walk: Walk): Promise<Pick<CheckedOut, 'commit' | 'commitTimeSeconds'>> {
  const { remote, folder, depth } = job;
  const { signal } = walk;
  const name = describeRemote(remote);
  const packPath = join(mkdtempSync(join(walk.packs, 'p-')), 'pack');
  const fetched = await fetchFrom(job, packPath, walk);
  try {
    const { pack, commit } = fetched;
    const parsed = parseCommit(pack.read(commit).bytes);
    if (parsed === undefined) throw new BuilderError('ERR_CONTEXT', `Cannot check out ${name}: commit ${commit} is malformed`);
    const mtimeSeconds = walk.mtime === 'commit' ? parsed.timeSeconds : undefined;
    const items = await writeTree(pack, parsed.tree, folder, { name, mtimeSeconds, signal });
    if (walk.keepsGitFolder) writeGitFolder(folder, { ...fetched, packPath, url: name, items });
    const links = items.filter((item) => item.kind === 'submodule');
    if (walk.submodules && links.length > 0) {
      const known = readSubmodules(fetched, items, name);
      for (const link of links) await checkOutSubmodule(link, known, { ...job, depth: depth + 1 }, walk);
    }
    return { commit, commitTimeSeconds: parsed.timeSeconds };
  } finally {
    fetched.pack.close();
    rmSync(packPath, { force: true });
  }
}

async function fetchFrom({ remote, wish, depth }: Job, packPath: string, walk: Walk): Promise<FetchedCommit> {
  const { signal } = walk;
  const opened: UploadPack[] = [];
  const connect = async (): Promise<GitServer> => {
    const upload = await walk.open(remote, depth > 0, signal);
    opened.push(upload);
    return await meet(upload);
  };
  try {
    return await fetchCommit(connect, wish, { packPath, depth: walk.depth ?? 1 }, signal);
  } finally {
    for (const upload of opened) await upload.close();
  }
}

async function checkOutSubmodule(link: WrittenItem, known: readonly Submodule[], parent: Job, walk: Walk): Promise<void> {
  const path = textFromBytes(link.path);
  const name = describeRemote(parent.remote);
  const hint = 'submodules=false in a query, or --git recurse-submodules=false for a context, leaves submodules out';
  const found = known.find((one) => one.path === path);
  if (found === undefined)
    throw new BuilderError('ERR_CONTEXT', `Cannot check out submodule ${path} of ${name}: .gitmodules does not name it`, { hint });
  if (found.isSkipped) return;
  if (parent.depth > maxSubmoduleDepth)
    throw new BuilderError(
      'ERR_CONTEXT',
      `Cannot check out submodule ${path} of ${name}: more than ${maxSubmoduleDepth} are in each other`,
      { hint },
    );
  try {
    const remote = resolveRemote(parent.remote, found.url);
    const wish = { ref: link.id, checksum: undefined, fetchesByCommit: false };
    await checkOutOne({ remote, wish, folder: joinBytes(parent.folder, link.path), depth: parent.depth }, walk);
  } catch (error) {
    if (walk.signal.aborted || !(error instanceof BuilderError)) throw error;
    const inner = error.hint === undefined ? hint : `${error.hint}; ${hint}`;
    throw new BuilderError(error.code, `Cannot check out submodule ${path} of ${name}: ${error.message}`, { cause: error, hint: inner });
  }
}

function readSubmodules({ pack }: FetchedCommit, items: readonly WrittenItem[], name: string): readonly Submodule[] {
  const file = items.find((item) => item.path === '.gitmodules');
  // A link in its place could be made to name another file (CVE-2018-11235).
  if (file?.kind !== 'file' && file?.kind !== 'program') return [];
  const { bytes } = pack.read(file.id);
  if (bytes.length > submodulesFileLimitBytes)
    throw new BuilderError('ERR_CONTEXT', `Cannot read .gitmodules of ${name}: it has more than ${submodulesFileLimitBytes} bytes`);
  return parseSubmodules(bytes.toString('utf8'), name);
}

function enterFolder(checkout: string, folder: string | undefined, name: string): string {
  if (folder === undefined) return checkout;
  let real: string;
  try {
    real = realpathSync(join(checkout, folder));
  } catch (error) {
    throw new BuilderError('ERR_CONTEXT', `Cannot check out ${name}: it has no folder '${folder}'`, { cause: error });
  }
  if (!real.startsWith(`${realpathSync(checkout)}/`) && real !== realpathSync(checkout))
    throw new BuilderError('ERR_UNSAFE_PATH', `Cannot check out ${name}: folder '${folder}' is a link that leads out of it`);
  if (!statSync(real).isDirectory()) throw new BuilderError('ERR_CONTEXT', `Cannot check out ${name}: '${folder}' is not a folder`);
  return real;
}
