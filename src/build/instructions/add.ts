// ADD: as COPY, and archives are unpacked, URLs downloaded, repositories checked out. dockerfile reference, "ADD".
import { bytesFromText } from '../../bytes.ts';
import { modifiedSeconds } from '../../context/last-modified.ts';
import type { SourceTree } from '../../context/tree.ts';
import { isGitSource, isUrlSource } from '../../context/source-word.ts';
import { selectSources } from '../../context/select.ts';
import type { CopyInstruction, Flag } from '../../dockerfile/instruction.ts';
import { BuilderError, DockerfileError } from '../../errors.ts';
import { verify } from '../../layer/meter.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import type { Download } from '../../registry/download.ts';
import type { Effect, StageState } from '../effect.ts';
import { archiveProbeSize, beginsArchive, extractArchive, extractArchiveFile, isArchiveFile } from './add-archive.ts';
import {
  copyHeredocs,
  type CopyScope,
  expandCopy,
  type ExpandedCopy,
  expandFlag,
  finishJob,
  selectAll,
  type SelectedWord,
  startJob,
} from './copy.ts';
import { type CopyJob, copyLooseFile, copySelection } from './copy-tree.ts';
import { nameInUrl } from './download-name.ts';

/** What a repository is wanted for. */
export interface GitRequest {
  /** As written: `https://host/repo.git#ref:folder`, `git@host:repo?tag=v1`. */
  readonly repository: string;
  readonly keepsGitFolder: boolean;
  /** The commit it has to be, whole or its beginning. */
  readonly checksum?: string;
}

/** What ADD needs besides what COPY needs. */
export interface AddScope extends CopyScope {
  /** @throws BuilderError, RegistryError where the URL gives no file */
  readonly download: (url: URL, signal: AbortSignal) => Promise<Download>;
  /** Absent where repositories can't be had. @throws BuilderError ERR_CONTEXT */
  readonly git?: (request: GitRequest, signal: AbortSignal) => Promise<SourceTree>;
}

/** `--checksum`, expanded; `digest` where it is one. */
interface Checksum {
  readonly text: string;
  readonly flag: Flag;
  readonly digest?: Digest;
}

interface ExpandedAdd extends ExpandedCopy {
  readonly checksum: Checksum | undefined;
}

type Source =
  | { readonly kind: 'local'; readonly word: string; readonly tree: SourceTree; readonly selected: readonly SelectedWord[] }
  | { readonly kind: 'url'; readonly url: URL }
  | { readonly kind: 'git'; readonly tree: SourceTree };

/**
 * Executes ADD. Contents are read when the layer is written.
 * @throws as executeCopy; ERR_DIGEST_MISMATCH for a download that is not what --checksum says
 */
export async function executeAdd(instruction: CopyInstruction, state: StageState, scope: AddScope): Promise<Effect> {
  const add: ExpandedAdd = { ...expandCopy(instruction, scope), checksum: readChecksum(instruction, scope) };
  if (add.checksum !== undefined) checkChecksum(add, add.checksum);
  const sources: Source[] = [];
  for (const position of add.words.keys()) sources.push(await openSource(position, add, scope));
  const job = await startJob(add, state, scope);
  for (const source of sources) await addSource(source, job, add, scope);
  await copyHeredocs(add, job, scope);
  return finishJob(add, state, job);
}

async function openSource(position: number, add: ExpandedAdd, scope: AddScope): Promise<Source> {
  const word = add.words[position] ?? '';
  const { instruction, checksum } = add;
  if (isGitSource(word)) {
    if (scope.git === undefined) throw new BuilderError('ERR_UNSUPPORTED', `Cannot add '${word}': git repositories can't be read here`);
    const request = {
      repository: word,
      keepsGitFolder: instruction.keepGitDir,
      ...(checksum === undefined ? {} : { checksum: checksum.text }),
    };
    return { kind: 'git', tree: await scope.git(request, scope.signal) };
  }
  if (isUrlSource(word)) return { kind: 'url', url: parseUrl(word, instruction) };
  const tree = await scope.sources(undefined);
  return { kind: 'local', word, tree, selected: selectAll({ ...add, words: [word] }, tree, scope, position) };
}

async function addSource(source: Source, job: CopyJob, add: ExpandedAdd, scope: AddScope): Promise<void> {
  switch (source.kind) {
    case 'git':
      for (const selection of selectSources(source.tree, '/')) await copySelection(job, source.tree, selection);
      return;
    case 'url':
      return await addDownload(source.url, job, add, scope);
    case 'local':
      for (const { selection } of source.selected) {
        const { files, noteRead } = source.tree;
        const mayBeArchive = add.instruction.unpack !== false && selection.stat.type === 'file';
        if (mayBeArchive && (await isArchiveFile(files.open(selection.path), job.signal))) {
          noteRead?.(selection.path);
          await extractArchiveFile(job, source.word, files.open(selection.path));
        } else await copySelection(job, source.tree, selection);
      }
      return;
    default:
      source satisfies never;
  }
}

async function addDownload(url: URL, job: CopyJob, { instruction, checksum }: ExpandedAdd, scope: AddScope): Promise<void> {
  const download = await scope.download(url, job.signal);
  const body: AsyncIterable<Buffer> = download.body;
  const subject = `${url.origin}${url.pathname} with --checksum`;
  const digest = checksum?.digest;
  const { head, whole } = await peek(digest === undefined ? body : verify(body, { digest, subject }));
  const name = nameInUrl(url) ?? '__unnamed__';
  if (instruction.unpack === true && (await beginsArchive(head, job.signal))) return await extractArchive(job, name, whole);
  // A server that doesn't say when leaves 1970, so that the same file gives the same layer.
  const mtimeSeconds = modifiedSeconds(download) ?? 0;
  await copyLooseFile(job, { name: bytesFromText(name), content: whole, mode: 0o600, mtimeSeconds });
}

function readChecksum({ checksum }: CopyInstruction, scope: AddScope): Checksum | undefined {
  const text = expandFlag(checksum, scope);
  if (checksum === undefined || text === undefined) return undefined;
  return { text, flag: checksum, ...(isDigest(text) ? { digest: text } : {}) };
}

function checkChecksum({ words, heredocs }: ExpandedAdd, { text, flag, digest }: Checksum): void {
  const [word] = words;
  if (word === undefined || words.length + heredocs.length !== 1) {
    throw new DockerfileError(`Cannot check --checksum=${text}: it needs exactly one source`, flag.range);
  }
  if (isGitSource(word)) {
    if (/^(?:sha1:|sha256:)?[0-9a-f]{4,64}$/.test(text)) return;
    throw new DockerfileError(`Cannot check --checksum=${text}: for a repository it is a commit, or its beginning`, flag.range);
  }
  if (!isUrlSource(word))
    throw new DockerfileError(`Cannot check --checksum=${text}: '${word}' is neither a URL nor a git repository`, flag.range);
  if (digest === undefined) {
    throw new DockerfileError(`Cannot check --checksum=${text}: it is not sha256:<64 hex digits> or sha512:<128 hex digits>`, flag.range);
  }
}

function parseUrl(word: string, { range }: CopyInstruction): URL {
  try {
    return new URL(word);
  } catch (error) {
    throw new DockerfileError(`Cannot add '${word}': it is not a valid URL`, range, { cause: error });
  }
}

/** The first bytes of a stream, and the stream as it was. */
async function peek(source: AsyncIterable<Buffer>): Promise<{ readonly head: Buffer; readonly whole: AsyncIterable<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]();
  const chunks: Buffer[] = [];
  let length = 0;
  let isDone = false;
  while (length < archiveProbeSize && !isDone) {
    const next = await iterator.next();
    isDone = next.done === true;
    if (next.done === true) break;
    chunks.push(next.value);
    length += next.value.length;
  }
  const whole = async function* (): AsyncGenerator<Buffer> {
    try {
      yield* chunks;
      if (isDone) return;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  };
  return { head: Buffer.concat(chunks), whole: whole() };
}
