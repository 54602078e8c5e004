// `copy` and `add`: files into a container's root, by what COPY and ADD of a Dockerfile are made of, onto the disk instead of a layer.
import { createHash, type Hash } from 'node:crypto';
import { nameInUrl } from '../build/instructions/download-name.ts';
import { modifiedSeconds } from '../context/last-modified.ts';
import { bytesFromText, textFromBytes } from '../bytes.ts';
import { extractArchiveFile, isArchiveFile } from '../build/instructions/add-archive.ts';
import { parseModeChange } from '../build/instructions/copy-mode.ts';
import { CopyTarget, type Owner, absoluteIn } from '../build/instructions/copy-target.ts';
import { type CopyJob, copyLooseFile, copySelection } from '../build/instructions/copy-tree.ts';
import { compileExcludes } from '../context/ignore.ts';
import { selectSources } from '../context/select.ts';
import { isUrlSource } from '../context/source-word.ts';
import type { SourceTree } from '../context/tree.ts';
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import { EntryWriter } from '../files/entry-writer.ts';
import { openFile } from '../files/read-file.ts';
import { absolutePath } from '../files/resolve.ts';
import { type Root, plainRoot } from '../files/root.ts';
import type { Spool } from '../files/spool.ts';
import type { LocalEntry, Timestamp } from '../layer/entry.ts';
import { accountFiles, lookupOwner } from '../linux/accounts.ts';
import { readDiskTree } from '../rootfs/disk-tree.ts';
import { TreeDraft, readDraft } from '../rootfs/tree-draft.ts';
import type { OpenContainer } from './container-store.ts';

/** A file from the network. */
interface Downloaded {
  readonly body: AsyncIterable<Buffer>;
  readonly lastModified?: string | undefined;
}

export interface CopyRequest {
  /** Words of the command line: paths in `tree`, or URLs. */
  readonly sources: readonly string[];
  /** In the container; below its working folder where it is relative. */
  readonly destination: string;
  readonly tree: SourceTree;
  /** USER[:GROUP], by the container's own accounts. */
  readonly chown?: string;
  readonly chmod?: string;
  /** What is left out, by patterns as of `.dockerignore`. */
  readonly excludes: readonly string[];
  /** Local archives are unpacked. */
  readonly unpacks: boolean;
}

export interface CopyScope {
  readonly spool: Spool;
  readonly now: () => Timestamp;
  readonly download: (url: URL, signal: AbortSignal) => Promise<Downloaded>;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** What was copied: `file`, `dir` or `multi`, and a digest: of a single file's content, else of all names, kinds, owners and contents. */
export interface CopyResult {
  readonly kind: 'file' | 'dir' | 'multi';
  readonly digest: string;
}

/** Copies into a container that is opened `exclusive`. @throws ERR_CONTEXT for a source, ERR_ROOTFS for the destination, as COPY and ADD */
export async function copyIntoContainer(container: OpenContainer, request: CopyRequest, scope: CopyScope): Promise<CopyResult> {
  const { emit, signal } = scope;
  const root = plainRoot(bytesFromText(container.rootFolder));
  const draft = new TreeDraft(await readDiskTree(root, signal), scope.now(), ({ path }) => ({
    path,
    open: () => openFile(absolutePath(root, path), path),
  }));
  const job = startJob(container, root, draft, request, scope);
  const kinds: CopyResult['kind'][] = [];
  for (const word of request.sources) kinds.push(...(await copyWord(job, word, request, scope)));
  job.target.finish();
  const [kind = 'dir', ...others] = kinds;
  const summary = new ContentSummary();
  const entries = await readDraft(draft.tree, draft.entries(), signal);
  const writer = new EntryWriter(root, {
    kind: 'layer',
    keepsOwners: true,
    refuseXattr: (path, name) =>
      emit({ kind: 'warning', code: `copy-xattr ${name}`, message: `${name} of ${textFromBytes(path)} can't be set here` }),
  });
  await writer.writeAll(summary.watch(entries), signal);
  return { kind: others.length > 0 ? 'multi' : kind, digest: summary.digest(others.length === 0 && kind === 'file') };
}

function startJob(container: OpenContainer, root: Root, draft: TreeDraft, request: CopyRequest, scope: CopyScope): CopyJob {
  const { destination, sources } = request;
  const target = new CopyTarget(draft, { instruction: `copy to ${destination}` });
  const owner: Owner | undefined = request.chown === undefined ? undefined : lookupOwner(request.chown, accountFiles(root.path));
  const chmod = request.chmod === undefined ? undefined : parseModeChange(request.chmod);
  const isDirectory = destination === '' || /(?:^|\/)\.?$/.test(destination) || sources.length > 1;
  const path = target.follow(absoluteIn(container.state.config.config.workingDir ?? '/', destination));
  return {
    target,
    policy: {
      parents: { mode: 0o755, ...given({ owner }) },
      ...given({ owner, chmod }),
    },
    destination: { path, isDirectory },
    ...(request.excludes.length === 0 ? {} : { excludes: compileExcludes(request.excludes) }),
    written: [],
    spool: scope.spool,
    warn: (code, message) => scope.emit({ kind: 'warning', code, message }),
    signal: scope.signal,
  };
}

async function copyWord(job: CopyJob, word: string, { tree, unpacks }: CopyRequest, scope: CopyScope): Promise<CopyResult['kind'][]> {
  if (isUrlSource(word)) {
    await copyDownload(job, word, scope);
    return ['file'];
  }
  const selections = selectSources(tree, word);
  if (selections.length === 0) throw new BuilderError('ERR_CONTEXT', `Cannot copy '${word}': it matches nothing in ${tree.label}`);
  const kinds: CopyResult['kind'][] = [];
  for (const selection of selections) {
    const { type } = selection.stat;
    if (unpacks && type === 'file' && (await isArchiveFile(tree.files.open(selection.path), job.signal))) {
      await extractArchiveFile(job, word, tree.files.open(selection.path));
      kinds.push('dir');
    } else {
      await copySelection(job, tree, selection);
      kinds.push(type === 'directory' ? 'dir' : 'file');
    }
  }
  return kinds;
}

async function copyDownload(job: CopyJob, word: string, { download, signal }: CopyScope): Promise<void> {
  const url = new URL(word);
  const { body, lastModified } = await download(url, signal);
  const name = bytesFromText(nameInUrl(url) ?? 'index.html');
  await copyLooseFile(job, { name, content: body, mode: 0o600, ...given({ mtimeSeconds: modifiedSeconds({ lastModified }) }) });
}

/** Hashes entries on their way to the disk. */
class ContentSummary {
  readonly #all = createHash('sha256');
  #last: Hash = createHash('sha256');

  *watch(entries: Iterable<LocalEntry>): Generator<LocalEntry> {
    for (const entry of entries) {
      const { type, path, mode, uid, gid, linkTarget = '', content } = entry;
      this.#all.update(JSON.stringify([type, path, mode, uid, gid, linkTarget]));
      if (type !== 'file' || content === undefined) yield entry;
      else {
        this.#last = createHash('sha256');
        yield { ...entry, content: this.#hashed(content) };
      }
    }
  }

  digest(isOneFile: boolean): string {
    return (isOneFile ? this.#last : this.#all).digest('hex');
  }

  *#hashed(content: Iterable<Buffer>): Generator<Buffer> {
    for (const chunk of content) {
      this.#all.update(chunk);
      this.#last.update(chunk);
      yield chunk;
    }
  }
}
